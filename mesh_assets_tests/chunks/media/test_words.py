"""Speech becomes text and pictures become sentences where a model of this machine is set; one that fails is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mesh_assets.chunks.confined import close_reader
from mesh_assets.chunks.media import recorded, words
from mesh_assets.chunks.protocol import LocalModels, Part
from mesh_assets.chunks.registry import chunker_for, reading_settings
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.media.made import (
    RATE,
    babble,
    drawing,
    parts_of,
    pieces_of,
    previews_of,
    reading_of,
    sound_file,
    video_file,
    written,
)
from mesh_assets_tests.chunks.media.tiny_models import make_caption_model, make_speech_model
from mesh_assets_tests.chunks.sources import source


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> LocalModels:
    folder = tmp_path_factory.mktemp("models")
    return LocalModels(str(make_speech_model(folder / "speech")), str(make_caption_model(folder / "caption")))


TALK = np.concatenate([babble(5), np.zeros(RATE * 3, np.float32), babble(4)])


def test_what_is_said_stands_in_the_segment_that_says_it(models: LocalModels) -> None:
    parts = parts_of(sound_file(TALK), models=models)
    speech, silence, more = pieces_of(parts)[1:]
    assert speech.text.startswith("Speech from 0:00 to 0:05, 5.0 s, ")
    assert "\nSaid: " in speech.text
    assert len(speech.text.partition("\nSaid: ")[2].strip()) > 3
    assert silence.text == "Silence from 0:05 to 0:08, 3.0 s.\n"
    assert "\nSaid: " in more.text
    assert reading_of(parts) == reading_of(parts_of(sound_file(TALK), models=models, tokens=2000))
    assert "Said" not in reading_of(parts_of(sound_file(TALK)))


def test_each_segment_is_heard_alone_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[np.ndarray] = []
    monkeypatch.setattr(recorded, "transcript", lambda model, samples: asked.append(samples) or "words")
    long = babble(70)
    parts = parts_of(sound_file(long), models=LocalModels(speech="model"))
    assert len(asked) >= 3
    assert all(len(samples) <= 30 * RATE for samples in asked)
    np.testing.assert_allclose(np.concatenate(asked), long, atol=1e-4)
    assert reading_of(parts).count("\nSaid: words\n") == len(asked)


def test_pictures_and_scenes_have_captions(models: LocalModels) -> None:
    parts = parts_of(written(drawing(), "PNG"), models=models)
    assert "\nCaption: " in reading_of(parts)
    assert len(previews_of(parts)) == 1
    scenes = reading_of(parts_of(video_file(["red"], seconds=0.5), models=replace(models, speech="")))
    assert scenes.count("\nCaption: ") == 1


def test_a_model_that_is_none_is_a_reject_and_the_file_is_read(tmp_path: Path) -> None:
    for data, models in (
        (written(drawing(), "PNG"), LocalModels(caption=str(tmp_path))),
        (sound_file(babble(4)), LocalModels(speech="nobody/no-such-model")),
    ):
        parts = parts_of(data, models=models)
        assert reading_of(parts) == reading_of(parts_of(data))
        (reject,) = [part for part in parts if isinstance(part, Reject)]
        assert reject.reason in ("no caption", "no transcript")
        assert reject.is_part
        assert "MESH_" in reject.detail
        assert "mesh backfill" in reject.remedy


def test_the_child_that_reads_files_may_read_the_model(models: LocalModels) -> None:
    data = sound_file(babble(4))
    given = replace(source(data, "audio", "wav"), encoding=None, models=replace(models, caption=""))
    chunker = chunker_for("audio", "wav")
    assert chunker is not None
    try:
        parts: list[Part] = list(chunker.chunk(given, chunk_tokens=256))
    finally:
        close_reader()
    assert reading_of(parts) == reading_of(parts_of(data, "a/file", models=given.models))
    assert "\nSaid: " in reading_of(parts)


def test_only_slices_that_may_hold_media_depend_on_the_models() -> None:
    models = LocalModels.of({"speech_model": "whisper", "caption_model": "off"})
    assert models == LocalModels(speech="whisper")
    assert reading_settings([("log", "log"), ("code", "python")], models) == {}
    settings = reading_settings([("log", "log"), ("audio", "mp3")], models)
    assert settings["speech_model"] == "whisper"
    assert settings["caption_model"] == "off"
    assert LocalModels.of(settings) == models


def test_a_model_is_found_by_folder_or_by_its_name_in_the_cache(tmp_path: Path) -> None:
    assert words.model_folders("") == []
    assert words.model_folders(str(tmp_path)) == [tmp_path]
    (cached,) = words.model_folders("openai/whisper-tiny")
    assert cached.name == "models--openai--whisper-tiny"
