"""Communities: what hangs together is one group, the same for one seed, named by what its files say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mesh_assets.indexes.communities import TABLES, community_rows, leiden
from mesh_assets.schemas import ATTACHED
from mesh_assets.schemas import TABLES as SCHEMAS
from mesh_assets.schemas.communities import COMMUNITIES


def written(folder: Path, name: str, rows: list[dict[str, object]], slice_number: int = 0) -> Path:
    table = ATTACHED.get(name) or SCHEMAS[name]
    path = folder / f"{name}-{slice_number}.parquet"
    filled = [{field.name: None for field in table.schema} | row for row in rows]
    pq.write_table(pa.Table.from_batches([table.batch(filled)]), path)
    return path


def two_topics(folder: Path, slice_number: int = 0) -> dict[str, Path]:
    """Two groups of five files, each with a chunk and a symbol that its group calls, and one edge across."""
    vertices: list[dict[str, object]] = []
    edges: list[dict[str, object]] = []
    chunks: list[dict[str, object]] = []
    insights: list[dict[str, object]] = []
    base = {"dataset": "d", "slice": f"d.{slice_number:06d}"}
    for topic in ("boat", "oven"):
        for number in range(5):
            path, file, chunk, symbol = (f"{topic}{number}{end}" for end in (".py", "-file", "-chunk", "-symbol"))
            there: dict[str, object] = {**base, "path": path}
            vertices += [
                {**there, "vertex_id": file, "key": file, "type": "file", "name": path},
                {**there, "vertex_id": chunk, "key": chunk, "type": "chunk", "name": path, "chunk_id": chunk},
                {**there, "vertex_id": symbol, "key": f"name:{symbol}", "type": "symbol", "name": symbol}
                | {"chunk_id": chunk},
            ]
            called = [f"name:{topic}{other}-symbol" for other in range(5) if other != number]
            edges += [
                {**base, "source": file, "target": chunk, "type": "contains", "weight": 1.0},
                {**base, "source": chunk, "target": symbol, "type": "defines", "weight": 1.0},
                *({**base, "source": chunk, "target": other, "type": "calls", "weight": 2.0} for other in called),
            ]
            chunks.append(
                {**there, "chunk_id": chunk, "extent_start": 0, "kind": "code", "format": "python", "context": ""}
                | {"text": f"def {symbol}(): ...", "tokens": 5, "byte_start": 0, "byte_stop": 20}
                | {"line_start": 1, "line_stop": 1, "source_hash": "0" * 32}
            )
            phrases = [{"phrase": f"red {topic}", "score": 1.0}, {"phrase": "some code", "score": 0.9}]
            insights.append({"chunk_id": chunk, "keyphrases": phrases, "entities": []})
    edges.append({**base, "source": "boat0-chunk", "target": "name:oven0-symbol", "type": "calls", "weight": 1.0})
    rows = {"vertices": vertices, "graph_index": edges, "chunk_insights": insights, "chunk_sets": chunks}
    return {name: written(folder, name, rows[name], slice_number) for name in TABLES}


def test_what_hangs_together_is_one_community_with_a_name_and_a_place(tmp_path: Path) -> None:
    tables = {name: [path] for name, path in two_topics(tmp_path).items()}
    rows = list(community_rows(tables, dataset="d"))
    assert COMMUNITIES.batch(rows).num_rows == 2
    assert {row["name"].partition(",")[0] for row in rows} == {"red boat", "red oven"}  # type: ignore[attr-defined]
    for row in rows:
        topic = str(row["name"]).split()[1].strip(",")
        assert (row["size"], row["files"]) == (10, 5)
        assert all(str(member).startswith(topic) for member in row["members"])  # type: ignore[attr-defined]
        places = [citation["path"] for citation in row["citations"]]  # type: ignore[attr-defined]
        assert sorted(places) == [f"{topic}{number}.py" for number in range(5)], "each of its files opens, once"


def test_a_seed_gives_the_same_and_a_file_that_is_gone_is_in_none(tmp_path: Path) -> None:
    tables = {name: [path] for name, path in two_topics(tmp_path).items()}
    rows = list(community_rows(tables, dataset="d"))
    assert rows == list(community_rows(tables, dataset="d"))
    vertices = [row for row in pq.read_table(tables["vertices"][0]).to_pylist() if not row["name"].startswith("oven")]
    tables["vertices"] = [written(tmp_path, "vertices", vertices, 1)]
    left = list(community_rows(tables, dataset="d"))
    names = [str(member) for row in left for member in row["members"]]  # type: ignore[attr-defined]
    assert names and all(name.startswith("boat") for name in names)


def test_a_graph_without_edges_has_no_community(tmp_path: Path) -> None:
    tables = {name: [written(tmp_path, name, [])] for name in TABLES}
    assert list(community_rows(tables, dataset="d")) == []
    assert list(community_rows({name: [] for name in TABLES}, dataset="d")) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_planted_groups_are_found(seed: int) -> None:
    draw = np.random.default_rng(seed)
    groups = draw.integers(0, 6, 600)
    ends = draw.integers(0, 600, (60_000, 2))
    ends = ends[(groups[ends[:, 0]] == groups[ends[:, 1]]) | (draw.random(60_000) < 0.05)]
    found = leiden(600, ends, np.ones(len(ends)), seed=seed)
    assert len(np.unique(found)) == 6
    pairs = set(zip(groups.tolist(), found.tolist(), strict=True))
    assert len(pairs) == 6, "a community is a planted group"
    assert np.array_equal(found, leiden(600, ends, np.ones(len(ends)), seed=seed))
