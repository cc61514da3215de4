"""What sound is, second by second: speech, music, noise or silence, and how loud. NumPy only; files are read elsewhere.

The rule, on mono sound of 16,000 samples a second in frames of 20 ms, judged by the half second with a second and a
half around it on both sides:

* silence: 30 dB below the loud parts of the recording (its 95th percentile), within -60 and -45 dBFS;
* noise: the spectrum is flat (Wiener entropy, geometric by arithmetic mean of the power spectrum, above 0.1);
* speech: more than 18% of the frames have less than half of the mean amplitude, for syllables leave gaps that music
  does not (Saunders, Real-time discrimination of broadcast speech/music, ICASSP 1996; Scheirer and Slaney, ICASSP
  1997), and from one loud frame to the next the spectrum turns by more than 4% in the median: voices glide, notes hold;
* music: the rest.

Measured: all 21 seconds of two recordings of speech (LibriVox, an address of 1961) are speech, and chords, melodies,
tones and noises that the tests make are what they are; real music was not at hand. Where one turns into the other is
found within a second and a half. Drums alone pass for speech, and so may singing without instruments. Too few
recordings for a rate of error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
_FRAME = RATE // 50
# Frames of a block, the step in which sound is judged: half a second.
_BLOCK = 25
BLOCK_SECONDS = 0.5
# Blocks on each side that are heard along.
_AROUND = 3
_QUIET_BELOW, _QUIET_RANGE = 30.0, (-60.0, -45.0)
_FLAT = 0.1
_LOW_SHARE = 0.18
_HELD_TURN = 0.04
# Blocks: shorter silences are pauses of speech or music, and shorter segments belong to what is around them.
_LEAST_SILENCE, _LEAST_SEGMENT = 4, 6
_FFT = 512
# From 100 Hz: below is hum.
_LOWEST_BIN = 3
_NOTHING = 1e-12
SILENCE, SPEECH, MUSIC, NOISE = "silence", "speech", "music", "noise"
_LABELS = (SILENCE, SPEECH, MUSIC, NOISE)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a recording that is one thing, from `start` to `stop` in seconds; loudness in dBFS (RMS), and peak."""

    start: float
    stop: float
    what: str
    loudness: float
    peak: float


