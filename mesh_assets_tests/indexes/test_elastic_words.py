"""What the Elasticsearch twin adds: analysers, back-pressure, errors by entry, rebuilds, servers that do not fit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.stage import index_documents
from mesh_assets.resources import elastic_words
from mesh_assets.resources.elastic_words import ElasticFulltextIndex, connected
from mesh_assets.schemas.outcome import Outcome
from mesh_assets_tests.indexes.elastic_stub import Cluster, RefusedError, serving
from mesh_assets_tests.indexes.test_fulltext_contract import doc, found
from mesh_assets_tests.indexes.test_stage import SLICE, chunks


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    with serving(cluster) as at:
        yield at


@pytest.fixture
def index(url: str) -> ElasticFulltextIndex:
    return ElasticFulltextIndex(connected(url))


def test_words_are_found_in_their_other_forms_and_identifiers_by_their_parts(index: ElasticFulltextIndex) -> None:
    code = [doc(1, "def parseHttpRequest(self):"), doc(2, "max_retry_count = 3"), doc(3, "The pumps were failing")]
    index.replace_slice(SLICE, code)
    assert found(index, "http request") == [1]
    assert found(index, "parseHttpRequest") == [1]
    assert found(index, "retry count") == [2]
    assert found(index, "pump fails") == [3]


def test_addresses_ids_and_paths_are_found_whole(index: ElasticFulltextIndex) -> None:
    entries = [doc(n, f"refused from 10.1.2.{n} id=4f{n}a-99", path=f"logs/10/web{n}.log") for n in range(1, 20)]
    index.replace_slice(SLICE, [*entries, doc(99, "10 1 2 7 10 1 2 7 10 1 2 7")])
    assert found(index, "10.1.2.7", 1) == [7]
    assert found(index, "4f7a-99", 1) == [7]
    assert found(index, "logs/10/web7.log", 1) == [7]


def test_a_busy_server_is_waited_for(
    index: ElasticFulltextIndex, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic_words, "_BULK_WAIT_SECONDS", 0.0)
    refusals = iter([429, 429, 429])
    cluster.refused_entries = lambda _: next(refusals, 0)
    assert index.replace_slice(SLICE, [doc(n, "fish") for n in range(5)]).entries == 5
    assert found(index, "fish") == [0, 1, 2, 3, 4]


def test_entries_that_a_server_refuses_are_told_and_the_former_ones_stay(
    index: ElasticFulltextIndex, cluster: Cluster
) -> None:
    index.replace_slice(SLICE, [doc(1, "fish")])
    cluster.refused_entries = lambda entry: 400 if "bird" in entry["text"] else 0
    with pytest.raises(IndexDownError, match=r"2 of 3 entries .* document_parsing_exception"):
        index.replace_slice(SLICE, [doc(2, "fish"), doc(3, "fish bird"), doc(4, "bird")])
    assert found(index, "fish") == [1]
    assert index.held(SLICE) == 1


@pytest.mark.parametrize("call", range(1, 16))
def test_a_writer_that_is_cut_off_at_any_call_leaves_the_old_or_the_new_entries(
    index: ElasticFulltextIndex, cluster: Cluster, url: str, call: int
) -> None:
    index.replace_slice(SLICE, [doc(1, "fish"), doc(2, "fish")])
    calls = iter(range(1, 100))

    def dead(method: str, path: str) -> None:
        if next(calls) >= call:
            raise RefusedError(400, "dead")

    cluster.faults.append(dead)
    try:
        index.replace_slice(SLICE, [doc(3, "fish"), doc(4, "fish"), doc(5, "fish")])
        is_cut_off = False
    except IndexDownError:
        is_cut_off = True
    cluster.faults.clear()
    other = ElasticFulltextIndex(connected(url))
    other.replace_slice("b.000001", [doc(9, "bird")])  # its refresh shows what the other one left
    seen = found(other, "fish")
    assert seen in ([1, 2], [3, 4, 5])
    assert is_cut_off or seen == [3, 4, 5]
    assert other.held(SLICE) == len(seen)
    other.replace_slice(SLICE, [doc(6, "fish")])
    assert found(other, "fish") == [6]


def test_a_new_format_takes_over_slice_by_slice_while_everything_is_found(url: str, cluster: Cluster) -> None:
    former, new = (ElasticFulltextIndex(connected(url), index_format=number) for number in (1, 2))
    former.replace_slice("a.000001", [doc(1, "fish")])
    former.replace_slice("a.000002", [doc(2, "fish")])
    assert found(new, "fish") == [1, 2]
    assert new.held("a.000001") is None, "it is to be written anew"
    new.replace_slice("a.000001", [doc(1, "fish")])
    assert found(new, "fish") == [1, 2]
    new.replace_slice("a.000002", [doc(3, "fish")])
    assert found(new, "fish") == [1, 3]
    assert "mesh-words-1" not in cluster.indexes


def test_a_server_of_an_older_version_is_told_in_words() -> None:
    with serving(Cluster(version="8.19.2")) as url, pytest.raises(IndexDownError, match=r"8\.19\.2.*elasticsearch<9"):
        ElasticFulltextIndex(connected(url)).held(SLICE)


def test_a_server_that_refuses_the_clients_media_type_is_told_in_words(
    index: ElasticFulltextIndex, cluster: Cluster
) -> None:
    def refuse(method: str, path: str) -> None:
        raise RefusedError(400, "media_type_header_exception")

    cluster.faults.append(refuse)
    with pytest.raises(IndexDownError, match="refuses a client of version 9"):
        index.held(SLICE)


def test_a_server_of_another_product_is_told_in_words() -> None:
    with serving(Cluster(product="")) as url, pytest.raises(IndexDownError, match="no Elasticsearch"):
        ElasticFulltextIndex(connected(url)).held(SLICE)


def test_a_slice_stays_pending_while_the_server_fails_and_shows_nothing_of_it(
    index: ElasticFulltextIndex, cluster: Cluster
) -> None:
    def fail(method: str, path: str) -> None:
        if path.endswith("_bulk"):
            raise RefusedError(503, "cluster_block_exception")

    cluster.faults.append(fail)
    outcome = Outcome()
    (state,) = index_documents(index, SLICE, chunks(10), outcome).to_pylist()
    assert (state["engine"], state["state"]) == ("elasticsearch", "pending")
    assert (outcome.done, outcome.skipped) == (0, 10)
    cluster.faults.clear()
    assert found(index, "pumps") == []
    assert index_documents(index, SLICE, chunks(10), Outcome()).to_pylist()[0]["state"] == "ready"
    assert found(index, "pumps") == [3]
