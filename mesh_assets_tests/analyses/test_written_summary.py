"""A dataset's summary: its own sentences that say most, and a local model's words where each leads back to them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesh_assets.analyses.ladder import Means
from mesh_assets.analyses.signals import Uncalibrated
from mesh_assets.analyses.written_summary import Written, written_summary
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.insights.dataset_summary import SENTENCES, summarised, weighed
from mesh_assets.mesh.nodes import NodeState
from mesh_assets.mesh.prices import FREE
from mesh_assets.mesh.protocol import Node, Scope
from mesh_assets.resources.nodes import connect_client
from mesh_assets.schemas.insights import INSIGHTS
from mesh_assets_tests.mesh.loopback import Loopback, loopback
from mesh_assets_tests.mesh.parts import bench, node
from mesh_assets_tests.mesh.tiny_causal import make_tiny_causal

PUMPS = [
    "The coolant pump of the plant seized because its bearing ran dry.",
    "Every pump of the plant has a bearing that must be greased each month.",
    "The plant stopped when the bearing of its second pump failed.",
]
ODD = "Tenants hand back the keys of their flat when they move out."


def row(statement: str, number: int, slice_key: str = "plant.000000") -> dict[str, Any]:
    cited = {
        "dataset": "plant",
        "path": f"notes/{number}.md",
        "byte_start": 10 * number,
        "byte_stop": 10 * number + len(statement),
        "source_hash": "0" * 32,
        "line_start": 1,
        "quote": statement,
        "place": None,
    }
    return {
        "insight_id": f"{number:032x}",
        "dataset": "plant",
        "slice": slice_key,
        "kind": "text",
        "type": "summary",
        "title": f"notes/{number}.md, line 1",
        "statement": statement,
        "score": 0.45,
        "value": "{}",
        "time_start": None,
        "time_stop": None,
        "evidence": [cited],
    }


ROWS = [row(statement, number) for number, statement in enumerate([*PUMPS, ODD])]


@pytest.mark.parametrize("encode", [FakeEncoder(256).encode, None], ids=["vectors", "words"])
def test_sentences_of_all_slices_are_weighed_and_the_same_is_not_said_twice(encode: Any) -> None:
    slices = [[row(PUMPS[0], 0, "plant.000000"), row(ODD, 1)], [row(PUMPS[0], 2), row(PUMPS[1], 3)], [row(PUMPS[2], 4)]]
    found = summarised(slices, encode)
    assert len({each["statement"] for each in found}) == len(found) == 4
    assert found[0]["statement"] in PUMPS
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    assert all(each["evidence"] and each["score"] < 0.5 for each in found)
    assert summarised([[], []], encode) == []


def test_a_large_dataset_is_heard_slice_by_slice_and_gives_a_few_sentences() -> None:
    def said(n: int, place: int) -> str:
        own = "".join(chr(97 + int(digit)) for digit in f"{n:03}")
        return f"Plant {own}pump {own}fan {own}belt {own}{chr(97 + place)} runs."

    slices = [[row(said(n, place), n) for place in range(8)] for n in range(300)]
    assert len({each["statement"][:9] for each in weighed(slices)}) == 300
    assert len(weighed(slices)) == 400
    assert len(summarised(slices, lambda texts: np.eye(len(texts), 400, dtype=np.float32))) == SENTENCES


def means(folder: Path, made: Node, *, off: str = "") -> Means:
    caller = bench(folder).caller
    nodes, states = ({}, [NodeState(made, off)]) if off else ({made.name: made}, [])
    return Means(nodes, states, caller, connect_client, lambda _: (), Uncalibrated())


def written(folder: Path, made: Node, name: str = "writer", *, off: str = "") -> Written:
    scopes = (Scope("run", "r"), Scope("dataset", "plant"))
    return written_summary(ROWS, name=name, dataset="plant", means=means(folder, made, off=off), scopes=scopes)


def writer(server: Loopback | None = None, **changes: object) -> Node:
    return node("openai", server, name="writer", price=FREE, **changes)


def claim(statement: str, *cited: tuple[str, str]) -> dict[str, object]:
    return {"statement": statement, "citations": [{"label": label, "quote": quote} for label, quote in cited]}


def test_a_local_model_writes_sentences_that_cite_those_they_come_from(tmp_path: Path) -> None:
    claims = [
        claim(
            "Dry bearings stop the pumps.", ("E1", "its bearing ran dry"), ("E3", "bearing of its second pump failed")
        ),
        claim("The plant was sold in May.", ("E2", "sold in May")),
        claim("Something without a ground."),
    ]
    with loopback() as server:
        server.answer = lambda _: json.dumps({"answer": "About pumps.", "claims": claims, "confidence": 0.9})
        found = written(tmp_path, writer(server))
        assert written(tmp_path, writer(server)) == found
        assert len(server.billed) == 1  # what was answered once is kept
        assert all(statement in json.dumps(server.requests[0]) for statement in (*PUMPS, ODD))
    (sentence,) = found.rows
    assert (sentence["title"], sentence["statement"]) == ("Written by writer", "Dry bearings stop the pumps.")
    assert [each["path"] for each in sentence["evidence"]] == ["notes/0.md", "notes/2.md"]
    assert 0.45 < sentence["score"] < 0.5
    assert "2 more did not hold" in found.note
    assert INSIGHTS.batch([sentence, *ROWS]).num_rows == 5


def test_without_a_model_that_can_be_asked_it_is_said_why(tmp_path: Path) -> None:
    gone = writer(base_url="http://127.0.0.1:9/v1")
    for at, (made, name, off, why) in enumerate(
        [
            (gone, "writer", "", "writer"),
            (gone, "other", "", "mesh.yaml has no such node"),
            (gone, "writer", "there is no folder /models/x", "it is off: there is no folder /models/x"),
            (replace(gone, policy="may-leave"), "writer", "", "it is not on this machine"),
            (node("local", name="writer", model="extractive", price=FREE), "writer", "", "it only quotes"),
        ]
    ):
        found = written(tmp_path / str(at), made, name, off=off)
        assert found.rows == []
        assert found.note.startswith(f"MESH_SUMMARY_NODE is {name}, which wrote nothing: ")
        assert why in found.note
        assert found.note.endswith("The sentences are the data's own.")


def test_a_model_that_babbles_writes_nothing(tmp_path: Path) -> None:
    folder = make_tiny_causal(tmp_path / "model")
    made = node("local", name="writer", model=str(folder), price=FREE, output_tokens=40, context_tokens=1024)
    found = written(tmp_path, made)
    assert found.rows == []
    assert "which wrote nothing: " in found.note
