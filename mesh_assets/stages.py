"""The stages in flow order with their assets and policies: the map of the system.

Nothing runs here. `definitions` applies these policies by selection, the lake derives its paths from `partition`, and
a test holds that every edge of the asset graph goes forward in this order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OWNER = "team:intelligence-mesh"


@dataclass(frozen=True, slots=True)
class StageAsset:
    """One asset. A new `version` makes what earlier code wrote stale; `kinds` name the engines, for the UI.

    `attached` names tables that are made in the same pass and published with its own.
    """

    name: str
    partition: Literal["dataset", "slice"]
    version: str
    kinds: frozenset[str]
    attached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the flow: the asset group, the folder under `defs/` and the folder of pure code have its name."""

    name: str
    assets: tuple[StageAsset, ...]


def _asset(
    name: str,
    *kinds: str,
    version: str = "1",
    partition: Literal["dataset", "slice"] = "slice",
    attached: tuple[str, ...] = (),
) -> StageAsset:
    return StageAsset(name, partition, version, frozenset(kinds), attached)


STAGES: tuple[Stage, ...] = (
    Stage(
        "intake",
        (
            _asset("drop_manifests", "file", "parquet", partition="dataset"),
            _asset("raw_partitions", "file", "parquet", version="6"),
        ),
    ),
    Stage("chunks", (_asset("chunk_sets", "parquet", version="7", attached=("symbols", "previews")),)),
    Stage("embeddings", (_asset("chunk_embeddings", "torch", "parquet"),)),
    Stage(
        "insights",
        (
            _asset("chunk_insights", "parquet", version="5"),
            _asset("chunk_relations", "parquet"),
            _asset("log_events", "parquet", version="3", attached=("log_templates", "log_insights")),
            _asset("code_findings", "parquet"),
            _asset("slice_insights", "parquet", version="11", attached=("chunk_labels",)),
            _asset("series", "parquet"),
            _asset("series_points", "parquet"),
            _asset("immediate_insights", "parquet", partition="dataset"),
        ),
    ),
    Stage(
        "indexes",
        (
            _asset("vector_index", "faiss", version="2"),
            _asset("fulltext_index", "tantivy"),
            _asset("graph_index", "arrow", "parquet", version="3", attached=("vertices",)),
            _asset("time_index", "parquet"),
            _asset("communities", "parquet", version="2", partition="dataset"),
        ),
    ),
    Stage(
        "analyses",
        (
            _asset("cases", "parquet", version="2"),
            _asset("surface_analyses", "parquet", version="2"),
            _asset("deep_analyses", "parquet", version="2"),
            _asset("expert_analyses", "parquet", version="2"),
            _asset("research_analyses", "parquet", version="2"),
        ),
    ),
    Stage("usage", (_asset("receipts", "sqlite", "parquet", partition="dataset"),)),
    Stage(
        "reports",
        (
            _asset("slice_reports", "html"),
            _asset("dataset_reports", "html", partition="dataset"),
            _asset("dataset_statistics", "duckdb", partition="dataset"),
        ),
    ),
)
ASSETS: dict[str, StageAsset] = {asset.name: asset for stage in STAGES for asset in stage.assets}
# What a file of each table of the lake is of.
PARTITIONS: dict[str, Literal["dataset", "slice"]] = {
    table: asset.partition for asset in ASSETS.values() for table in (asset.name, *asset.attached)
}
# Small tables of a dataset live in one DuckDB file (`storage.duckdb_tables`), everything else in Parquet.
DUCKDB_ASSETS: tuple[str, ...] = tuple(name for name, asset in ASSETS.items() if "duckdb" in asset.kinds)
SLICE_ASSETS: tuple[str, ...] = tuple(name for name, asset in ASSETS.items() if asset.partition == "slice")
