"""Speech, music, noise and silence are told apart, also in the recordings that are at hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mesh_assets.chunks.media.sound import BLOCK_SECONDS, RATE, Segment, SoundMeter
from mesh_assets_tests.chunks.media.made import babble, chords, noise


def heard(samples: np.ndarray, *, block: int = 1024, longest: float = 300.0) -> list[Segment]:
    meter = SoundMeter()
    for at in range(0, len(samples), block):
        meter.hear(samples[at : at + block])
    assert meter.seconds == pytest.approx(len(samples) / RATE)
    segments = meter.segments(longest)
    assert all(a.stop == b.start for a, b in pairwise(segments))
    assert not segments or (segments[0].start, segments[-1].stop) == (0, pytest.approx(len(samples) / RATE))
    return segments


def melody() -> np.ndarray:
    """Single notes with gaps between them: the rhythm of speech, but notes hold."""
    time = np.arange(6400) / RATE
    tones = np.random.default_rng(2).choice([262, 294, 330, 392, 440], 20)
    return np.concatenate([np.hanning(6400) * np.sin(2 * np.pi * tone * time) / 3 for tone in tones]).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        (babble(8), "speech"),
        (chords(8), "music"),
        (melody(), "music"),
        (np.sin(np.arange(RATE * 4) / 6).astype(np.float32), "music"),
        (noise(4), "noise"),
        (np.zeros(RATE * 3, np.float32), "silence"),
        (noise(3) / 1000, "silence"),
        (babble(0.3), "speech"),
    ],
)
def test_one_sound_is_one_segment(samples: np.ndarray, what: str) -> None:
    assert [segment.what for segment in heard(samples)] == [what]


def test_changes_are_found_within_a_second_and_a_half() -> None:
    silence = np.zeros(RATE * 3, np.float32)
    segments = heard(np.concatenate([babble(8), silence, chords(8), noise(6)]))
    assert [segment.what for segment in segments] == ["speech", "silence", "music", "noise"]
    for segment, stop in zip(segments, (8, 11, 19, 25), strict=True):
        assert abs(segment.stop - stop) <= 1.5


def test_loudness_is_that_of_the_sound() -> None:
    tone = (np.sin(np.arange(RATE * 4) / 3) / 2).astype(np.float32)
    (segment,) = heard(tone)
    assert segment.loudness == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)
    assert segment.peak == pytest.approx(20 * np.log10(0.5), abs=0.1)


def test_pauses_belong_to_the_speech_around_them() -> None:
    pause = np.zeros(RATE, np.float32)
    assert [s.what for s in heard(np.concatenate([babble(4), pause, babble(4)]))] == ["speech"]


def test_long_segments_are_cut_where_it_is_quiet() -> None:
    sound = babble(40)
    sound[RATE * 17 : RATE * 18] = 0
    segments = heard(sound, longest=20.0)
    assert len(segments) == 3
    assert all(segment.stop - segment.start <= 20.0 for segment in segments)
    assert 17 <= segments[0].stop <= 18 + BLOCK_SECONDS


def test_the_size_of_packets_changes_nothing() -> None:
    sound = np.concatenate([babble(3), chords(4)])
    assert heard(sound, block=100) == heard(sound, block=50_000)


def test_nothing_and_no_numbers_are_no_fault() -> None:
    assert heard(np.zeros(0, np.float32)) == []
    meter = SoundMeter()
    meter.hear(np.full(RATE, np.nan, np.float32))
    assert [segment.what for segment in meter.segments(300)] == ["silence"]
