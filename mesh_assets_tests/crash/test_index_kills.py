"""A process killed while it indexes leaves each slice old or new, and the next run makes what a rebuild makes."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.stage import DOCUMENT_COLUMNS, index_documents
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.indexes.vector_file import map_vectors
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.leftovers import sweep_leftovers

SLICES, ROWS = 4, 400
WORD_INDEX, VECTOR_INDEX = Path("indexes", "words"), Path("indexes", "vectors")
ENCODER = FakeEncoder(64)
WORDS = "pump valve bearing harbour lantern vessel record ledger signal mirror copper thread anchor".split()
QUERIES = ("pump bearing", "harbour", "version1 lantern", "version0", "ledger of the vessel")
CHILD = (
    "import sys; from pathlib import Path; from mesh_assets_tests.crash.test_index_kills import index_all; "
    "import faiss, tantivy; print('ready', flush=True); index_all(Path(sys.argv[1]), 1)"
)


def key(number: int) -> str:
    return f"k.{number:06d}"


def chunks(number: int, version: int) -> pa.RecordBatch:
    """Some rows stay from version to version, others change, as after an edit."""
    numbers = dict.fromkeys(("extent_start", "tokens", "byte_start", "byte_stop", "line_start", "line_stop"), 0)
    fixed: dict[str, object] = {"dataset": "k", "kind": "text", "format": "plain", "context": ""}
    rows: list[dict[str, object]] = []
    for at in range(ROWS + 50 * version):
        chance = random.Random(f"{number} {at} {version if at % 3 else 0}")
        text = " ".join(chance.choices(WORDS, k=40)) + (f" version{version}" if at % 3 else "")
        chunk_id = f"{chance.getrandbits(128):032x}"
        own: dict[str, object] = {"chunk_id": chunk_id, "slice": key(number), "path": f"{at}.txt", "text": text}
        rows.append(fixed | numbers | own | {"source_hash": "0" * 32})
    return CHUNKS.batch(rows)


def index_all(state: Path, version: int) -> None:
    """What the slice runs of a dataset do: publish the chunks, then index their words and vectors."""
    lake = Lake(state / "lake")
    words, vectors = TantivyFulltextIndex(state / WORD_INDEX), FaissVectorIndex(state / VECTOR_INDEX)
    for number in range(SLICES):
        batch = chunks(number, version)
        produced = Produced([batch], Outcome(total=batch.num_rows, done=batch.num_rows), f"{version}")
        lake.publish("chunk_sets", key(number), produced, version="1", run_id=f"run{version}")
        index_documents(words, key(number), lake.read("chunk_sets", key(number)).batches(DOCUMENT_COLUMNS), Outcome())
        ids, texts = (cast("list[str]", batch.column(name).to_pylist()) for name in ("chunk_id", "text"))
        entries = (ids, ["text"] * len(ids), ENCODER.encode(texts).astype(np.float16))
        vectors.replace_slice(key(number), ENCODER.model, [entries])


def held(state: Path, number: int) -> dict[str, Any]:
    """What lake and indexes hold of a slice: rows, vectors by id, hits of some queries."""
    (path,) = (state / VECTOR_INDEX).rglob(f"{key(number)}.vectors")
    file = map_vectors(path)
    words = TantivyFulltextIndex(state / WORD_INDEX)
    found = {query: words.search(query, limit=10_000) for query in QUERIES}
    hits = {query: sorted(hit.chunk_id for hit in found[query] if hit.slice == key(number)) for query in QUERIES}
    return {
        "lake": Lake(state / "lake").read("chunk_sets", key(number)).rows(),
        "vectors": {row.tobytes().hex(): v.tobytes() for row, v in zip(file.ids, file.vectors, strict=True)},
        "words": (words.held(key(number)), hits),
    }


@dataclass(frozen=True)
class Calm:
    """A version made without a kill, and what it holds slice by slice."""

    state: Path
    slices: list[dict[str, Any]]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Calm]:
    made: list[Calm] = []
    for version in (0, 1):
        state = tmp_path_factory.mktemp(f"version{version}")
        index_all(state, version)
        made.append(Calm(state, [held(state, number) for number in range(SLICES)]))
    return made


def killed_after(state: Path, seconds: float) -> bool:
    """Index the new version over the old one, and kill that after `seconds`; whether it was still at work."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(state)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    child.kill()
    return child.wait() == -signal.SIGKILL


def kill_and_recover(versions: list[Calm], state: Path, chance: random.Random, longest: float) -> float:
    """One kill at a random moment, and what must hold after it; the longest time that left the child at work."""
    shutil.copytree(versions[0].state, state)
    while not killed_after(state, moment := chance.uniform(0, longest)):
        longest = max(moment, 0.01)  # it was over by then
        shutil.rmtree(state)
        shutil.copytree(versions[0].state, state)
    for number in range(SLICES):
        found = held(state, number)
        for part, value in found.items():
            assert value in [calm.slices[number][part] for calm in versions], f"{part} of {key(number)}"
    index_all(state, 1)
    sweep_leftovers(state, state / "drops")
    assert [held(state, number) for number in range(SLICES)] == versions[1].slices
    assert files(state) == files(versions[1].state)
    assert not list((state / WORD_INDEX).rglob(".tmp*"))
    shutil.rmtree(state)
    return longest


def files(state: Path) -> set[Path]:
    """Every file of the lake and the vectors: nothing is left behind where these are equal."""
    return {path.relative_to(state) for part in ("lake", VECTOR_INDEX) for path in (state / part).rglob("*")}


def _kills(versions: list[Calm], folder: Path, count: int, seed: int) -> None:
    chance, longest = random.Random(seed), 2.0
    for number in range(count):
        longest = kill_and_recover(versions, folder / f"kill{number}", chance, longest)


def test_indexing_that_is_killed_ends_as_a_rebuild(versions: list[Calm], tmp_path: Path) -> None:
    _kills(versions, tmp_path, 2, seed=1)


@pytest.mark.slow
def test_indexing_that_is_killed_at_twenty_points_ends_as_a_rebuild_each_time(
    versions: list[Calm], tmp_path: Path
) -> None:
    _kills(versions, tmp_path, 20, seed=2)
