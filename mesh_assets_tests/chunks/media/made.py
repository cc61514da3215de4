"""Pictures, sound and video that tests make, small ones, and what comes of them when they are chunked."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mesh_assets.chunks.protocol import Attached, LocalModels, Part, Piece
from mesh_assets.chunks.registry import direct_chunker
from mesh_assets.intake.kinds import Detected, detect
from mesh_assets_tests.chunks.sources import source

RATE = 16_000
EMPTY = LocalModels()


def kind_of(data: bytes, path: str = "file") -> Detected:
    return detect(data[: 64 << 10], path, whole=len(data) <= 64 << 10)


def parts_of(
    data: bytes,
    path: str = "holiday/file",
    *,
    tokens: int = 256,
    models: LocalModels = EMPTY,
    found: Detected | None = None,
) -> list[Part]:
    """What the chunker of a file gives, in this process; of what intake finds it to be, or of `found`."""
    found = found or kind_of(data, path)
    given = replace(source(data, found.kind, found.format, path=path), encoding=found.encoding, models=models)
    chunker = direct_chunker(found.kind, found.format)
    assert chunker is not None, found
    return list(chunker.chunk(given, chunk_tokens=tokens))


def pieces_of(parts: Sequence[Part]) -> list[Piece]:
    return [part for part in parts if isinstance(part, Piece)]


def reading_of(parts: Sequence[Part]) -> str:
    """The reading, after checking that pieces count bytes and lines in it without a gap."""
    at, text = 0, ""
    for piece in pieces_of(parts):
        assert piece.byte_start == at
        assert piece.line_start == text.count("\n") + 1
        at = piece.byte_stop
        text += piece.text
        assert len(text.encode()) == at
    return text


def previews_of(parts: Sequence[Part]) -> list[dict[str, Any]]:
    return [part.row for part in parts if isinstance(part, Attached) and part.table == "previews"]


def photo(width: int = 160, height: int = 120, seed: int = 7) -> Image.Image:
    """What no ruler drew: smooth blobs of blue and brown with grain."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 1, (6, 8))
    blobs = np.asarray(
        Image.fromarray((small * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    )
    share = blobs[..., None] / 255
    colour = share * np.array([60, 90, 200]) + (1 - share) * np.array([110, 70, 40])
    return Image.fromarray(np.clip(colour + rng.normal(0, 6, colour.shape), 0, 255).astype(np.uint8))


def drawing() -> Image.Image:
    image = Image.new("RGB", (200, 120), "white")
    pen = ImageDraw.Draw(image)
    pen.rectangle((20, 20, 90, 100), fill="red")
    pen.ellipse((110, 20, 190, 100), fill="blue")
    return image


def page() -> Image.Image:
    """A page of print as a scanner gives it."""
    image = Image.new("RGB", (620, 877), (244, 243, 240))
    pen = ImageDraw.Draw(image)
    for line in range(60, 820, 18):
        pen.text((50, line), "The quick brown fox jumps over the lazy dog and tells of it in print. " * 2, fill="black")
    grain = np.random.default_rng(1).normal(0, 2, (877, 620, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def written(image: Image.Image, form: str, **more: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **more)
    return data.getvalue()


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 0.1, int(RATE * seconds)).astype(np.float32)


def chords(seconds: float) -> np.ndarray:
    """Three voices with overtones, a new chord twice a second."""
    rng, time = np.random.default_rng(3), np.arange(int(RATE * seconds)) / RATE
    sound = np.zeros_like(time)
    for start in np.arange(0, seconds, 0.5):
        since = np.maximum(time - start, 0)
        swell = np.where(time >= start, np.exp(-2 * since) * (1 - np.exp(-200 * since)), 0)
        for tone in rng.choice([0, 2, 4, 5, 7, 9, 11], 3, replace=False):
            pitch = 220 * 2 ** (tone / 12)
            sound += swell * sum(np.sin(2 * np.pi * pitch * n * since) / n for n in range(1, 6))
    return (sound / np.abs(sound).max() / 2).astype(np.float32)


def babble(seconds: float) -> np.ndarray:
    """What has the rhythm of speech: gliding, voiced syllables, four in a second, with gaps between words."""
    rng, count = np.random.default_rng(9), int(RATE * seconds)
    sound = rng.normal(0, 0.001, count + RATE)
    since = np.arange(int(RATE * 0.18)) / RATE
    swell = np.sin(np.pi * since / 0.18) ** 2
    for start in range(0, count, RATE // 4):
        if rng.uniform() >= 0.2:
            glide = 120 * since + rng.uniform(-400, 400) * since**2
            voice = sum(np.sin(2 * np.pi * glide * n) / n**0.5 for n in range(1, 20))
            sound[start : start + len(since)] += swell * voice * rng.uniform(0.5, 1)
    return (sound[:count] / np.abs(sound).max() / 2).astype(np.float32)


def sound_file(samples: np.ndarray, form: str = "wav", codec: str = "pcm_s16le", **tags: str) -> bytes:
    """Mono sound as a file."""
    import av

    data = io.BytesIO()
    with av.open(data, "w", format=form) as container:
        container.metadata.update(tags)
        _write_sound(container, container.add_stream(codec, rate=RATE, layout="mono"), samples)
    return data.getvalue()


def video_file(
    colours: Sequence[str],
    *,
    seconds: float = 1.0,
    rate: int = 10,
    form: str = "mp4",
    codec: str = "mpeg4",
    sound: np.ndarray | None = None,
    **tags: str,
) -> bytes:
    """A flat picture of each colour, one after the other, each for so many seconds."""
    import av

    data = io.BytesIO()
    with av.open(data, "w", format=form) as container:
        container.metadata.update(tags)
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        voice = None
        if sound is not None:
            voice = container.add_stream("aac", rate=RATE, layout="mono")
        for colour in colours:
            picture = av.VideoFrame.from_image(Image.new("RGB", (96, 64), colour))
            for _ in range(round(seconds * rate)):
                container.mux(stream.encode(picture.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
        if voice is not None and sound is not None:
            _write_sound(container, voice, sound)
    return data.getvalue()


def _write_sound(container: Any, stream: Any, samples: np.ndarray) -> None:
    import av

    resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=RATE)
    size = stream.codec_context.frame_size or 1024
    at = 0
    for start in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + size], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, at
        at += frame.samples
        for part in resampler.resample(frame):
            container.mux(stream.encode(part))
    container.mux(stream.encode(None))
