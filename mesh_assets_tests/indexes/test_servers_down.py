"""A server that is down leaves a slice pending and says so in words; what it is called shows no password."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mesh_assets.errors import IndexDownError, SettingsError
from mesh_assets.indexes.stage import index_documents, index_vectors
from mesh_assets.resources import elastic_words
from mesh_assets.resources.elastic_words import ElasticFulltextIndex
from mesh_assets.resources.qdrant_vectors import QdrantVectorIndex, connected
from mesh_assets.resources.server_url import ServerUrl
from mesh_assets.schemas.outcome import Outcome
from mesh_assets_tests.indexes.test_stage import SLICE, chunks, embeddings


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address of this machine at which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_vectors_stay_pending_while_qdrant_is_down(nobody: str) -> None:
    index, outcome = QdrantVectorIndex(connected(f"http://:secret@{nobody}")), Outcome()
    (state,) = index_vectors(index, SLICE, "m", embeddings(10), outcome).to_pylist()
    assert (state["engine"], state["state"], state["entries"]) == ("qdrant", "pending", 0)
    assert (outcome.done, outcome.skipped) == (0, 10)
    assert "MESH_QDRANT_URL" in state["detail"]
    assert "secret" not in state["detail"]
    with pytest.raises(IndexDownError):
        index.held(SLICE, "m")


def test_words_stay_pending_while_elasticsearch_is_down(nobody: str) -> None:
    index, outcome = ElasticFulltextIndex(elastic_words.connected(f"http://me:secret@{nobody}")), Outcome()
    (state,) = index_documents(index, SLICE, chunks(10), outcome).to_pylist()
    assert (state["engine"], state["state"], state["entries"]) == ("elasticsearch", "pending", 0)
    assert (outcome.done, outcome.skipped) == (0, 10)
    assert "MESH_ELASTICSEARCH_URL" in state["detail"]
    assert "secret" not in state["detail"]


def test_credentials_are_taken_out_of_an_address() -> None:
    found = ServerUrl.parse("MESH_X_URL", "bolt://me:p%40ss@127.0.0.1:7687")
    assert found == ServerUrl("bolt://127.0.0.1:7687", "me", "p@ss")
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize("url", ["127.0.0.1:9200", "http://", "http://a:b:c", "http://[", "true"])
def test_an_address_that_is_none_is_refused_with_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="MESH_X_URL"):
        ServerUrl.parse("MESH_X_URL", url)
