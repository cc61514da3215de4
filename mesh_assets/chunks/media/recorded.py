"""Chunker of sound and video: a line on the whole, then one for each scene and each segment of its sound.

A file is read by what is in it: what calls itself a video may be sound alone. What a scene is belongs to `scenes`, what
speech and music are to `sound`, and how files are opened to `recordings`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.media.facts import recording_line, scene_line, segment_line
from mesh_assets.chunks.media.images import model_reject, preview
from mesh_assets.chunks.media.reading import Reading, span
from mesh_assets.chunks.media.recordings import (
    Damage,
    audio_streams,
    broken,
    decoded,
    decoder_errors,
    length_of,
    nothing_in,
    opened,
    recorded_at,
    tag_lines,
    video_streams,
)
from mesh_assets.chunks.media.scenes import Scene, SceneWatcher, sample_step
from mesh_assets.chunks.media.sound import RATE, SPEECH, Segment, SoundMeter
from mesh_assets.chunks.media.words import caption, transcript
from mesh_assets.chunks.protocol import Part, Source
from mesh_assets.errors import ModelError
from mesh_assets.schemas.rejects import Reject

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Segments without a transcript are cut at five minutes, so that a place is near; with one, at what models hear at once.
_LONGEST_SEGMENT, _LONGEST_HEARD = 300.0, 30.0


@dataclass(slots=True)
class _Recording:
    """One file while it is read: its reading so far, and when it began."""

    source: Source
    reading: Reading
    began: datetime | None

    def times(self, start: float, stop: float) -> tuple[datetime, datetime] | None:
        """The moments of a part, in seconds of the recording."""
        if self.began is None:
            return None
        return self.began + timedelta(seconds=start), self.began + timedelta(seconds=stop)


class RecordingChunker:
    """Chunks sound and video of all formats that FFmpeg decodes."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """The piece of the head, then one a scene with its keyframe, then one a segment of sound.

        FormatError where nothing can be decoded; what is damaged or cut off is a reject of a part.
        """
        with source.open() as stream, opened(source, stream) as container:
            pictures, sounds = video_streams(container), audio_streams(container)
            if not pictures and not sounds:
                raise nothing_in(source)
            step = _step(source, container, pictures[0]) if pictures else 0.0
            recording = _Recording(source, Reading.of(source.path, chunk_tokens), None)
            head = list(_head(recording, container, pictures, sounds, step))
            if pictures:
                yield from _with_head(head, _scenes(recording, container, pictures[0], step), bool(sounds), source)
                head = []
        if sounds:
            yield from _with_head(head, _sound(recording), False, source)


def _with_head(head: list[Part], parts: Iterator[Part], is_more: bool, source: Source) -> Iterator[Part]:
    """`head`, then `parts`; where none of those comes and nothing follows, the file is broken."""
    first = next(parts, None)
    is_nothing = first is None or isinstance(first, Reject)
    if is_nothing and not is_more:
        raise broken(source, ValueError(first.detail if isinstance(first, Reject) else "it holds no frame"))
    yield from head
    if first is not None:
        yield first
    yield from parts


def _step(source: Source, container: InputContainer, stream: VideoStream) -> float:
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    return sample_step(
        source.stop - source.start, stream.width, stream.height, min(rate, 240.0), length_of(container, stream)
    )


def _head(
    recording: _Recording,
    container: InputContainer,
    pictures: list[VideoStream],
    sounds: list[AudioStream],
    step: float,
) -> Iterator[Part]:
    """What the head of the file says, as the first piece."""
    main = (pictures or sounds)[0]
    metadata = [container.metadata, main.metadata]
    recording.began = recorded_at(*metadata)
    seconds = length_of(container, main)
    lines = [recording_line(recording.source.format, seconds, pictures, sounds)]
    if recording.began is not None:
        lines.append(f"Recorded: {recording.began:%Y-%m-%d %H:%M:%S} UTC")
    lines += tag_lines(*metadata)
    if step:
        lines.append(f"It is long: of its pictures one in {step:.1f} s was looked at.")
    yield from recording.reading.write("\n".join(lines), times=recording.times(0, seconds))


def _scenes(recording: _Recording, container: InputContainer, stream: VideoStream, step: float) -> Iterator[Part]:
    """A piece a scene with its keyframe, then what was wrong with the pictures."""
    stream.thread_count = 1
    if step:
        stream.codec_context.skip_frame = "NONKEY"
    damage, watcher = Damage(), SceneWatcher(sampled=bool(step))
    start = None
    for at, frame in _frames(container, stream, step, damage):
        start = at if start is None else start
        try:
            found = list(watcher.look(at - start, frame))
        except decoder_errors() as error:  # pixels in a form that is none
            damage.add(error)
            continue
        for scene in found:
            yield from _scene(recording, scene)
    declared = length_of(container, stream)
    damage.seconds = max(damage.seconds - (start or 0.0), 0.0)
    # Of sampled frames the last one comes long before the end.
    for scene in watcher.end(max(damage.seconds, declared) if step else damage.seconds):
        yield from _scene(recording, scene)
    yield from damage.reject(recording.source, "video", 0.0 if step else declared)


def _frames(
    container: InputContainer, stream: VideoStream, step: float, damage: Damage
) -> Iterator[tuple[float, VideoFrame]]:
    """The frames of a video with their seconds; with a `step`, keyframes that are at least so far apart."""
    following = float("-inf")
    base = float(stream.time_base or 0)
    frame_seconds = 1 / float(stream.average_rate or 25)

    def is_wanted(packet: Packet[Any]) -> bool:
        nonlocal following
        at = (packet.pts if packet.pts is not None else packet.dts or 0) * base
        if not packet.is_keyframe or at < following:
            return False
        following = at + step
        return True

    for frame in decoded(container, stream, damage, is_wanted if step else None):
        at = float(frame.time) if frame.time is not None else damage.seconds
        damage.seconds = max(damage.seconds, at + frame_seconds)
        yield at, cast("VideoFrame", frame)


def _scene(recording: _Recording, scene: Scene) -> Iterator[Part]:
    source, place = recording.source, span(scene.start, scene.stop)
    label = scene_line(scene.number, scene.start, scene.stop, scene.colours, scene.brightness, scene.motion)
    text, fault = label, None
    if source.models.caption:
        try:
            text += f"\nCaption: {caption(source.models.caption, scene.keyframe)}"
        except ModelError as error:
            fault = model_reject(source, "no caption", error)
    pieces = recording.reading.write(text, place=place, times=recording.times(scene.start, scene.stop))
    yield next(pieces)
    yield preview(scene.keyframe, kind="video", place=place, label=label)
    yield from pieces
    if fault is not None:
        yield fault


def _sound(recording: _Recording) -> Iterator[Part]:
    """A piece a segment of the first stream of sound, then what was wrong with it."""
    source, damage, meter = recording.source, Damage(), SoundMeter()
    for samples in _samples(source, damage):
        meter.hear(samples)
    speech = source.models.speech
    segments = meter.segments(_LONGEST_HEARD if speech else _LONGEST_SEGMENT)
    heard = _heard(source, segments) if speech else iter(())
    for segment in segments:
        said, fault = "", None
        if speech and segment.what == SPEECH:
            try:
                said = transcript(speech, next(heard))
            except ModelError as error:
                fault = model_reject(source, "no transcript", error)
        line = segment_line(segment.start, segment.stop, segment.what, segment.loudness, segment.peak)
        yield from recording.reading.write(
            f"{line}\nSaid: {said}" if said else line,
            place=span(segment.start, segment.stop),
            times=recording.times(segment.start, segment.stop),
        )
        if fault is not None:
            yield fault
    with source.open() as stream, opened(source, stream) as container:
        declared = length_of(container, audio_streams(container)[0])
    damage.seconds = meter.seconds
    yield from damage.reject(source, "sound", declared)


def _samples(source: Source, damage: Damage) -> Iterator[NDArray[np.float32]]:
    """The first stream of sound, mono, 16,000 samples a second, packet by packet."""
    from av import AudioResampler

    with source.open() as stream, opened(source, stream) as container:
        sound = audio_streams(container)[0]
        sound.codec_context.thread_count = 1
        resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
        # None at the end asks for what the resampler still holds.
        for frame in chain(decoded(container, sound, damage), (None,)):
            try:
                resampled = resampler.resample(cast("AudioFrame | None", frame))
            except decoder_errors() as error:
                damage.add(error)
                continue
            for part in resampled:
                yield cast("NDArray[np.float32]", part.to_ndarray())[0]


def _heard(source: Source, segments: list[Segment]) -> Iterator[NDArray[np.float32]]:
    """The samples of each segment of speech, one after the other. Holds no more than one of them."""
    spans = [(round(s.start * RATE), round(s.stop * RATE)) for s in segments if s.what == SPEECH]
    at, held = 0, list[NDArray[np.float32]]()
    samples = _samples(source, Damage())
    for start, stop in spans:
        while at < stop and (block := next(samples, None)) is not None:
            held.append(block)
            at += len(block)
        whole = np.concatenate(held) if held else np.zeros(0, np.float32)
        first = at - len(whole)
        yield whole[start - first : stop - first]
        held = [whole[stop - first :]]