@dataclass(slots=True)
class SoundMeter:
    """Listens to a recording piece by piece. What it keeps is 3 MB an hour."""

    frames: int = 0
    _held: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    _powers: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    _flatness: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    _turns: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    _peaks: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    _last: NDArray[np.float64] | None = None

    @property
    def seconds(self) -> float:
        """How much was heard."""
        return (self.frames * _FRAME + len(self._held)) / RATE

    def hear(self, samples: NDArray[np.float32]) -> None:
        """The next samples, mono, -1 to 1."""
        held = np.concatenate([self._held, np.nan_to_num(samples)])
        whole = len(held) // _FRAME
        # Spectra of many frames at once, but not so many that they fill the caches.
        if whole >= 2 * _BLOCK:
            self._measure(held[: whole * _FRAME].reshape(whole, _FRAME))
            held = held[whole * _FRAME :]
        self._held = held

    def _measure(self, frames: NDArray[np.float32]) -> None:
        self.frames += len(frames)
        self._powers.append((frames**2).mean(axis=1))
        self._peaks.append(np.abs(frames).max(axis=1))
        sizes = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), _FFT, axis=1))[:, _LOWEST_BIN:] + _NOTHING
        # 1 - cosine of a spectrum and the one before.
        units = sizes / np.sqrt((sizes**2).sum(axis=1, keepdims=True))
        before = np.concatenate([units[:1] if self._last is None else self._last, units[:-1]])
        self._last = units[-1:]
        self._turns.append((1 - (units * before).sum(axis=1)).astype(np.float32))
        spectrum = sizes**2 + _NOTHING
        self._flatness.append((np.exp(np.log(spectrum).mean(axis=1)) / spectrum.mean(axis=1)).astype(np.float32))

    def _finish(self) -> None:
        """The rest that is held becomes frames, the last one filled up with what it has."""
        if len(self._held):
            count = -(-len(self._held) // _FRAME)
            self._measure(np.resize(self._held, count * _FRAME).reshape(count, _FRAME))
            self._held = self._held[:0]

    def segments(self, longest: float) -> list[Segment]:
        """The whole recording as segments in order, without gaps, none longer than `longest` seconds."""
        seconds = self.seconds
        self._finish()
        if not self.frames:
            return []
        powers, peaks = np.concatenate(self._powers), np.concatenate(self._peaks)
        labels = _smoothed(_labels(powers, np.concatenate(self._flatness), np.concatenate(self._turns)))
        starts = np.arange(0, self.frames, _BLOCK)
        loudness = np.add.reduceat(powers, starts, dtype=np.float64) / np.diff(np.append(starts, self.frames))
        found: list[Segment] = []
        for first, last in _cut_long(_runs(labels), loudness, int(longest / BLOCK_SECONDS)):
            part = slice(first * _BLOCK, last * _BLOCK)
            stop = seconds if last == len(labels) else last * BLOCK_SECONDS
            what = _LABELS[int(labels[first])]
            found.append(
                Segment(
                    first * BLOCK_SECONDS, stop, what, _decibel(powers[part].mean()), 2 * _decibel(peaks[part].max())
                )
            )
        return found


def _decibel(power: float) -> float:
    return float(10 * np.log10(max(float(power), _NOTHING)))


def _labels(powers: NDArray[np.float32], flatness: NDArray[np.float32], turns: NDArray[np.float32]) -> NDArray[np.int8]:
    """The index in `_LABELS` of each block, from what each frame has."""
    decibels = 10 * np.log10(np.maximum(powers, _NOTHING))
    quiet = float(np.clip(np.percentile(decibels, 95) - _QUIET_BELOW, *_QUIET_RANGE))
    amplitudes = np.sqrt(powers)
    labels = np.empty(-(-len(powers) // _BLOCK), np.int8)
    for block in range(len(labels)):
        own = slice(block * _BLOCK, (block + 1) * _BLOCK)
        around = slice(max(block - _AROUND, 0) * _BLOCK, (block + _AROUND + 1) * _BLOCK)
        heard = decibels[around] >= quiet
        if _decibel(powers[own].mean()) < quiet or not heard.any():
            what = SILENCE
        elif float(flatness[around][heard].mean()) > _FLAT:
            what = NOISE
        else:
            what = SPEECH if _is_speech(amplitudes[around], turns[around]) else MUSIC
        labels[block] = _LABELS.index(what)
    return labels


def _is_speech(amplitudes: NDArray[np.float32], turns: NDArray[np.float32]) -> bool:
    if (amplitudes < amplitudes.mean() / 2).mean() <= _LOW_SHARE:
        return False
    return float(np.median(turns[amplitudes > amplitudes.max() / 10])) > _HELD_TURN


def _runs(labels: NDArray[np.int8]) -> list[tuple[int, int]]:
    """First and last (exclusive) of each run of equal labels."""
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return list(pairwise(edges))


def _smoothed(labels: NDArray[np.int8]) -> NDArray[np.int8]:
    """Labels without runs that are too short: each becomes what the longer one of its neighbours is, shortest first."""
    labels = labels.copy()
    silence = _LABELS.index(SILENCE)
    for least in range(1, _LEAST_SEGMENT):
        runs = _runs(labels)
        for at, (first, last) in enumerate(runs):
            is_silence = labels[first] == silence
            if last - first > least or (is_silence and last - first >= _LEAST_SILENCE) or len(runs) == 1:
                continue
            beside = [runs[i] for i in (at - 1, at + 1) if 0 <= i < len(runs)]
            # Sound beside silence stays sound, however short.
            beside = [run for run in beside if is_silence or labels[run[0]] != silence]
            if beside:
                labels[first:last] = labels[max(beside, key=lambda run: run[1] - run[0])[0]]
    return labels


def _cut_long(runs: list[tuple[int, int]], loudness: NDArray[np.float64], most: int) -> list[tuple[int, int]]:
    """`runs` with those of more than `most` blocks cut where it is quietest in the last sixth."""
    cut: list[tuple[int, int]] = []
    for first, last in runs:
        while last - first > most:
            earliest = first + most - max(most // 6, 1)
            stop = earliest + 1 + int(np.argmin(loudness[earliest : first + most]))
            cut.append((first, stop))
            first = stop
        cut.append((first, last))
    return cut
