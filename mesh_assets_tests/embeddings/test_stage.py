"""Each chunk gets the vector of its text, in order, and equal texts cost one embedding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.embeddings.stage import embedding_batches
from mesh_assets.errors import ModelError
from mesh_assets.schemas import EMBEDDINGS
from mesh_assets.schemas.outcome import Outcome

CHUNKS = pa.schema([(name, pa.string()) for name in ("chunk_id", "kind", "context", "text")])


class CountingEncoder(FakeEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += texts
        return super().encode(texts)


def chunks(texts: Sequence[str], context: str = "") -> pa.RecordBatch:
    rows = [{"chunk_id": f"{i:032x}", "kind": "text", "context": context, "text": t} for i, t in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=CHUNKS)


def vectors_of(batches: list[pa.RecordBatch]) -> NDArray[np.float16]:
    return np.array([v for b in batches for v in b.column("vector").to_pylist()], np.float16)


@given(
    texts=st.lists(st.sampled_from(["", "a", "b", "a b", "c d e", "日本"]) | st.text(max_size=20), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    group=st.integers(1, 9),
    remembered=st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_every_chunk_has_the_vector_of_its_text_however_it_was_batched(
    texts: list[str], cuts: list[int], group: int, remembered: int
) -> None:
    whole = chunks(texts)
    edges = sorted({0, len(texts), *(min(cut, len(texts)) for cut in cuts)})
    parts = [whole.slice(a, b - a) for a, b in pairwise(edges)]
    outcome = Outcome()
    out = list(embedding_batches(parts, FakeEncoder(), outcome, group=group, remembered=remembered))
    assert [i for b in out for i in b.column("chunk_id").to_pylist()] == whole.column("chunk_id").to_pylist()
    assert all(b.schema == EMBEDDINGS.schema and 0 < b.num_rows <= group for b in out)
    assert outcome.done == len(texts)
    if texts:
        np.testing.assert_array_equal(vectors_of(out), FakeEncoder().encode(texts).astype(np.float16))


def test_an_equal_text_is_embedded_once_in_a_slice() -> None:
    encoder = CountingEncoder()
    parts = [chunks(["x", "y", "x"]), chunks(["y", "z", "x"])]
    out = list(embedding_batches(parts, encoder, Outcome(), group=3))
    assert sorted(encoder.seen) == ["x", "y", "z"]
    hashes = [h for b in out for h in b.column("text_hash").to_pylist()]
    assert len(set(hashes)) == 3
    assert hashes[0] == hashes[2] == hashes[5]


def test_a_text_that_was_forgotten_is_embedded_again() -> None:
    encoder = CountingEncoder()
    list(embedding_batches([chunks(["x", "y", "z", "x"])], encoder, Outcome(), group=1, remembered=2))
    assert encoder.seen == ["x", "y", "z", "x"]


def test_the_context_is_part_of_what_is_embedded() -> None:
    encoder = CountingEncoder()
    list(embedding_batches([chunks(["x"], "Heading"), chunks(["x"])], encoder, Outcome()))
    assert sorted(encoder.seen) == ["Heading\nx", "x"]


def test_progress_is_counted_while_a_group_is_embedded() -> None:
    outcome = Outcome()
    seen: list[int] = []

    class Watching(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            seen.append(outcome.done)
            return super().encode(texts)

    list(embedding_batches([chunks([str(i) for i in range(400)])], Watching(), outcome))
    assert seen[0] == 0
    assert 0 < seen[-1] < outcome.done == 400


def test_an_encoder_that_fails_stops_the_stage() -> None:
    class Broken(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise ModelError("broken", remedy="repair it")

    with pytest.raises(ModelError, match="repair it"):
        list(embedding_batches([chunks(["x"])], Broken(), Outcome()))
