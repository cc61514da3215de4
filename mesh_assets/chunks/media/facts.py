"""The lines in which readings of media tell facts: how they are written, and how they are read again.

Insights count from the readings, so that each number leads to a chunk that says it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_assets.chunks.media.reading import span

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream

HASH = "Perceptual hash: "
_FORMS = {
    **{name: name.upper() for name in ("png", "jpeg", "gif", "tiff", "bmp", "ico", "psd", "avif", "heic", "svg")},
    **{name: name.upper() for name in ("wav", "mp3", "flac", "aac", "m4a", "aiff", "au", "amr", "wma")},
    **{name: name.upper() for name in ("mp4", "avi", "mov", "flv", "mpeg", "wmv", "3gp")},
    "webp": "WebP",
    "webm": "WebM",
    "jpeg2000": "JPEG 2000",
    "ogg": "Ogg",
    "opus": "Opus",
    "matroska": "Matroska",
    "mpegts": "MPEG-TS",
}
_MODES = {
    "P": "palette",
    "1": "black and white",
    "L": "grey",
    "LA": "grey",
    "I;16": "grey, 16 bits",
    "I": "grey",
    "F": "grey",
}
_PICTURE = re.compile(
    r"^(?:Page \d+ of \d+, )?(?P<sort>photo|drawing|scan|vector drawing), (?P<form>[^,\n]+), "
    r"(?P<width>\d+) x (?P<height>\d+)(?P<origin>[^\n]*), (?P<colours>(?:mostly|nearly all) [a-z, ]+)\.$",
    re.MULTILINE | re.IGNORECASE,
)
_TAKEN = re.compile(r" taken (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_AT = re.compile(r" at ([\d.]+ [NS] [\d.]+ [EW])")
_WITH = re.compile(r" with (.+)")
_HASH = re.compile(rf"^{HASH}([0-9a-f]{{16}})$", re.MULTILINE)
_RECORDING = re.compile(
    r"^(?P<sort>Video|Sound), (?P<form>[^,\n]+), (?:(?P<width>\d+) x (?P<height>\d+), )?(?P<seconds>[\d.]+) s long",
    re.MULTILINE,
)
_SEGMENT = re.compile(
    r"^(?P<what>Speech|Music|Noise|Silence) from [\d:]+ to [\d:]+, (?P<seconds>[\d.]+) s\b", re.MULTILINE
)
_SCENE = re.compile(r"^Scene \d+, [\d:]+ to [\d:]+, (?P<seconds>[\d.]+) s, ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What the line of a picture says; `hash` is None where it has none."""

    sort: str
    form: str
    width: int
    height: int
    taken: str | None
    place: str | None
    camera: str | None
    colours: tuple[str, ...]
    hash: int | None


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """What the line of a whole recording says; a side of 0 is that of sound."""

    sort: str
    form: str
    width: int
    height: int
    seconds: float


def form_name(form: str) -> str:
    """A format as people write it."""
    return _FORMS.get(form, form)


def picture_line(
    sort: str,
    *,
    form: str,
    size: tuple[int, int],
    mode: str = "",
    taken: str = "",
    place: str = "",
    camera: str = "",
    colours: str,
) -> str:
    """`Photo, JPEG, 1024 x 768, RGB, taken 2019-05-04 10:22:00 at 48.85837 N 2.29448 E with Canon EOS 80D, mostly red.`

    What is not known is left out.
    """
    words = [sort, form_name(form), f"{size[0]} x {size[1]}", *([_MODES.get(mode, mode)] if mode else [])]
    came = " ".join(f"{word} {what}" for word, what in (("taken", taken), ("at", place), ("with", camera)) if what)
    return f"{', '.join([*words, *([came] if came else []), colours])}."


def picture_facts(text: str) -> PictureFacts | None:
    """What the reading of a picture or page says of it; None where `text` has no such line."""
    found = _PICTURE.search(text)
    if found is None:
        return None
    digits = _HASH.search(text)
    taken, place, camera = ((m[1] if (m := f.search(found["origin"])) else None) for f in (_TAKEN, _AT, _WITH))
    return PictureFacts(
        found["sort"].capitalize(),
        found["form"],
        int(found["width"]),
        int(found["height"]),
        taken,
        place,
        camera,
        tuple(re.split(r", | and ", re.sub(r"^(?:mostly|nearly all) ", "", found["colours"]))),
        int(digits[1], 16) if digits else None,
    )


def recording_line(form: str, seconds: float, pictures: list[VideoStream], sounds: list[AudioStream]) -> str:
    """`Video, MP4, 768 x 432, 30.2 s long, 12.5 frames a second, h264; sound aac, 2 channels at 48,000 Hz.`.

    Of streams of PyAV, the first of each sort. A length that the head does not say is not written.
    """
    long = [f"{seconds:.1f} s long"] if seconds else []
    heard = ""
    if sounds:
        codec = sounds[0].codec_context
        channels = f"{codec.channels} channel" + ("s" if codec.channels != 1 else "")
        heard = f"{codec.name.removesuffix('float')}, {channels} at {codec.sample_rate or 0:,} Hz"
    if not pictures:
        return f"{', '.join(['Sound', form_name(form), *long, heard])}."
    seen = pictures[0]
    rate = f"{float(seen.average_rate or 0):.4g} frames a second"
    words = ["Video", form_name(form), f"{seen.width} x {seen.height}", *long, rate, seen.codec_context.name]
    return f"{', '.join(words)}{f'; sound {heard}' if heard else '; no sound'}."


def recording_facts(text: str) -> RecordingFacts | None:
    """What the reading of a recording says of the whole; None where `text` has no such line."""
    found = _RECORDING.search(text)
    if found is None:
        return None
    width, height = int(found["width"] or 0), int(found["height"] or 0)
    return RecordingFacts(found["sort"], found["form"], width, height, float(found["seconds"]))


def scene_line(number: int, start: float, stop: float, colours: str, brightness: str, motion: str) -> str:
    """`Scene 3, 0:12 to 0:19, 7.2 s, mostly blue and white, bright, much motion.`."""
    return f"Scene {number}, {span(start, stop)}, {stop - start:.1f} s, {colours}, {brightness}, {motion}."


def scene_seconds(text: str) -> float | None:
    """How long the scene goes that `text` tells of; None where it tells of none."""
    found = _SCENE.search(text)
    return float(found["seconds"]) if found else None


def segment_line(start: float, stop: float, what: str, loudness: float, peak: float) -> str:
    """`Speech from 0:12 to 0:31, 19.0 s, -23 dBFS on average, peak -3.`; of silence only how long it is."""
    loud = "" if what == "silence" else f", {_level(loudness)} dBFS on average, peak {_level(peak)}"
    return f"{what.capitalize()} from {span(start, stop)}, {stop - start:.1f} s{loud}."


def _level(decibel: float) -> int:
    return min(round(decibel), 0)  # resampling may overshoot full scale


def segment_facts(text: str) -> tuple[str, float] | None:
    """What a segment of sound is and its seconds; None where `text` tells of none."""
    found = _SEGMENT.search(text)
    return (found["what"].lower(), float(found["seconds"])) if found else None
