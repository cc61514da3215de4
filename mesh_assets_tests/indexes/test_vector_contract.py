"""What every vector index promises, whichever engine is behind it."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from mesh_assets.errors import KeyFormatError
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.fakes import InMemoryVectorIndex
from mesh_assets.indexes.protocol import Filter, Hit, VectorIndex
from mesh_assets.resources.qdrant_vectors import QdrantVectorIndex, connected

Batch = tuple[Sequence[str], Sequence[str], NDArray[np.float16]]
MODEL = "some/model@1"
ENGINES: dict[str, Callable[[Path], VectorIndex]] = {
    "faiss": FaissVectorIndex,
    "memory": lambda _: InMemoryVectorIndex(),
    "qdrant": lambda _: QdrantVectorIndex(qdrant_in_memory),
}
SERVER = os.environ.get("MESH_QDRANT_URL", "")  # the real server, where there is one


def qdrant_in_memory() -> QdrantClient:
    """Qdrant as its client imitates it: exact, and without a server."""
    return QdrantClient(":memory:")


@pytest.fixture(params=[*ENGINES, *(["qdrant server"] if SERVER else [])])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorIndex]:
    if request.param in ENGINES:
        yield ENGINES[request.param](tmp_path)
        return
    prefix = f"mesh-test-{secrets.token_hex(6)}"
    yield QdrantVectorIndex(connected(SERVER), prefix=prefix)
    client = connected(SERVER)()
    for collection in client.get_collections().collections:
        if collection.name.startswith(prefix):
            client.delete_collection(collection.name)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def vectors(rows: int, seed: int = 0, dimension: int = 64) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(rows, dimension)))


def ids(rows: int, first: int = 0) -> list[str]:
    return [f"{first + i:032x}" for i in range(rows)]


def batch(values: NDArray[np.floating], first: int = 0, kind: str = "text") -> Batch:
    return ids(len(values), first), [kind] * len(values), values.astype(np.float16)


def found(index: VectorIndex, query: NDArray[np.float32], limit: int = 10, **where: str) -> list[str]:
    return [hit.chunk_id for hit in index.search(MODEL, query, limit=limit, where=Filter(**where))]


def test_the_nearest_entry_comes_first_with_its_cosine(index: VectorIndex) -> None:
    values = vectors(50)
    stored = index.replace_slice("a.000001", MODEL, [batch(values[:30]), batch(values[30:], 30)])
    assert stored.entries == 50
    assert stored.location
    hits = index.search(MODEL, values[42], limit=5)
    assert (hits[0].chunk_id, hits[0].slice) == (ids(50)[42], "a.000001")
    assert hits[0].score == pytest.approx(1.0, abs=1e-3)
    expected = np.sort(values @ values[42])[::-1][:5]
    np.testing.assert_allclose([hit.score for hit in hits], expected, atol=2e-3)


def test_asked_again_it_gives_what_is_nearest_to_another_vector_within_the_same_filter(index: VectorIndex) -> None:
    values = vectors(200)
    index.replace_slice("a.000001", MODEL, [batch(values[:100]), batch(values[100:150], 100, "code")])
    index.replace_slice("b.000001", MODEL, [batch(values[150:], 150)])
    for where in (Filter(), Filter(dataset="a"), Filter(kind="code")):
        around = index.around(MODEL, values[0], limit=20, where=where)
        assert around.hits == index.search(MODEL, values[0], limit=20, where=where)
        moved = unit(values[:2].sum(axis=0, keepdims=True))[0]
        for vector in (moved, values[0], moved):
            assert around.again(vector) == index.search(MODEL, vector, limit=20, where=where)
    assert index.around("unknown", values[0], limit=5).again(values[1]) == []


def test_an_index_without_anything_finds_nothing(index: VectorIndex) -> None:
    assert index.search(MODEL, vectors(1)[0], limit=5) == []


def test_fewer_entries_than_asked_for_are_all_found(index: VectorIndex) -> None:
    index.replace_slice("a.000001", MODEL, [batch(vectors(3))])
    assert len(found(index, vectors(1)[0], limit=500)) == 3


def test_replacing_twice_changes_nothing(index: VectorIndex) -> None:
    values = vectors(20)
    first = index.replace_slice("a.000001", MODEL, [batch(values)])
    hits = index.search(MODEL, values[0], limit=20)
    assert index.replace_slice("a.000001", MODEL, [batch(values)]) == first
    assert index.search(MODEL, values[0], limit=20) == hits


def test_replacing_removes_what_the_slice_held_before_and_nothing_else(index: VectorIndex) -> None:
    values = vectors(6)
    index.replace_slice("a.000001", MODEL, [batch(values[:2])])
    index.replace_slice("a.000002", MODEL, [batch(values[2:4], 2)])
    assert set(found(index, values[0])) == set(ids(4))
    index.replace_slice("a.000001", MODEL, [batch(values[4:], 4)])
    assert set(found(index, values[0])) == set(ids(4, 2))


def test_it_gives_the_vectors_of_hits_of_any_index_as_far_as_it_holds_them(index: VectorIndex) -> None:
    values = vectors(6)
    index.replace_slice("a.000001", MODEL, [batch(values[:3])])
    index.replace_slice("a.000002", MODEL, [batch(values[3:5], 3)])
    index.replace_slice("a.000001", "other", [batch(values[5:], 5)])
    every = ids(6)
    held = [Hit(every[4], "a.000002", 0.1), Hit(every[0], "a.000001", 9.0)]
    lost = [Hit(every[0], "a.000002", 1.0), Hit(every[5], "a.000001", 1.0), Hit(every[1], "b.000001", 1.0)]
    got = index.vectors_of(MODEL, [*held, *lost])
    assert got.dtype == np.float32
    assert sorted(got.tolist()) == sorted(values[[0, 4]].astype(np.float16).astype(np.float32).tolist())
    assert len(index.vectors_of(MODEL, lost)) == len(index.vectors_of(MODEL, [])) == 0


def test_ids_that_begin_alike_are_told_apart(index: VectorIndex) -> None:
    values = vectors(3)
    alike = ["0" * 31 + digit for digit in "123"]
    index.replace_slice("a.000001", MODEL, [(alike, ["text"] * 3, values.astype(np.float16))])
    (got,) = index.vectors_of(MODEL, [Hit(alike[1], "a.000001", 1.0)])
    np.testing.assert_allclose(got, values[1], atol=1e-3)


@pytest.mark.parametrize("nothing", [[], [([], [], np.empty((0, 64), np.float16))]])
def test_a_slice_replaced_by_nothing_is_empty(index: VectorIndex, nothing: list[Batch]) -> None:
    index.replace_slice("a.000001", MODEL, [batch(vectors(5))])
    assert index.replace_slice("a.000001", MODEL, nothing).entries == 0
    assert found(index, vectors(1)[0]) == []


def test_it_tells_how_many_entries_it_holds_of_a_slice_under_a_model(index: VectorIndex) -> None:
    assert index.held("a.000001", MODEL) is None
    index.replace_slice("a.000001", MODEL, [batch(vectors(5)), batch(vectors(2), 5)])
    index.replace_slice("a.000002", MODEL, [])
    assert index.held("a.000001", MODEL) == 7
    assert index.held("a.000002", MODEL) == 0
    assert index.held("a.000003", MODEL) is None
    assert index.held("a.000001", "other") is None
    index.replace_slice("a.000001", MODEL, [batch(vectors(3))])
    assert index.held("a.000001", MODEL) == 3
    with pytest.raises(KeyFormatError):
        index.held("../a", MODEL)


def test_it_names_the_models_that_it_holds_slices_of(index: VectorIndex) -> None:
    assert index.models() == frozenset()
    index.replace_slice("a.000001", MODEL, [batch(vectors(5))])
    index.replace_slice("a.000001", "other", [])
    index.replace_slice("b.000001", "other", [batch(vectors(2))])
    assert index.models() == {MODEL, "other"}
    assert index.models("a") == {MODEL, "other"}
    assert index.models("b") == {"other"}
    assert index.models("c") == frozenset()


def test_filters_limit_to_a_dataset_and_a_kind(index: VectorIndex) -> None:
    values = vectors(40)
    mixed = (ids(10), ["text", "code"] * 5, values[:10].astype(np.float16))
    index.replace_slice("a.000001", MODEL, [mixed, batch(values[10:20], 10, "log")])
    index.replace_slice("a-b.000001", MODEL, [batch(values[20:], 20, "code")])
    assert set(found(index, values[0], 99, dataset="a")) == set(ids(20))
    assert set(found(index, values[0], 99, kind="code")) == {*ids(10)[1::2], *ids(20, 20)}
    assert set(found(index, values[0], 99, dataset="a", kind="code")) == set(ids(10)[1::2])
    assert found(index, values[0], 99, kind="image") == []
    assert found(index, values[0], 99, dataset="../a") == []


def test_a_span_of_time_limits_to_the_slices_that_hold_something_of_it(index: VectorIndex) -> None:
    values = vectors(30)
    for number, key in enumerate(("a.000001", "a.000002", "b.000001")):
        rows = slice(10 * number, 10 * number + 10)
        index.replace_slice(key, MODEL, [batch(values[rows], 10 * number, "log" if number else "text")])

    def within(*slices: str, **where: str) -> set[str]:
        hits = index.search(MODEL, values[0], limit=99, where=Filter(**where, slices=frozenset(slices)))
        return {hit.chunk_id for hit in hits}

    assert within("a.000002", "b.000001", "c.000001") == set(ids(20, 10))
    assert within("a.000001", "b.000001", dataset="a") == set(ids(10))
    assert within("a.000001", "a.000002", kind="log") == set(ids(10, 10))
    assert within() == within("b.000001", dataset="a") == set()
    around = index.around(MODEL, values[0], limit=99, where=Filter(slices=frozenset({"b.000001"})))
    assert {hit.chunk_id for hit in around.again(values[1])} == set(ids(10, 20))


def test_vectors_of_another_model_are_not_compared(index: VectorIndex) -> None:
    index.replace_slice("a.000001", MODEL, [batch(vectors(3))])
    index.replace_slice("a.000001", "other", [batch(vectors(3, dimension=32), 3)])
    assert set(found(index, vectors(1)[0])) == set(ids(3))
    assert {h.chunk_id for h in index.search("other", vectors(1, dimension=32)[0], limit=9)} == set(ids(3, 3))


def test_equal_entries_come_in_the_order_of_their_ids(index: VectorIndex) -> None:
    same = np.repeat(vectors(1), 300, axis=0)
    shuffled = np.random.default_rng(1).permutation(300)
    names = [ids(300)[i] for i in shuffled]
    index.replace_slice("a.000001", MODEL, [(names[:140], ["text"] * 140, same[:140].astype(np.float16))])
    index.replace_slice("a.000002", MODEL, [(names[140:], ["text"] * 160, same[140:].astype(np.float16))])
    hits = index.search(MODEL, same[0], limit=300)
    assert [hit.chunk_id for hit in hits] == ids(300)


def test_a_key_that_is_none_is_refused(index: VectorIndex) -> None:
    with pytest.raises(KeyFormatError):
        index.replace_slice("../a", MODEL, [])


def test_a_source_that_fails_leaves_the_former_entries(index: VectorIndex) -> None:
    def failing() -> Iterator[Batch]:
        yield batch(vectors(3), 10)
        raise RuntimeError("the lake went away")

    index.replace_slice("a.000001", MODEL, [batch(vectors(3))])
    with pytest.raises(RuntimeError):
        index.replace_slice("a.000001", MODEL, failing())
    assert set(found(index, vectors(1)[0])) == set(ids(3))


def test_forgotten_slices_go_under_every_model_and_no_others(index: VectorIndex) -> None:
    for key in ("a.000001", "a.000002", "a.b.000001", "a-b.000001"):
        index.replace_slice(key, MODEL, [batch(vectors(3))])
        index.replace_slice(key, "other", [batch(vectors(2))])
    index.search(MODEL, vectors(1)[0], limit=5)
    index.forget_slices(["a.000001", "a.000009"])
    assert [index.held("a.000001", model) for model in (MODEL, "other")] == [None, None]
    for key in ("a.000002", "a.b.000001", "a-b.000001"):
        assert [index.held(key, model) for model in (MODEL, "other")] == [3, 2]
    assert {hit.slice for hit in index.search(MODEL, vectors(1)[0], limit=99)} == {
        "a.000002",
        "a.b.000001",
        "a-b.000001",
    }
    index.forget_slices([])
    with pytest.raises(KeyFormatError):
        index.forget_slices(["a.000002", "../a"])
    assert index.held("a.000002", MODEL) == 3, "nothing goes where one key is none"


def test_slices_can_be_forgotten_under_every_model_but_one(index: VectorIndex) -> None:
    for key in ("a.000001", "a.000002"):
        for model in ("older", MODEL, "oldest"):
            index.replace_slice(key, model, [batch(vectors(3))])
    index.forget_slices(["a.000001"], but=MODEL)
    assert [index.held("a.000001", model) for model in ("older", MODEL, "oldest")] == [None, 3, None]
    assert [index.held("a.000002", model) for model in ("older", MODEL, "oldest")] == [3, 3, 3]
    index.forget_slices(["a.000002"], but=MODEL)
    assert index.models() == {MODEL}
    assert {hit.slice for hit in index.search(MODEL, vectors(1)[0], limit=99)} == {"a.000001", "a.000002"}


def test_a_forgotten_dataset_takes_none_with_it_whose_name_begins_alike(index: VectorIndex) -> None:
    for key in ("a.000001", "a.000002", "a.b.000001", "a-b.000001", "b.000001"):
        index.replace_slice(key, MODEL, [batch(vectors(3))])
    index.replace_slice("a.000001", "other", [batch(vectors(2))])
    index.forget_dataset("a")
    index.forget_dataset("a")
    assert {hit.slice for hit in index.search(MODEL, vectors(1)[0], limit=99)} == {
        "a.b.000001",
        "a-b.000001",
        "b.000001",
    }
    assert index.models("a") == frozenset()
    assert index.models() == {MODEL}
    for key in ("../b", "", "a/b", ".."):
        with pytest.raises(KeyFormatError):
            index.forget_dataset(key)


def test_nothing_is_forgotten_where_nothing_is(index: VectorIndex) -> None:
    index.forget_slices(["a.000001"])
    index.forget_dataset("a")
    assert index.models() == frozenset()


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["a.000001", "a.000002", "b.000001"]), st.integers(0, 5), st.integers(0, 30)),
        max_size=8,
    ),
    query=st.integers(0, 34),
)
@settings(max_examples=30, deadline=None)
def test_the_engine_answers_as_the_fake_does_after_any_replacements(
    steps: list[tuple[str, int, int]], query: int
) -> None:
    values = vectors(35, dimension=20)
    with tempfile.TemporaryDirectory() as folder:
        engine, fake = FaissVectorIndex(Path(folder)), InMemoryVectorIndex()
        for key, rows, first in steps:
            for index in (engine, fake):
                index.replace_slice(key, MODEL, [batch(values[first : first + rows], first)])
            assert found(engine, values[query], 40) == found(fake, values[query], 40)
