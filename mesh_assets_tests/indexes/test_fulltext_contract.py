"""What every full-text index promises, whichever engine is behind it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_assets.errors import KeyFormatError
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.indexes.protocol import Document, Filter, FulltextIndex
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.resources.elastic_words import ElasticFulltextIndex, connected
from mesh_assets_tests.indexes.elastic_stub import Cluster, serving

ENGINES: dict[str, Callable[[Path], FulltextIndex]] = {
    "tantivy": TantivyFulltextIndex,
    "memory": lambda _: InMemoryFulltextIndex(),
}
SERVER = os.environ.get("MESH_ELASTICSEARCH_URL", "")  # the real server, where there is one


@pytest.fixture(params=[*ENGINES, "elasticsearch stub", *(["elasticsearch server"] if SERVER else [])])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FulltextIndex]:
    if request.param in ENGINES:
        yield ENGINES[request.param](tmp_path)
    elif request.param == "elasticsearch stub":
        with serving(Cluster()) as url:
            yield ElasticFulltextIndex(connected(url))
    else:
        prefix = f"mesh-test-{secrets.token_hex(6)}"
        yield ElasticFulltextIndex(connected(SERVER), prefix=prefix)
        indices = connected(SERVER)().indices
        for name in indices.get(index=f"{prefix}-*").body:
            indices.delete(index=name)
        indices.delete_index_template(name=f"{prefix}-words-1")


def doc(number: int, text: str, *, kind: str = "text", path: str = "f.txt", symbol: str = "") -> Document:
    return Document(chunk_id=f"{number:032x}", kind=kind, path=path, symbol=symbol, text=text)


def found(index: FulltextIndex, query: str, limit: int = 10, **where: str) -> list[int]:
    return [int(hit.chunk_id, 16) for hit in index.search(query, limit=limit, where=Filter(**where))]


def test_entries_with_more_and_rarer_words_of_the_query_come_first(index: FulltextIndex) -> None:
    documents = [doc(i, f"filler number {i} about the usual pump") for i in range(3, 30)]
    documents += [doc(1, "the pump has a broken gasket"), doc(2, "a gasket that lies in stock beside the ladder")]
    stored = index.replace_slice("a.000001", documents)
    assert stored.entries == 29
    assert stored.location
    hits = index.search("pump gasket", limit=2)
    assert [int(hit.chunk_id, 16) for hit in hits] == [1, 2]
    assert hits[0].slice == "a.000001"
    assert hits[0].score > hits[1].score > 0


def test_an_index_without_anything_finds_nothing(index: FulltextIndex) -> None:
    assert found(index, "word") == []


def test_path_and_symbol_are_searched_too(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(1, "x", path="src/invoices.py"), doc(2, "y", symbol="Ledger.close")])
    assert found(index, "invoices") == [1]
    assert found(index, "ledger") == [2]


def test_identifiers_are_found_by_their_parts_and_whole(index: FulltextIndex) -> None:
    code = ["def parseHttpRequest(self):", "max_retry_count = 3", "class HTTPServer2Proxy", "IDs of things"]
    index.replace_slice("a.000001", [doc(n, text, kind="code") for n, text in enumerate(code)])
    assert found(index, "http request") == [0, 2]
    assert found(index, "parseHttpRequest") == [0]
    assert found(index, "retry count") == found(index, "max_retry_count") == [1]
    assert found(index, "server proxy") == [2]
    assert found(index, "ids") == [3]


def test_replacing_twice_changes_nothing(index: FulltextIndex) -> None:
    documents = [doc(1, "one fish"), doc(2, "two fish")]
    first = index.replace_slice("a.000001", documents)
    assert index.replace_slice("a.000001", documents) == first
    assert found(index, "fish") == [1, 2]


def test_replacing_removes_what_the_slice_held_before_and_nothing_else(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(1, "red fish")])
    index.replace_slice("a.000002", [doc(2, "blue fish")])
    assert set(found(index, "fish")) == {1, 2}
    index.replace_slice("a.000001", [doc(3, "old fish")])
    assert set(found(index, "fish")) == {2, 3}
    assert found(index, "red") == []


def test_a_slice_replaced_by_nothing_is_empty(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(1, "fish")])
    assert index.replace_slice("a.000001", []).entries == 0
    assert found(index, "fish") == []


def test_it_tells_how_many_entries_it_holds_of_a_slice(index: FulltextIndex) -> None:
    assert index.held("a.000001") is None
    index.replace_slice("a.000001", [doc(i, "fish") for i in range(7)])
    index.replace_slice("a.000002", [])
    assert index.held("a.000001") == 7
    assert index.held("a.000002") == 0
    assert not index.held("a.000003")
    index.replace_slice("a.000001", [doc(i, "bird") for i in range(3)])
    assert index.held("a.000001") == 3
    with pytest.raises(KeyFormatError):
        index.held("../a")


def test_filters_limit_without_changing_scores(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(1, "fish soup"), doc(2, "fish", kind="code")])
    index.replace_slice("a-b.000001", [doc(3, "fish")])
    assert set(found(index, "fish", dataset="a")) == {1, 2}
    assert found(index, "fish", kind="code") == [2]
    assert found(index, "fish", dataset="a-b", kind="code") == []
    free = {hit.chunk_id: hit.score for hit in index.search("fish", limit=9)}
    limited = index.search("fish", limit=9, where=Filter(dataset="a", kind="text"))
    assert limited[0].score == pytest.approx(free[limited[0].chunk_id])
    in_time = index.search("fish", limit=9, where=Filter(slices=frozenset({"a-b.000001", "a.000009"})))
    assert [(hit.chunk_id, hit.score) for hit in in_time] == [(f"{3:032x}", pytest.approx(free[f"{3:032x}"]))]
    assert index.search("fish", limit=9, where=Filter("a", slices=frozenset({"a-b.000001"}))) == []
    assert index.search("fish", limit=9, where=Filter(slices=frozenset())) == []


def test_equal_entries_come_in_the_order_of_their_ids_wherever_the_result_ends(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(i, "same text") for i in range(99, 49, -1)])
    index.replace_slice("a.000002", [doc(i, "same text") for i in range(49, -1, -1)])
    assert found(index, "same", 100) == list(range(100))
    assert found(index, "same", 3) == [0, 1, 2]


def test_a_word_said_twice_counts_twice(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(1, "apples and oranges"), doc(2, "apples and plums")])
    assert found(index, "oranges plums plums") == [2, 1]
    assert found(index, "oranges oranges plums") == [1, 2]


def test_a_score_is_the_share_of_the_query_that_is_answered(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(1, "red fish"), doc(2, "blue bird"), doc(3, "old tree")])
    assert index.search("red fish", limit=1)[0].score == pytest.approx(1, abs=0.2)
    assert index.search("fish zebra quagga okapi", limit=1)[0].score < 0.2
    assert index.search("red fish " * 40, limit=1)[0].score == pytest.approx(1, abs=0.2)


def test_stop_words_count_only_where_a_query_has_no_other(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(1, "to be or not to be"), doc(2, "the pump")])
    assert found(index, "what is the pump to be") == [2]
    assert found(index, "to be or not to be") == [1]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Größe der Straße", "größe"),
        ("Größe der Straße", "Straße"),
        ("システムの設定を変更する", "設定"),
        ("系统日志错误", "日志"),
        ("ошибка сервера", "Ошибка"),
        ("ΟΔΟΣ ΑΘΗΝΑΣ", "οδος"),
        ("İSTANBUL", "İstanbul"),
        ("snake_case_name = 1", "case"),
        ("sha " + "ab" * 64, "ab" * 64),
    ],
)
def test_words_of_any_script_are_found(index: FulltextIndex, text: str, query: str) -> None:
    index.replace_slice("a.000001", [doc(1, text), doc(2, "something else")])
    assert found(index, query) == [1]


HOSTILE = ["", " ", "*", "a AND", '"', "field:value", "slice:a.000001", "(((", "+-!^~", "a\0b", "\ud800", "[a TO b]"]


@pytest.mark.parametrize("query", [*HOSTILE, "word " * 5000, "w" * 100_000, "?" * 5000, "が" * 5000])
def test_any_text_is_a_query(index: FulltextIndex, query: str) -> None:
    index.replace_slice("a.000001", [doc(1, "word")])
    assert set(found(index, query)) <= {1}


@pytest.fixture(params=list(ENGINES), scope="module")
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FulltextIndex:
    index = ENGINES[request.param](tmp_path_factory.mktemp("words"))
    index.replace_slice("a.000001", [doc(1, "the quick brown fox"), doc(2, "日本語 テキスト"), doc(3, "İstanbul ﬁ ǅ")])
    return index


@given(query=st.text(max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_is_answered(filled: FulltextIndex, query: str) -> None:
    assert set(found(filled, query)) <= {1, 2, 3}


@given(text=st.text(min_size=1, max_size=60))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_stored_is_replaced_by_its_slice(filled: FulltextIndex, text: str) -> None:
    assert filled.replace_slice("b.000001", [doc(9, text + " marker", path=text, symbol=text)]).entries == 1
    assert found(filled, "marker") == [9]


def test_a_source_that_fails_leaves_the_former_entries(index: FulltextIndex) -> None:
    def failing() -> Iterator[Document]:
        yield doc(2, "new fish")
        raise RuntimeError("the lake went away")

    index.replace_slice("a.000001", [doc(1, "fish")])
    with pytest.raises(RuntimeError):
        index.replace_slice("a.000001", failing())
    assert found(index, "fish") == [1]
    index.replace_slice("a.000001", [doc(3, "fish")])
    assert found(index, "fish") == [3]


def test_a_key_that_is_none_is_refused(index: FulltextIndex) -> None:
    with pytest.raises(KeyFormatError):
        index.replace_slice("../a", [])


def test_no_hits_are_asked_for(index: FulltextIndex) -> None:
    index.replace_slice("a.000001", [doc(1, "fish")])
    assert found(index, "fish", 0) == []


def test_forgotten_slices_are_not_found_and_others_are(index: FulltextIndex) -> None:
    index.forget_slices(["a.000001"])  # nothing is there yet
    for number, key in enumerate(("a.000001", "a.000002", "a.b.000001", "a-b.000001")):
        index.replace_slice(key, [doc(number, "fish")])
    index.forget_slices(["a.000001", "a.000009"])
    assert set(found(index, "fish")) == {1, 2, 3}
    assert not index.held("a.000001")
    index.forget_slices([])
    with pytest.raises(KeyFormatError):
        index.forget_slices(["a.000002", "../a"])
    assert set(found(index, "fish")) == {1, 2, 3}, "nothing goes where one key is none"


def test_a_forgotten_dataset_takes_none_with_it_whose_name_begins_alike(index: FulltextIndex) -> None:
    held = {key: [doc(n, f"fish {key}")] for n, key in enumerate(("a.b.000001", "a-b.000001", "b.000001"))}
    index.forget_dataset("a", held.__getitem__)  # nothing is there yet
    for key in ("a.000001", "a.000002"):
        index.replace_slice(key, [doc(9, "fish")])
    for key, documents in held.items():
        index.replace_slice(key, documents)
    before = index.search("fish", limit=9, where=Filter("b"))
    index.forget_dataset("a", held.__getitem__)
    index.forget_dataset("a", held.__getitem__)
    assert set(found(index, "fish")) == {0, 1, 2}
    assert {key: index.held(key) for key in held} == dict.fromkeys(held, 1)
    assert [(hit.chunk_id, hit.slice) for hit in index.search("fish", limit=9, where=Filter("b"))] == [
        (hit.chunk_id, hit.slice) for hit in before
    ]
    for key in ("../b", "", "a/b", ".."):
        with pytest.raises(KeyFormatError):
            index.forget_dataset(key, held.__getitem__)
