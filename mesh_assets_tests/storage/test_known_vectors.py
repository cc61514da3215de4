"""A text that was embedded before is not embedded again: after a change, after a kill, never from another model."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.embeddings.protocol import NOTHING_KNOWN, KnownVectors
from mesh_assets.embeddings.stage import embedding_batches, embedding_counts
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.storage import known_vectors
from mesh_assets.storage import lake as lake_module
from mesh_assets.storage.known_vectors import StoredVectors
from mesh_assets.storage.lake import Lake

SLICE = "notes.000000"
CHUNKS = pa.schema([(name, pa.string()) for name in ("chunk_id", "kind", "context", "text")])


class Recording(FakeEncoder):
    """Remembers what it was asked; fails instead of encoding more than `limit` texts."""

    def __init__(self, *, limit: int = 1 << 40, dimension: int = 64) -> None:
        super().__init__(dimension)
        self.seen: list[str] = []
        self._limit = limit

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if len(self.seen) + len(texts) > self._limit:
            raise KeyboardInterrupt
        self.seen += texts
        return super().encode(texts)


def embed(
    lake: Lake,
    texts: Sequence[str],
    encoder: Recording,
    *,
    version: str = "1",
    group: int = 2048,
    slice_key: str = SLICE,
    shared: KnownVectors = NOTHING_KNOWN,
) -> tuple[list[list[float]], Counter[str]]:
    """Publish the table of a slice whose chunks have these texts, as the asset does."""
    rows = [{"chunk_id": f"{i:032x}", "kind": "text", "context": "", "text": text} for i, text in enumerate(texts)]
    batches = [pa.RecordBatch.from_pylist(rows, schema=CHUNKS)] if rows else []
    known = StoredVectors(lake, slice_key, model=encoder.model, run_id="run", log=print, shared=shared)
    outcome, counts = Outcome(total=len(texts)), embedding_counts()
    produced = Produced(
        embedding_batches(batches, encoder, outcome, known=known, counts=counts, group=group),
        outcome,
        "hash",
        {"settings": {"model": encoder.model}},
        counts,
        known.forget_parts,
    )
    table = lake.publish("chunk_embeddings", slice_key, produced, version=version, run_id="run")
    assert table.footer.conserved
    assert counts.total() == len(texts)
    return table.table(["vector"])["vector"].to_pylist(), counts


def parts(lake: Lake) -> list[Path]:
    return sorted((lake.root / "chunk_embeddings" / "notes").glob("*.parts/*"))


@given(
    st.lists(st.lists(st.sampled_from("abcdefgh") | st.text(max_size=3), max_size=12), max_size=4), st.integers(1, 5)
)
@hypothesis_settings(max_examples=15, deadline=None)
def test_only_what_is_new_is_embedded_and_the_rest_is_what_it_was(
    tmp_path_factory: pytest.TempPathFactory, versions: list[list[str]], group: int
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake_module, "_ROW_GROUP_BYTES", 1)  # a row group a batch: lookups go across many
        before: set[str] = set()
        for texts in versions:
            encoder = Recording()
            vectors, counts = embed(lake, texts, encoder, group=group)
            assert sorted(encoder.seen) == sorted(set(texts) - before)
            assert counts["embedded"] == len(encoder.seen)
            assert counts["reused"] == len(set(texts) & before)
            fresh, _ = embed(Lake(tmp_path_factory.mktemp("lake")), texts, Recording())
            assert vectors == fresh
            before = set(texts)
    assert not parts(lake)


def test_another_model_or_version_reuses_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    embed(lake, ["a", "b"], Recording())
    other = Recording(dimension=32)
    embed(lake, ["a", "b"], other)
    assert sorted(other.seen) == ["a", "b"]
    newer = Recording(dimension=32)
    embed(lake, ["a", "b"], newer, version="0")
    assert newer.seen == []  # the table it replaces has the version of this code
    again = Recording(dimension=32)
    embed(lake, ["a", "b"], again)
    assert sorted(again.seen) == ["a", "b"]  # and that one has not


def _damaged_vector(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b"PAR1" + os.urandom(500)),
        _damaged_vector,
    ],
    ids=["gone", "empty", "cut off", "noise", "one bit byte wrong"],
)
def test_a_damaged_table_is_embedded_anew(tmp_path: Path, damage: object) -> None:
    lake = Lake(tmp_path)
    texts = [f"text {n}" for n in range(200)]
    first, _ = embed(lake, texts, Recording())
    assert callable(damage)
    damage(lake.path("chunk_embeddings", SLICE))
    encoder = Recording()
    second, _ = embed(lake, texts, encoder)
    assert len(encoder.seen) == 200
    assert first == second


def test_a_run_that_was_stopped_is_gone_on_with(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    texts = [f"text {n}" for n in range(1000)]
    embed(lake, texts[:100], Recording())
    stopped, encoder = Recording(limit=600), Recording()
    with pytest.raises(KeyboardInterrupt):
        embed(lake, texts, stopped)
    assert stopped.seen
    assert parts(lake)
    vectors, counts = embed(lake, texts, encoder)
    assert counts["embedded"] == len(encoder.seen)
    assert sorted(stopped.seen + encoder.seen) == sorted(texts[100:])  # each once
    assert not parts(lake)
    assert vectors == embed(Lake(tmp_path / "fresh"), texts, Recording())[0]


_KILLED = """
import os, signal, sys
from pathlib import Path
from mesh_assets.storage import known_vectors
from mesh_assets.storage.lake import Lake
from mesh_assets_tests.storage.test_known_vectors import Recording, embed
known_vectors._PART_SECONDS = 0.0
class Killed(Recording):
    def encode(self, texts):
        if len(self.seen) + len(texts) > 600:
            Path(sys.argv[1], "seen").write_text(str(len(self.seen)))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts)
