"""What a state folder holds of datasets, without what differs from run to run: equal snapshots mean equal results."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.indexes.vector_file import map_vectors
from mesh_assets.schemas import TABLES
from mesh_assets.settings import Settings
from mesh_assets.stages import ASSETS, DUCKDB_ASSETS
from mesh_assets.storage.duckdb_tables import rows_of
from mesh_assets.storage.lake import Lake

# Counted by the time at which a dataset was first seen, or by what an undisturbed run may do in one go.
_VERSIONS = {"slice_version", "change"}
_COUNTS = ("dataset", "slice", "stage", "asset", "rows", "rows_in", "rejects", "skipped", "bytes_in")
_TIMES = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC)?|20\d\d-\d\d-\d\d")
_QUERIES = ("worker took job", "return the number of bytes", "deprecated since version", "parse header")


def snapshot(settings: Settings, datasets: Sequence[str]) -> dict[str, Any]:
    """Tables row by row, rejects, vector files, full-text entries and hits, and reports of these datasets."""
    lake = Lake(settings.state / "lake")
    found: dict[str, Any] = {}
    for dataset in datasets:
        slices = sorted(lake.read("drop_manifests", dataset).footer.extra["slices"])
        for asset in ASSETS.values():
            for partition in [dataset] if asset.partition == "dataset" else slices:
                found[f"{asset.name} of {partition}"] = _table(lake, asset.name, partition)
        for key in slices:
            found[f"vectors of {key}"] = _vectors(settings.state / "indexes" / "vectors", key)
            found[f"entries of {key}"] = _words(settings).held(key)
        for report in sorted((settings.state / "reports" / dataset).glob("*.md")):
            found[f"report {dataset}/{report.name}"] = _TIMES.sub("TIME", report.read_text())
    for query in _QUERIES:
        hits = _words(settings).search(query, limit=20)
        found[f"hits of {query!r}"] = sorted((hit.chunk_id, hit.slice) for hit in hits)
    return found


def files(state: Path) -> set[str]:
    """Every file of the lake, the vector index and the reports: nothing is doubled where these are equal."""
    folders = (state / "lake", state / "indexes" / "vectors", state / "reports")
    return {str(path.relative_to(state)) for folder in folders for path in folder.rglob("*") if path.is_file()}


def _words(settings: Settings) -> TantivyFulltextIndex:
    return TantivyFulltextIndex(settings.state / "indexes" / "words")


def _table(lake: Lake, asset: str, partition: str) -> tuple[list[Any], list[Any], tuple[object, ...]]:
    if asset in DUCKDB_ASSETS:
        rows = rows_of(lake.root, asset, partition)[1].select(list(_COUNTS)).to_pylist()
        return sorted(rows, key=lambda row: (row["asset"], row["slice"] or "")), [], ()
    schema = TABLES[asset]
    columns = [c.name for c in schema.columns if not c.volatile and c.name not in _VERSIONS]
    table = lake.read(asset, partition)
    rows = [{name: _plain(value) for name, value in row.items()} for row in table.rows(columns)]
    rejects = [row for batch in lake.rejects(asset, partition) for row in batch.to_pylist()]
    footer = table.footer
    counts = (footer.rows, footer.rows_in, footer.done, footer.rejects, footer.skipped, footer.reject_rows)
    order = list(schema.key)
    return sorted(rows, key=lambda row: [str(row[name]) for name in order]), rejects, counts


def _plain(value: Any) -> Any:
    if isinstance(value, list) and len(value) > 8 and isinstance(value[0], float):
        return [round(number, 2) for number in value]  # a vector: sums may differ in the last bits of a float16
    if isinstance(value, str) and len(value) > 500:
        value = _TIMES.sub("TIME", value)
        return value if len(value) < 2000 else hashlib.sha256(value.encode()).hexdigest()
    return value


def _vectors(root: Path, key: str) -> list[tuple[str, list[Any]]]:
    (path,) = root.rglob(f"{key}.vectors")
    file = map_vectors(path)
    vectors = np.round(file.vectors.astype(np.float32), 2)
    return sorted((row.tobytes().hex(), vector.tolist()) for row, vector in zip(file.ids, vectors, strict=True))
