"""An owner who wants words only: nothing is embedded, everything else works, and turning it on again embeds."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.search.hybrid import search
from mesh_assets.search.protocol import SearchResult
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets_tests.flow.location import Location

KEY = "notes.000000"


def _found(location: Location) -> SearchResult:
    settings = location.settings
    return search(
        "harbour fog",
        encoder=connect_encoder(settings),
        vectors=connect_vector_index(settings),
        words=connect_fulltext_index(settings),
        chunks=LakeChunks(location.lake),
    )


@pytest.fixture
def off(tmp_path: Path) -> Location:
    options = {"embedding_model": "off", "summary_node": "nobody", "ner_model": "/nowhere/names"}
    location = Location(tmp_path, options=options)
    folder = location.settings.drops / "notes"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.md").write_text(
            f"# Day {number}\n\nThick fog lay over harbour {number}, the ferry waited.\n"
        )
    return location


def test_words_only_gives_empty_tables_that_are_done_and_turning_it_on_embeds(off: Location) -> None:
    assert off.settle()
    with off.instance:
        tables = {name: off.lake.read(name, KEY) for name in ("chunk_sets", "chunk_embeddings", "vector_index")}
        assert tables["chunk_sets"].footer.rows == 12
        assert tables["chunk_embeddings"].footer.rows == tables["chunk_embeddings"].footer.skipped == 0
        (state,) = tables["vector_index"].rows()
        assert (state["state"], state["entries"]) == ("ready", 0)
        assert all(table.footer.conserved for table in tables.values())
        report = (off.settings.state / "reports" / "notes" / "index.md").read_text()
        assert "| Embedding model | off |" in report
        assert "| Vector index | off |" in report
        assert "## In short" in report
        assert "MESH_SUMMARY_NODE is nobody, which wrote nothing: mesh.yaml has no such node." in report.replace(
            "\\", ""
        )
        assert "| Names by a model | off, because /nowhere/names cannot be used |" in report
        result = _found(off)
        assert len(result.hits) == 10
        assert all(hit.meaning_rank is None for hit in result.hits)
        assert result.notes == [
            "Not searched by meaning: embeddings are off. Set MESH_EMBEDDING_MODEL to a model to have both."
        ]

        before = off.files_of("chunk_sets")
        on = Location(off.folder, overrides={"encoder": FakeEncoder(32)})
        assert on.run("slice_job", dg.RunRequest(partition_key=KEY)).success
        on.instance.dispose()
        assert off.lake.read("chunk_embeddings", KEY).footer.rows == 12
        assert off.lake.read("vector_index", KEY).rows()[0]["entries"] == 12
        assert off.files_of("chunk_sets") == before