embed(Lake(Path(sys.argv[1])), [f"text {n}" for n in range(1000)], Killed())
"""


def test_a_run_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False).returncode == -9
    lake, encoder = Lake(tmp_path), Recording()
    assert lake.find("chunk_embeddings", SLICE) is None
    embed(lake, [f"text {n}" for n in range(1000)], encoder)
    assert len(encoder.seen) == 1000 - int((tmp_path / "seen").read_text()) < 1000
    assert not parts(lake)


def test_parts_of_another_model_and_damaged_ones_do_not_count(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    texts = [f"text {n}" for n in range(500)]
    for stopped in (Recording(limit=200, dimension=32), Recording(limit=200)):
        with pytest.raises(KeyboardInterrupt):
            embed(lake, texts, stopped)
    assert len(parts(lake)) == 2
    encoder = Recording()
    embed_all = embed(lake, texts, encoder)
    assert sorted(stopped.seen + encoder.seen) == sorted(texts)
    with pytest.raises(KeyboardInterrupt):
        embed(Lake(tmp_path / "other"), texts, Recording(limit=200))
    (part,) = parts(Lake(tmp_path / "other"))
    _damaged_vector(part)
    encoder = Recording()
    assert embed(Lake(tmp_path / "other"), texts, encoder)[0] == embed_all[0]
    assert len(encoder.seen) == 500


def test_parts_that_cannot_be_written_cost_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_vectors, "_PART_SECONDS", 0.0)
    lake = Lake(tmp_path)
    folder = StoredVectors(lake, SLICE, model="m", run_id="r", log=print).folder
    folder.parent.mkdir(parents=True)
    folder.touch()  # a file in its place
    assert embed(lake, ["a", "b"], Recording())[1]["embedded"] == 2


def test_a_table_that_is_replaced_while_it_is_read_gives_no_wrong_vector(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    embed(lake, ["a", "b", "c"], Recording())
    known = StoredVectors(lake, SLICE, model=FakeEncoder().model, run_id="slow", log=print)
    hashes = [
        bytes.fromhex(h) for h in lake.read("chunk_embeddings", SLICE).table(["text_hash"])["text_hash"].to_pylist()
    ]
    known._stored = known_vectors._Stored(known._row_groups())
    embed(lake, ["c", "b"], Recording())  # another run of the same slice was faster
    assert known.find(hashes) == {}
    (vector,) = known.find([hashes[1]]).values()  # "b" lies where it lay
    np.testing.assert_array_equal(vector, FakeEncoder().encode(["b"])[0].astype(np.float16))


def test_parts_that_nobody_went_on_with_for_a_day_go(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for name, age in (("notes.000001", 90_000), ("notes.000002", 3_600)):
        folder = StoredVectors(lake, name, model="m", run_id="r", log=print).folder
        folder.mkdir(parents=True)
        (folder / "0.part").touch()
        os.utime(folder, (time.time() - age,) * 2)
    embed(lake, ["a"], Recording())
    assert [part.parent.name for part in parts(lake)] == ["notes.000002.parts"]
