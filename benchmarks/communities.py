"""Communities of a graph of a million edges: time, peak memory, and whether planted groups are found again.

The graph is made: groups of equal size, edges inside with the share of `--inside`, its tables written as a slice has
them. `--data` is taken for the sake of the other benchmarks and not read.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mesh_assets.indexes.communities import community_rows
from mesh_assets.schemas import ATTACHED, TABLES


def main() -> None:
    """Write the tables, find the communities, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--inside", type=float, default=0.8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tables = _written(Path(folder), asked.edges, asked.inside)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        rows = list(community_rows(tables, dataset="d"))
        seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    groups = [{member.partition("/")[0] for member in row["members"]} for row in rows]  # type: ignore[attr-defined]
    pure = sum(len(group) == 1 for group in groups) / max(len(groups), 1)
    print(f"{len(rows)} communities of {asked.edges:,} edges; before: {before / 1024:.0f} MB at its highest")
    print(f"seconds={seconds:.1f} peak_rss_mb={peak / 1024:.0f} pure={pure:.2f}")


def _written(folder: Path, edges: int, inside: float) -> dict[str, list[Path]]:
    draw = np.random.default_rng(6)
    vertices, groups = edges // 5, 100
    group = np.arange(vertices) % groups
    source = draw.integers(0, vertices, edges)
    near = draw.integers(0, vertices // groups, edges) * groups + group[source]
    target = np.where(draw.random(edges) < inside, near, draw.integers(0, vertices, edges))
    ids = pa.array([f"{number:032x}" for number in range(vertices)])
    paths = pa.array([f"group{number % groups}/{number}.py" for number in range(vertices)])
    constant = {"type": "file", "dataset": "d", "slice": "d.000000"}
    columns = {"vertex_id": ids, "key": ids, "name": paths, "path": paths}
    edge_columns = {"source": ids.take(pa.array(source)), "target": ids.take(pa.array(target))}
    edge_columns["weight"] = pa.array(np.ones(edges))
    return {
        "vertices": [_table(folder, "vertices", columns, constant, vertices)],
        "graph_index": [_table(folder, "graph_index", edge_columns, constant | {"type": "calls"}, edges)],
        "chunk_insights": [_table(folder, "chunk_insights", {}, {}, 0)],
        "chunk_sets": [_table(folder, "chunk_sets", {}, {}, 0)],
    }


def _table(folder: Path, name: str, columns: dict[str, pa.Array], constant: dict[str, str], rows: int) -> Path:
    schema = (ATTACHED.get(name) or TABLES[name]).schema
    arrays = [
        columns.get(field.name, pa.array([constant.get(field.name)] * rows, field.type)).cast(field.type)
        for field in schema
    ]
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path)
    return path


if __name__ == "__main__":
    main()
