"""A text that one slice had embedded is not embedded for another: bounded, for many runs, gone when forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.resources.labels import connect_labeller
from mesh_assets.settings import Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage import shared_vectors
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.shared_vectors import SharedVectors, forget_shared, keep_models
from mesh_assets_tests.storage.test_known_vectors import Recording, embed

MODEL = FakeEncoder().model


def shared(state: Path, dataset: str = "a", *, model: str = MODEL, slots: int = 1 << 12) -> SharedVectors:
    return SharedVectors(state, model, dataset=dataset, log=print, slots=slots)


def hash_of(text: str) -> bytes:
    return blake3(text.encode()).digest(length=16)


def vector_of(digest: bytes) -> NDArray[np.float16]:
    return np.frombuffer(digest * 8, np.uint8).astype(np.float16)


def numbered(start: int, stop: int) -> dict[bytes, NDArray[np.float16]]:
    return {digest: vector_of(digest) for n in range(start, stop) for digest in [hash_of(str(n))]}


def file_of(state: Path) -> Path:
    (path,) = (state / "embedded").iterdir()
    return path


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from("uvwxyz") | st.text(max_size=3))), max_size=6)
)
@hypothesis_settings(max_examples=8, deadline=None)
def test_a_text_is_embedded_once_for_all_slices_and_gets_the_vector_it_would_get_alone(
    tmp_path_factory: pytest.TempPathFactory, slices: list[tuple[str, list[str]]]
) -> None:
    state = tmp_path_factory.mktemp("state")
    lake, before = Lake(state / "lake"), set[str]()
    for number, (dataset, texts) in enumerate(slices):
        key, encoder = str(SliceKey(dataset, number)), Recording()
        vectors, counts = embed(lake, texts, encoder, slice_key=key, shared=shared(state, dataset))
        assert sorted(encoder.seen) == sorted(set(texts) - before)
        assert counts["reused"] == len(set(texts) & before)
        assert vectors == embed(Lake(tmp_path_factory.mktemp("lake")), texts, Recording())[0]
        before |= set(texts)


def test_what_a_forgotten_dataset_had_embedded_is_overwritten_and_the_rest_stays(tmp_path: Path) -> None:
    gone, stays = numbered(0, 60), numbered(40, 100)
    shared(tmp_path, "gone").keep(gone)
    shared(tmp_path, "stays").keep({digest: stays[digest] for digest in set(stays) - set(gone)})
    shared(tmp_path, "gone", model="older").keep(gone)
    assert forget_shared(tmp_path, "gone") == 120
    for model in (MODEL, "older"):
        assert shared(tmp_path, "stays", model=model).find(list(gone)) == {}
    assert set(shared(tmp_path).find(list(stays))) == set(stays) - set(gone)
    content = b"".join(path.read_bytes() for path in (tmp_path / "embedded").iterdir())
    assert not [digest for digest, vector in gone.items() if digest in content or vector.tobytes() in content]
    assert forget_shared(tmp_path / "nothing", "gone") == 0


def test_its_file_does_not_grow_and_what_comes_back_stays_in_it(tmp_path: Path) -> None:
    header = hash_of("Licensed under the Apache License")
    shared(tmp_path, slots=256).keep({header: vector_of(header)})
    size = file_of(tmp_path).stat().st_size
    for start in range(0, 20_000, 100):
        run = shared(tmp_path, slots=256)
        assert header in run.find([header])  # every slice has it
        run.keep(numbered(start, start + 100))
    assert file_of(tmp_path).stat().st_size == size
    latest = shared(tmp_path).find(list(numbered(19_900, 20_000)))
    assert len(latest) > 50
    assert all((vector == vector_of(digest)).all() for digest, vector in latest.items())


def test_a_slot_that_was_written_by_half_is_not_there(tmp_path: Path) -> None:
    vectors = numbered(0, 100)
    shared(tmp_path).keep(vectors)
    content = bytearray(file_of(tmp_path).read_bytes())
    for digest in list(vectors)[:50]:
        content[content.index(digest) + 40] ^= 1
    file_of(tmp_path).write_bytes(content)
    assert set(shared(tmp_path).find(list(vectors))) == set(list(vectors)[50:])
    shared(tmp_path).keep(vectors)
    assert set(shared(tmp_path).find(list(vectors))) == set(vectors)


_WRITER = """
import random, sys
from pathlib import Path
from mesh_assets_tests.storage.test_shared_vectors import numbered, shared
while True:
    start = random.randrange(2000)
    run = shared(Path(sys.argv[1]), slots=512)
    run.keep(numbered(start, start + 50))
    run.find(list(numbered(start, start + 50)))
    print("once", flush=True)
