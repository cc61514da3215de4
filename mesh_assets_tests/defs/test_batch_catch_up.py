"""What was handed in as a batch is collected without anybody at hand, and its slices go on."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from mesh_assets.defs.analyses.sensors import batch_catch_up
from mesh_assets.mesh.calls import Question
from mesh_assets.mesh.nodes import NodeState
from mesh_assets.mesh.prompts import request_of
from mesh_assets.mesh.protocol import Scope
from mesh_assets.resources.caller import MeshCaller
from mesh_assets.settings import Settings
from mesh_assets.storage import pace
from mesh_assets.storage.lake import Footer, Lake
from mesh_assets_tests.analyses.batches import BatchServer
from mesh_assets_tests.analyses.scripted import HELD, always, answer, at
from mesh_assets_tests.mesh.parts import CASE

KEY = "shop.000000"


def _publish(lake: Lake, in_batches: int) -> None:
    extra = {"in_batches": in_batches}
    footer = Footer("surface_analyses", KEY, 1, 0, 0, 0, 0, 0, 0, 0, "", "", "", "", 0.0, time.time(), extra=extra)
    path = lake.path("surface_analyses", KEY)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"case_id": ["a"]})
    pq.write_table(table.replace_schema_metadata({"mesh": json.dumps(asdict(footer))}), path)


def test_slices_are_asked_for_once_their_batch_is_done_and_again_until_none_waits(tmp_path: Path) -> None:
    settings, server, asked = Settings(state=tmp_path), BatchServer(always(answer(HELD))), at("surface", has_batch=True)
    lake, instance = Lake(tmp_path / "lake"), dg.DagsterInstance.ephemeral()
    named: list[NodeState] = []
    caller = MeshCaller(settings, states=lambda _: list(named), connect_batches=lambda node: server)
    assert caller.means.nodes == {}
    named.append(NodeState(asked, ""))  # mesh.yaml names it only once the mesh is up
    scopes = (Scope("case", CASE.id), Scope("dataset", "shop"))
    assert caller.desk.hand_in(asked, [Question(CASE.id, "surface", request_of(CASE, max_tokens=500), scopes)]) == ""
    _publish(lake, 1)
    cursor: str | None = None

    def tick() -> list[dg.RunRequest]:
        nonlocal cursor
        resources = {"lake": lake, "settings": settings, "caller": caller}
        found = batch_catch_up(dg.build_sensor_context(instance=instance, resources=resources, cursor=cursor))
        assert isinstance(found, dg.SensorResult)
        cursor = found.cursor
        return list(found.run_requests or [])

    assert tick() == []
    server.is_ready = True
    pace.pause(settings, None)
    assert tick() == []
    pace.resume(settings)
    [request] = tick()
    assert (request.partition_key, request.tags["mesh/can_wait"]) == (KEY, "true")
    assert [each.partition_key for each in tick()] == [KEY]  # its run may have been killed
    _publish(lake, 0)
    assert tick() == []
    assert json.loads(cursor or "") == []
