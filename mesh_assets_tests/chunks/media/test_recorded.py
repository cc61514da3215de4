"""Sound and video are found by their scenes and segments, each with its place; what is damaged in them is said."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mesh_assets.chunks.media import recorded, scenes
from mesh_assets.chunks.media.facts import recording_facts, scene_seconds, segment_facts
from mesh_assets.chunks.media.looks import THUMBNAIL_BYTES
from mesh_assets.chunks.media.recordings import SOUND_FORMATS
from mesh_assets.errors import FormatError, SourceError
from mesh_assets.intake.kinds import Detected
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.media.made import (
    RATE,
    babble,
    chords,
    kind_of,
    noise,
    parts_of,
    pieces_of,
    previews_of,
    reading_of,
    sound_file,
    video_file,
)

SILENCE = np.zeros(RATE * 3, np.float32)


def rejects(data: bytes) -> list[Reject]:
    return [part for part in parts_of(data) if isinstance(part, Reject)]


def test_a_video_is_scenes_with_a_keyframe_each_and_its_sound() -> None:
    data = video_file(
        ["red", "blue", "white"],
        sound=np.concatenate([babble(4), SILENCE]),
        title="Trip",
        creation_time="2020-05-01T10:00:00Z",
    )
    parts = parts_of(data, "holiday/trip.mp4")
    assert reading_of(parts).splitlines() == [
        "Video, MP4, 96 x 64, 3.0 s long, 10 frames a second, mpeg4; sound aac, 1 channel at 16,000 Hz.",
        "Recorded: 2020-05-01 10:00:00 UTC",
        "Title: Trip",
        "Scene 1, 0:00 to 0:01, 1.0 s, nearly all red, evenly lit, still.",
        "Scene 2, 0:01 to 0:02, 1.0 s, nearly all blue, dim, still.",
        "Scene 3, 0:02 to 0:03, 1.0 s, nearly all white, bright, still.",
        "Speech from 0:00 to 0:04, 4.0 s, -25 dBFS on average, peak -6.",
        "Silence from 0:04 to 0:07, 3.0 s.",
    ]
    pieces = pieces_of(parts)
    assert [piece.place for piece in pieces[1:4]] == ["0:00 to 0:01", "0:01 to 0:02", "0:02 to 0:03"]
    began = datetime(2020, 5, 1, 10, tzinfo=UTC)
    assert (pieces[2].time_start, pieces[2].time_stop) == (began + timedelta(seconds=1), began + timedelta(seconds=2))
    assert {piece.context for piece in pieces} == {"holiday/trip.mp4"}
    previews = previews_of(parts)
    assert [preview["place"] for preview in previews] == ["0:00 to 0:01", "0:01 to 0:02", "0:02 to 0:03"]
    for preview, expected in zip(previews, ((255, 0, 0), (0, 0, 255), (255, 255, 255)), strict=True):
        assert len(preview["image"]) <= THUMBNAIL_BYTES
        with Image.open(io.BytesIO(preview["image"])) as seen:
            assert np.abs(np.asarray(seen).mean(axis=(0, 1)) - expected).max() < 12


def test_facts_are_read_as_they_are_written() -> None:
    head, scene, sound = pieces_of(parts_of(video_file(["red"], sound=chords(4))))
    facts = recording_facts(head.text)
    assert facts is not None
    assert (facts.sort, facts.form, facts.width, facts.height, facts.seconds) == ("Video", "MP4", 96, 64, 1.0)
    assert scene_seconds(scene.text) == 1.0
    assert segment_facts(sound.text) == ("music", 4.0)
    assert recording_facts(sound.text) is scene_seconds(head.text) is segment_facts(scene.text) is None


@pytest.mark.parametrize(
    ("form", "codec"),
    [
        *(("mp4", "mpeg4"), ("mov", "mpeg4"), ("webm", "libvpx"), ("matroska", "mpeg4"), ("avi", "mjpeg")),
        *(("mpegts", "mpeg2video"), ("mpeg", "mpeg1video"), ("flv", "flv"), ("asf", "wmv2"), ("mp4", "libx264")),
    ],
)
def test_every_format_of_video_is_read(form: str, codec: str) -> None:
    parts = parts_of(video_file(["red", "blue"], form=form, codec=codec, rate=25 if codec[:4] == "mpeg" else 10))
    text = reading_of(parts)
    assert "Scene 1, 0:00 to 0:01" in text
    assert "nearly all red" in text
    assert "nearly all blue" in text
    assert len(previews_of(parts)) == 2


@pytest.mark.parametrize(
    ("form", "codec"),
    [
        *(("wav", "pcm_s16le"), ("mp3", "libmp3lame"), ("flac", "flac"), ("ogg", "libopus"), ("adts", "aac")),
        *(("ipod", "aac"), ("matroska", "flac"), ("aiff", "pcm_s16be"), ("au", "pcm_s16be")),
    ],
)
def test_every_format_of_sound_is_read(form: str, codec: str) -> None:
    parts = parts_of(sound_file(chords(2), form, codec))
    text = reading_of(parts)
    assert text.startswith("Sound, ")
    assert "\nMusic from 0:00 to 0:02, " in text
    assert not previews_of(parts)


def test_sound_is_segments_with_places() -> None:
    data = sound_file(np.concatenate([babble(8), SILENCE, noise(6)]), title="Talk", artist="Somebody")
    pieces = pieces_of(parts_of(data))
    assert (
        pieces[0].text == "Sound, WAV, 17.0 s long, pcm_s16le, 1 channel at 16,000 Hz.\nTitle: Talk\nArtist: Somebody\n"
    )
    assert [piece.place for piece in pieces[1:]] == ["0:00 to 0:08", "0:08 to 0:11", "0:11 to 0:17"]
    assert [piece.text.split()[0] for piece in pieces[1:]] == ["Speech", "Silence", "Noise"]


def test_what_calls_itself_a_video_may_be_sound_alone() -> None:
    text = reading_of(parts_of(sound_file(chords(2), "mp4", "aac")))
    assert text.startswith("Sound, MP4, 2.0 s long, aac, ")


def test_the_reading_does_not_depend_on_the_size_of_chunks() -> None:
    data = video_file(["red", "blue"], sound=chords(3), description="A long story. " * 60)
    assert reading_of(parts_of(data, tokens=40)) == reading_of(parts_of(data, tokens=2000))


def test_of_long_videos_keyframes_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    data = video_file(["red", "blue", "white"], seconds=6, codec="mjpeg", form="avi")
    monkeypatch.setattr(scenes, "_FULL_PIXELS", 1000)
    looked = []
    look = scenes.SceneWatcher.look

    def counting(self: scenes.SceneWatcher, at: float, frame: object) -> Iterator[scenes.Scene]:
        looked.append(at)
        return look(self, at, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(scenes.SceneWatcher, "look", counting)
    text = reading_of(parts_of(data))
    assert "of its pictures one in 2.0 s was looked at" in text
    assert looked == pytest.approx([0, 2, 4, 6, 8, 10, 12, 14, 16], abs=0.1)
    assert "Scene 2, 0:06 to 0:12, 6.0 s, nearly all blue" in text
    assert not rejects(data)


def test_a_scene_that_goes_on_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "LONGEST_SECONDS", 2.0)
    text = reading_of(parts_of(video_file(["green"], seconds=5)))
    assert [line.split(", ")[1] for line in text.splitlines()[1:]] == ["0:00 to 0:02", "0:02 to 0:04", "0:04 to 0:05"]


def test_a_keyframe_is_of_the_middle_of_its_scene() -> None:
    # A scene begins dark, as films do that fade in; each step is too small for a cut.
    greys = [f"#{value:02x}{value:02x}{value:02x}" for value in range(0, 250, 6)]
    data = video_file(greys, seconds=0.1)
    (preview,) = previews_of(parts_of(data))
    with Image.open(io.BytesIO(preview["image"])) as seen:
        assert 40 < np.asarray(seen).mean() < 130


def test_a_video_that_is_cut_off_says_so_and_gives_what_is_there() -> None:
    data = video_file(["red", "blue", "white", "green"], form="matroska")
    (reject,) = rejects(data[: len(data) * 2 // 3])
    assert reject.reason == "video is cut off"
    assert reject.is_part
    assert reject.detail == "its head says 4.0 s, 2.0 s are there"
    text = reading_of(parts_of(data[: len(data) * 2 // 3]))
    assert "Scene 2, 0:01 to 0:02, 1.0 s, nearly all blue" in text


def test_a_damaged_frame_is_counted_and_the_others_are_read() -> None:
    data = video_file(["red", "blue", "white", "green"], form="avi", codec="mjpeg")
    (reject,) = rejects(data[: len(data) // 2])
    assert reject.reason == "damaged video"
    assert "1 packets could not be decoded" in reject.detail


def test_sound_that_is_cut_off_says_so() -> None:
    (reject,) = rejects(sound_file(noise(6), "flac", "flac")[:60_000])
    assert reject.reason == "sound is cut off"


def test_an_mp4_without_its_index_is_a_reject() -> None:
    with pytest.raises(FormatError) as error:
        data = video_file(["red", "blue", "white", "green"])
        parts_of(data[: len(data) // 2])
    assert error.value.reason == "broken mp4"


def test_a_recording_of_nothing_is_a_reject() -> None:
    empty = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0"
    with pytest.raises(FormatError, match="holds no frame"):
        parts_of(empty)


MAGICS = [
    *((b"RIFF\xff\0\0\0WAVEfmt ", "wav"), (b"RIFF\xff\0\0\0AVI LIST", "avi"), (b"fLaC\0\0\0\x22", "flac")),
    *((b"OggS\0\x02" + bytes(22) + b"OpusHead", "opus"), (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "mp4")),
    *(
        (b"\x1aE\xdf\xa3\x9fB\x82\x84webm", "webm"),
        (b"FLV\x01\x05\0\0\0\x09", "flv"),
        (b"ID3\x04\0\0\0\0\0\x02", "mp3"),
    ),
    *((b"\0\0\x01\xba", "mpeg"), (b"FORM\0\0\0\0AIFFCOMM", "aiff"), (b".snd\0\0\0\x18", "au"), (b"#!AMR\n", "amr")),
]


@given(st.sampled_from(MAGICS), st.binary(max_size=600))
@settings(max_examples=120, deadline=None)
def test_any_bytes_behind_a_magic_are_read_or_refused(magic: tuple[bytes, str], rest: bytes) -> None:
    refused(magic[0] + rest, Detected("audio" if magic[1] in SOUND_FORMATS else "video", magic[1]))


WHOLE = {
    data: kind_of(data)
    for data in (
        video_file(["red", "blue"], seconds=0.5, sound=chords(1)),
        video_file(["red", "blue"], seconds=0.5, form="matroska", codec="libx264"),
        video_file(["red", "blue"], seconds=0.5, form="mpegts", codec="mpeg2video", rate=25),
        sound_file(chords(1)),
        sound_file(chords(1), "flac", "flac"),
        sound_file(chords(1), "ogg", "libopus"),
        sound_file(chords(1), "mp3", "libmp3lame"),
    )
}


@given(st.integers(0, len(WHOLE) - 1), st.data())
@settings(max_examples=80, deadline=None)
def test_damaged_recordings_are_read_or_refused(chosen: int, data: st.DataObject) -> None:
    whole, found = list(WHOLE.items())[chosen]
    damaged = bytearray(whole[: data.draw(st.integers(400, len(whole)))])
    for at in data.draw(st.lists(st.integers(12, len(damaged) - 1), max_size=12)):
        damaged[at] = data.draw(st.integers(0, 255))
    refused(bytes(damaged), found)


def refused(data: bytes, found: Detected) -> None:
    """Parts that hang together, or a SourceError with words in it: anything else fails the test."""
    try:
        reading_of(parts_of(data, found=found))
    except SourceError as error:
        assert error.reason
        assert error.remedy


def test_what_is_long_is_heard_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_LONGEST_SEGMENT", 4.0)
    pieces = pieces_of(parts_of(sound_file(noise(9))))[1:]
    assert len(pieces) >= 3
    assert all(segment_facts(piece.text)[1] <= 4.0 for piece in pieces)  # type: ignore[index]
