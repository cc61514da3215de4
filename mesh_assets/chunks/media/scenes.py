"""Scenes of a video as its frames come by: where they begin, how they look, how much moves, and a keyframe of each.

Cuts are found by PySceneDetect's content detector: the mean change of hue, saturation and lightness from one frame to
the next, here of at least 15 of 255 (27, its default, misses cuts between flat pictures). It gets every frame of videos
that are decoded in a minute or so. Of longer ones only keyframes of the codec are decoded, one in `sample_step` seconds
at most, and twice as much must change, because more moves in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.media.colours import WORDS, colour_shares, colour_words, lab
from mesh_assets.chunks.media.looks import THUMBNAIL_PIXELS, brightness_word

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL.Image import Image

_THRESHOLD, _SAMPLED_THRESHOLD = 15.0, 30.0
_LEAST_SECONDS = 0.6
# Where red, green and blue differ by less, a pixel has no hue to speak of.
_FAINT = 16
# A scene that goes on for longer is cut: so much of it would hide behind one picture.
LONGEST_SECONDS = 300.0
# Pixels that are decoded of one video, 500 million in a CPU-second (H.264): 5 minutes in full HD, 48 in 640 x 360.
_FULL_PIXELS = 2e10
_SAMPLES, _LEAST_STEP = 2_000, 2.0
# Where its head does not say how long a video is: a megabit a second.
_BYTES_A_SECOND = 125_000
_LOOKED_AT_PIXELS = 256
# Seconds between two frames that are compared for motion, and between two whose colours count.
_MOTION_STEP, _COLOUR_STEP = 0.5, 1.0
# The first candidate for the keyframe after so many seconds; the next ones at twice the time of the last.
_FIRST_CANDIDATE = 0.25
# Mean change of the green value (0 to 255) from one frame to one half a second later.
_MOTION_WORDS = ((1.0, "still"), (4.0, "little motion"), (12.0, "some motion"))


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene, from `start` to `stop` in seconds; `keyframe` is RGB and at most as wide as a thumbnail."""

    number: int
    start: float
    stop: float
    keyframe: Image
    colours: str
    brightness: str
    motion: str


@dataclass(slots=True)
class _Current:
    """The scene that goes on."""

    start: float
    candidates: list[tuple[float, Image]] = field(default_factory=list[tuple[float, "Image"]])
    shares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(WORDS)))
    lightness: float = 0.0
    coloured: int = 0
    coloured_at: float = -np.inf
    motion: float = 0.0
    moved: int = 0
    compared: NDArray[np.int16] | None = None
    compared_at: float = -np.inf


class SceneWatcher:
    """Gets the frames of one video in order. Its memory is that of a dozen small pictures."""

    def __init__(self, *, sampled: bool) -> None:
        from scenedetect.detector import FlashFilter  # pyright: ignore[reportMissingTypeStubs]
        from scenedetect.detectors import ContentDetector  # pyright: ignore[reportMissingTypeStubs]

        self._detector = ContentDetector(
            threshold=_SAMPLED_THRESHOLD if sampled else _THRESHOLD,
            min_scene_len=_LEAST_SECONDS,
            filter_mode=FlashFilter.Mode.SUPPRESS,
        )
        self._current: _Current | None = None
        self._count = 0

    def look(self, at: float, frame: VideoFrame) -> Iterator[Scene]:
        """The next frame (of PyAV), shown at `at` seconds; the scene that ends there, if one does."""
        from scenedetect import FrameTimecode  # pyright: ignore[reportMissingTypeStubs]

        small = _reduced(frame, _LOOKED_AT_PIXELS, "bgr24")
        is_cut = bool(self._detector.process_frame(FrameTimecode(max(at, 0.0), 1000.0), _without_faint_hues(small)))
        if self._current is not None and (is_cut or at - self._current.start >= LONGEST_SECONDS):
            yield self._ended(at)
        if self._current is None:
            self._current = _Current(at)
        _take_in(self._current, at, frame, small)

    def end(self, at: float) -> Iterator[Scene]:
        """The last scene, where there was a frame at all."""
        if self._current is not None:
            yield self._ended(max(at, self._current.start))

    def _ended(self, at: float) -> Scene:
        current = cast(_Current, self._current)
        self._current = None
        self._count += 1
        middle = (at - current.start) / 2
        keyframe = next((image for after, image in reversed(current.candidates) if after <= middle), None)
        motion = current.motion / current.moved if current.moved else 0.0
        return Scene(
            self._count,
            current.start,
            at,
            keyframe or current.candidates[0][1],
            colour_words(current.shares / current.coloured),
            brightness_word(current.lightness / current.coloured),
            next((word for most, word in _MOTION_WORDS if motion < most), "much motion"),
        )


def _take_in(current: _Current, at: float, frame: VideoFrame, small: NDArray[np.uint8]) -> None:
    if at - current.compared_at >= _MOTION_STEP:
        green = small[..., 1].astype(np.int16)
        if current.compared is not None and current.compared.shape == green.shape:
            current.motion += float(np.abs(green - current.compared).mean())
            current.moved += 1
        current.compared, current.compared_at = green, at
    if at - current.coloured_at >= _COLOUR_STEP:
        pixels = np.ascontiguousarray(small[::2, ::2, ::-1])
        current.shares += colour_shares(pixels)
        current.lightness += float(lab(pixels)[..., 0].mean())
        current.coloured += 1
        current.coloured_at = at
    after = at - current.start
    if not current.candidates or after >= max(_FIRST_CANDIDATE, 2 * current.candidates[-1][0]):
        current.candidates.append((after, _thumbnail(frame)))


def _without_faint_hues(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`pixels` with nearly grey ones in grey: their hue is noise, and all of it counts when the detector compares."""
    # Channel by channel: reductions over an axis of three take ten times as long.
    channels = [pixels[..., at] for at in range(3)]
    lightest = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    darkest = np.minimum(np.minimum(channels[0], channels[1]), channels[2])
    is_faint = lightest - darkest < _FAINT
    return np.stack([np.where(is_faint, lightest, channel) for channel in channels], axis=-1)


def _reduced(frame: VideoFrame, pixels: int, form: str) -> NDArray[np.uint8]:
    """The frame as an array of at most so many pixels on its longer side."""
    scale = min(pixels / max(frame.width, frame.height), 1.0)
    width, height = (max(round(side * scale), 1) for side in (frame.width, frame.height))
    return cast("NDArray[np.uint8]", frame.reformat(width=width, height=height, format=form).to_ndarray())


def _thumbnail(frame: VideoFrame) -> Image:
    from PIL import Image as Images

    image = Images.fromarray(_reduced(frame, THUMBNAIL_PIXELS, "rgb24"))
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def sample_step(size: int, width: int, height: int, rate: float, seconds: float) -> float:
    """Seconds between two frames that are decoded of a video of `size` bytes; 0 where all are."""
    seconds = seconds or size / _BYTES_A_SECOND
    if width * height * rate * seconds <= _FULL_PIXELS:
        return 0.0
    return max(_LEAST_STEP, seconds / _SAMPLES)