"""


def test_many_runs_at_once_that_are_killed_never_leave_a_wrong_vector(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == b"once\n"
    reader, wanted, deadline = shared(tmp_path, slots=512), list(numbered(0, 2050)), time.monotonic() + 1
    while time.monotonic() < deadline:
        assert all((vector == vector_of(digest)).all() for digest, vector in reader.find(wanted).items())
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    found = shared(tmp_path, slots=512).find(wanted)
    assert len(found) > 200
    assert all((vector == vector_of(digest)).all() for digest, vector in found.items())


@pytest.mark.parametrize("content", [b"", b"noise" * 100, None], ids=["empty", "noise", "cut off"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    vectors = numbered(0, 10)
    shared(tmp_path).keep(vectors)
    path = file_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] if content is None else content)
    run = shared(tmp_path)
    assert run.find(list(vectors)) == {}
    run.keep(vectors)
    assert len(run.find(list(vectors))) == len(shared(tmp_path).find(list(vectors))) == 10


def test_a_disk_that_refuses_is_said_once_and_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "embedded").touch()  # a file in the place of the folder
    said: list[str] = []
    run = SharedVectors(tmp_path, MODEL, dataset="a", log=said.append)
    encoder = Recording()
    embed(Lake(tmp_path / "lake"), ["a", "b"], encoder, group=1, shared=run)
    assert sorted(encoder.seen) == ["a", "b"]
    assert len(said) == 1
    assert "vectors are not shared with other slices" in said[0]


def test_nothing_is_kept_where_the_disk_is_nearly_full(tmp_path: Path) -> None:
    vectors = numbered(0, 10)
    run = SharedVectors(tmp_path, MODEL, dataset="a", log=print, keep_free=1 << 60)
    run.keep(vectors)
    assert run.find(list(vectors)) == {}
    assert list((tmp_path / "embedded").iterdir()) == []


def test_another_model_or_version_of_the_stage_reuses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = numbered(0, 10)
    shared(tmp_path).keep(vectors)
    assert shared(tmp_path, model="other@1+static1").find(list(vectors)) == {}
    with monkeypatch.context() as patch:
        later = shared_vectors.ASSETS["chunk_embeddings"].__class__("chunk_embeddings", "slice", "2", frozenset())
        patch.setitem(shared_vectors.ASSETS, "chunk_embeddings", later)
        assert shared(tmp_path).find(list(vectors)) == {}
    shared(tmp_path, model="other").keep(vectors)
    keep_models(tmp_path, [MODEL])
    assert shared(tmp_path, model="other").find(list(vectors)) == {}
    assert len(shared(tmp_path).find(list(vectors))) == 10


def test_descriptions_of_labels_are_embedded_once_for_all_slices_and_outlive_a_forgotten_dataset(
    tmp_path: Path,
) -> None:
    settings = Settings(state=tmp_path)
    first, second = Recording(), Recording()
    made = connect_labeller(settings, first).descriptions
    assert first.seen
    forget_shared(tmp_path, "a")
    kept = connect_labeller(settings, second).descriptions
    assert second.seen == []
    for name, vectors in made.items():
        np.testing.assert_array_equal(vectors, kept[name])
