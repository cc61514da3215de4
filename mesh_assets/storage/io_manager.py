"""Joins the lake to Dagster: hands tables to assets, publishes what they produce, and shows both in the UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pyarrow.dataset as pads

from mesh_assets.schemas.outcome import Produced
from mesh_assets.schemas.rejects import Reject
from mesh_assets.settings import Settings
from mesh_assets.stages import ASSETS
from mesh_assets.storage.failures import in_words
from mesh_assets.storage.lake import Footer, Lake, LakeTable, UpToDate
from mesh_assets.storage.memory import give_back
from mesh_assets.storage.pace import GiveWay
from mesh_assets.storage.ui import rejects_markdown

if TYPE_CHECKING:
    import duckdb


class ParquetIOManager(dg.IOManager):
    """Publishes `Produced` streams to the lake, one file a partition; hands out tables by the annotated type.

    An input annotated `LakeTable` gets just that; `pyarrow.dataset.Dataset`, `polars.LazyFrame` and
    `duckdb.DuckDBPyRelation` get the same rows, read lazily. A table that was never published raises
    MissingUpstreamError. An output that is `UpToDate` is left as it is.
    """

    def __init__(self, lake: Lake, settings: Settings | None = None) -> None:
        self._lake = lake
        self._settings = settings

    def handle_output(self, context: dg.OutputContext, obj: Produced | UpToDate) -> None:
        """Write what the asset produced, or note that it was up to date.

        The stream is drained here, so this is where a run gives way while the owner needs the machine, and where most
        errors of a stage come up.
        """
        with in_words(context.step_context.previous_attempt_count):
            self._handle(context, obj)
        give_back()

    def _handle(self, context: dg.OutputContext, obj: Produced | UpToDate) -> None:
        if isinstance(obj, UpToDate):
            footer = obj.table.footer
            context.log.info(f"{footer.asset} of {footer.partition} is up to date: nothing was done")
            shown = footer_metadata(obj.table) | {"written": False}
            if footer.reject_rows:  # the UI shows the latest run only, and what could not be read stays true
                rejects = [
                    Reject(**row)
                    for batch in self._lake.rejects(footer.asset, footer.partition)
                    for row in batch.to_pylist()
                ]
                shown["rejects_by_reason"] = dg.MetadataValue.md(rejects_markdown(rejects))
            context.add_output_metadata(shown)
            return
        if self._settings is not None:  # who owns the machine says in the settings when it may be used
            way = GiveWay(self._settings, context.log.info)
            obj.outcome.give_way, obj.outcome.is_held = way, way.is_held
            obj.outcome.advance(0)
        asset = context.asset_key.to_user_string()
        table = self._lake.publish(
            asset, context.partition_key, obj, version=ASSETS[asset].version, run_id=context.run_id
        )
        obj.published()
        shown = dict[str, Any]()
        shown.update(obj.metadata)  # first what the stage has to say: the UI keeps the order
        shown.update(footer_metadata(table) | {"written": True})
        if obj.outcome.rejects:
            shown["rejects_by_reason"] = dg.MetadataValue.md(rejects_markdown(obj.outcome.rejects))
        context.add_output_metadata(shown)

    def load_input(self, context: dg.InputContext) -> LakeTable | pads.Dataset | pl.LazyFrame | duckdb.DuckDBPyRelation:
        """The table of the same partition of the upstream asset."""
        with in_words():
            table = self._lake.read(context.asset_key.to_user_string(), context.partition_key)
        wanted = context.dagster_type.typing_type
        if wanted is pads.Dataset:
            return pads.dataset(table.path)
        if wanted is pl.LazyFrame:
            return pl.scan_parquet(table.path)
        if getattr(wanted, "__name__", "") == "DuckDBPyRelation":
            import duckdb

            return duckdb.connect().read_parquet(str(table.path))
        return table


def footer_metadata(table: LakeTable) -> dict[str, Any]:
    """What the UI shows, and plots over time, of a published table."""
    footer: Footer = table.footer
    return {
        "rows": footer.rows,
        "bytes_in": footer.bytes_in,
        "bytes_out": table.path.stat().st_size,
        "seconds": footer.seconds,
        "rejects": footer.reject_rows,
        "skipped": footer.skipped,
        "path": dg.MetadataValue.path(str(table.path)),
        "query": f"from read_parquet('{table.path}') limit 10",
    }
