"""A server that the graph is loaded into may be down: the slice goes on, and it is loaded later and forgotten too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from neo4j.exceptions import ServiceUnavailable

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.indexes.fakes import InMemoryFulltextIndex, InMemoryVectorIndex
from mesh_assets.resources import graph_index
from mesh_assets.resources.neo4j_graph import Neo4jGraph
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.search.neo4j_fake import Answer, FakeDriver, Row

SLICE = "notes.000000"
CODE = "def take(what):\n    return count(what)\n\n\ndef count(what):\n    return len(what)\n"


class SwitchedDriver(FakeDriver):
    """A driver whose server can be down."""

    is_down = False

    def run(self, statement: str, asked: Row) -> Answer:
        if self.is_down:
            raise ServiceUnavailable("nobody listens")
        return super().run(statement, asked)


def test_the_graph_is_loaded_into_a_server_once_it_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = SwitchedDriver()
    driver.is_down = True
    monkeypatch.setattr(graph_index, "connected", lambda _: lambda: driver)
    overrides = {
        "encoder": FakeEncoder(),
        "vectors": InMemoryVectorIndex(),
        "words": InMemoryFulltextIndex(),
    }
    location = Location(tmp_path, overrides, {"neo4j_url": "bolt://127.0.0.1:1"})
    folder = location.settings.drops / "notes"
    folder.mkdir()
    (folder / "stock.py").write_text(CODE)
    for name in ("drop_sensor", "slice_sensor"):
        job = location.defs.resolve_sensor_def(name).job_name
        results = [location.run(job, request) for request in location.tick(name)]
    assert results[0].success
    ready = {
        e.asset_key.to_user_string(): e.passed
        for e in results[0].get_asset_check_evaluations()
        if e.check_name == "ready"
    }
    assert ready == {"graph_index": False, "vector_index": True, "fulltext_index": True}
    table = location.lake.read("graph_index", SLICE)
    assert table.footer.rows > 0, "the tables are there"
    assert table.footer.skipped > 0
    assert table.footer.conserved

    driver.is_down = False
    (request,) = location.tick("index_catch_up")
    location.run("index_job", request)
    graph = Neo4jGraph(lambda: cast("Any", driver))
    assert graph.held(SLICE) == location.lake.read("graph_index", SLICE).footer.rows
    (take,) = graph.find("take")
    assert [step.vertex.name for step in graph.steps([take.vertex_id], types=["calls"])] == ["count"]
    assert location.tick("index_catch_up") == []

    graph.forget_slices([SLICE])
    location.run("index_job", request)
    assert graph.held(SLICE), "what the server lost is loaded again"
    location.instance.dispose()
