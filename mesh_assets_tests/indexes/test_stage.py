"""A slice's rows end in the index or are counted as skipped, and the state says which."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pytest

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.embeddings.stage import embedding_batches
from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.fakes import InMemoryFulltextIndex, InMemoryVectorIndex
from mesh_assets.indexes.protocol import Document, Stored
from mesh_assets.indexes.stage import index_documents, index_vectors
from mesh_assets.schemas import INDEX_STATES
from mesh_assets.schemas.outcome import Outcome

SLICE = "a.000001"
COLUMNS = ("chunk_id", "kind", "path", "symbol", "context", "text")


def chunks(rows: int, size: int = 4) -> list[pa.RecordBatch]:
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    made = [
        {
            "chunk_id": f"{i:032x}",
            "kind": "text",
            "path": "f",
            "symbol": None,
            "context": "Pumps" if i == 3 else "",
            "text": f"w{i}",
        }
        for i in range(rows)
    ]
    return [pa.RecordBatch.from_pylist(made[i : i + size], schema=schema) for i in range(0, rows, size)]


def embeddings(rows: int) -> list[pa.RecordBatch]:
    return list(embedding_batches(chunks(rows), FakeEncoder(), Outcome(), group=4))


def test_vectors_are_indexed_and_counted() -> None:
    index, outcome = InMemoryVectorIndex(), Outcome()
    state = index_vectors(index, SLICE, "m", embeddings(10), outcome)
    assert state.schema == INDEX_STATES.schema
    assert state.to_pylist() == [
        {"slice": SLICE, "engine": "memory", "state": "ready", "entries": 10, "location": "memory", "detail": ""}
    ]
    assert (outcome.done, outcome.skipped) == (10, 0)
    assert index.search("m", FakeEncoder().encode(["w7"])[0], limit=1)[0].chunk_id == f"{7:032x}"


def test_documents_are_indexed_with_their_context() -> None:
    index, outcome = InMemoryFulltextIndex(), Outcome()
    state = index_documents(index, SLICE, chunks(10), outcome)
    assert state.to_pylist()[0]["entries"] == 10
    assert (outcome.done, outcome.skipped) == (10, 0)
    assert [hit.chunk_id for hit in index.search("pumps", limit=9)] == [f"{3:032x}"]


def test_an_empty_slice_is_ready_with_nothing() -> None:
    assert index_documents(InMemoryFulltextIndex(), SLICE, [], Outcome()).to_pylist()[0]["entries"] == 0
    assert index_vectors(InMemoryVectorIndex(), SLICE, "m", [], Outcome()).to_pylist()[0]["state"] == "ready"


@pytest.mark.parametrize("taken", [0, 1, 7, 10])
def test_an_index_that_goes_down_leaves_the_slice_pending_and_every_row_counted(taken: int) -> None:
    class Down(InMemoryFulltextIndex):
        def replace_slice(self, slice_key: str, documents: Iterable[Document]) -> Stored:
            rows = iter(documents)
            for _ in range(taken):
                next(rows)
            raise IndexDownError("no answer from \udcff", remedy="Start it.")

    outcome = Outcome()
    (row,) = index_documents(Down(), SLICE, chunks(10), outcome).to_pylist()
    assert (row["state"], row["entries"]) == ("pending", 0)
    assert "Start it." in row["detail"]
    assert (outcome.done, outcome.skipped) == (0, 10)


def test_a_slice_that_cannot_be_read_is_no_pending_index() -> None:
    def failing() -> Iterable[pa.RecordBatch]:
        yield chunks(4)[0]
        raise RuntimeError("the lake is damaged")

    with pytest.raises(RuntimeError):
        index_documents(InMemoryFulltextIndex(), SLICE, failing(), Outcome())
