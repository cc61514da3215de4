"""Files of sound and video opened and decoded packet by packet, and what their heads say of them.

FFmpeg (through PyAV) reads them from an open stream and as the format that intake found: it is not asked what a file
might be, because among its formats are lists of other files. A damaged packet is left out and counted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mesh_assets.chunks.media.reading import one_line
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# What FFmpeg calls the formats that intake tells.
_DEMUXERS = {
    **dict.fromkeys(("mp4", "mov", "3gp", "m4a"), "mp4"),
    **dict.fromkeys(("webm", "matroska"), "matroska"),
    **dict.fromkeys(("ogg", "opus"), "ogg"),
    **dict.fromkeys(("wmv", "wma"), "asf"),
    **{name: name for name in ("wav", "mp3", "flac", "aac", "aiff", "amr", "au", "avi", "flv", "mpeg", "mpegts")},
}
SOUND_FORMATS = ("wav", "mp3", "flac", "ogg", "opus", "m4a", "aac", "aiff", "amr", "au", "wma", "matroska", "webm")
VIDEO_FORMATS = ("mp4", "mov", "3gp", "webm", "matroska", "ogg", "avi", "flv", "mpeg", "mpegts", "wmv")
_BROKEN = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    struct.error,
    RuntimeError,
)
# After so many damaged packets in a row the rest is no recording.
_HOPELESS = 200
# A file that ends this much before its head says was cut off: a share of it, and seconds.
_CUT_SHARE, _CUT_SECONDS = 0.05, 1.0
_TAGS = ("title", "artist", "album", "album_artist", "genre", "date", "comment", "description", "track", "composer")
_TAG_CHARACTERS = 300
_REMEDY = "Open it with a program that plays it and save it anew, or leave it out."


@cache
def decoder_errors() -> tuple[type[Exception], ...]:
    """What decoders raise over what is damaged: FFmpeg's own errors, and PyAV's over what it does not expect."""
    from av.error import FFmpegError

    return FFmpegError, *_BROKEN


@dataclass(slots=True)
class Damage:
    """What could not be decoded of one stream, and the seconds that could."""

    packets: int = 0
    seconds: float = 0.0
    first: str = ""

    def add(self, error: Exception) -> None:
        """One more packet that is damaged."""
        self.packets += 1
        self.first = self.first or one_line(str(error) or type(error).__name__, 200)

    def reject(self, source: Source, what: str, declared: float) -> Iterator[Reject]:
        """The part reject of a stream that is damaged, or cut off before the `declared` seconds; else nothing."""
        missing = declared - self.seconds
        if missing > max(_CUT_SECONDS, _CUT_SHARE * declared):
            detail = f"its head says {declared:.1f} s, {self.seconds:.1f} s are there"
            yield _part(source, f"{what} is cut off", detail)
        elif self.packets:
            yield _part(source, f"damaged {what}", f"{self.packets:,} packets could not be decoded: {self.first}")


def _part(source: Source, reason: str, detail: str) -> Reject:
    remedy = "What could be decoded was read. Copy the file again from where it came."
    return Reject(source.path, reason, remedy, detail, byte_start=0, byte_stop=source.stop - source.start)


def broken(source: Source, error: Exception) -> FormatError:
    """The error of a file that cannot be decoded at all."""
    return FormatError(
        f"broken {source.format}",
        f"{source.path} cannot be decoded: {one_line(str(error) or type(error).__name__, 300)}.",
        remedy=_REMEDY,
    )


def nothing_in(source: Source) -> FormatError:
    """The error of a file without anything to see or hear."""
    return FormatError(
        "no picture and no sound", f"{source.path} holds nothing that FFmpeg can decode.", remedy=_REMEDY
    )


@contextmanager
def opened(source: Source, stream: BinaryIO) -> Generator[InputContainer]:
    """The recording, its head read. FormatError where it has none."""
    import av
    import av.logging

    av.logging.set_level(None)
    try:
        container = av.open(stream, "r", format=_DEMUXERS[source.format], metadata_errors="replace")
    except decoder_errors() as error:
        raise broken(source, error) from error
    with container:
        yield container


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The streams of pictures that can be decoded, without covers, which are attached as a video of one frame."""
    from av.stream import Disposition

    return [s for s in container.streams.video if _has_decoder(s) and not s.disposition & Disposition.attached_pic]


def audio_streams(container: InputContainer) -> list[AudioStream]:
    """The streams of sound that can be decoded."""
    return [stream for stream in container.streams.audio if _has_decoder(stream)]


def _has_decoder(stream: Stream) -> bool:
    return cast("object", getattr(stream, "codec_context", None)) is not None


def decoded(
    container: InputContainer,
    stream: VideoStream | AudioStream,
    damage: Damage,
    is_wanted: Callable[[Packet[Any]], bool] | None = None,
) -> Iterator[VideoFrame | AudioFrame]:
    """The frames of one stream in order, of all packets or of those that are wanted. Damaged ones are counted."""
    packets = container.demux(stream)
    while damage.packets < _HOPELESS:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            # The empty packet at the end asks the decoder for what it still holds.
            if is_wanted is not None and packet.size and not is_wanted(packet):
                continue
            frames = packet.decode()
        except decoder_errors() as error:
            damage.add(error)
            continue
        yield from cast("list[VideoFrame | AudioFrame]", frames)


def length_of(container: InputContainer, stream: Stream) -> float:
    """Seconds, as the head says; 0 where it does not."""
    if stream.duration and stream.time_base:
        return max(float(stream.duration * stream.time_base), 0.0)
    return max((container.duration or 0) / 1_000_000, 0.0)


def tag_lines(*metadata: Mapping[str, str]) -> list[str]:
    """`Title: ...`: what people wrote about a recording, a line each, in the order of `_TAGS`."""
    found: dict[str, str] = {}
    for tags in metadata:
        for name, value in tags.items():
            text = one_line(value, _TAG_CHARACTERS)
            if text:
                found.setdefault(name.lower(), text)
    return [f"{name.replace('_', ' ').capitalize()}: {found[name]}" for name in _TAGS if name in found]


def recorded_at(*metadata: Mapping[str, str]) -> datetime | None:
    """When the recording began, UTC, where its head knows: devices without a clock write 1904 or 1970."""
    for tags in metadata:
        try:
            moment = datetime.fromisoformat(tags.get("creation_time", ""))
        except ValueError:
            continue
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if 1980 <= moment.year < 2200:
            return moment
    return None
