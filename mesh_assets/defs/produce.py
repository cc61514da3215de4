"""How every stage turns its inputs into a table: nothing where it is up to date, else a stream with its counts."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg
import pyarrow as pa
from blake3 import blake3

from mesh_assets.errors import CorruptTableError
from mesh_assets.schemas.outcome import AttachedRows, Outcome, Produced, StageOutput
from mesh_assets.stages import ASSETS
from mesh_assets.storage.lake import Lake, LakeTable, UpToDate
from mesh_assets.storage.run_tags import FORCE_TAG, is_set


def input_hash(asset: str, upstream: Sequence[LakeTable], settings: Mapping[str, object]) -> str:
    """Identifies what a table is made from: the rows before it, the settings that matter, the version of its code."""
    identity = [ASSETS[asset].version, [table.footer.content_hash for table in upstream], settings]
    return blake3(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest(length=16)


def made_from(upstream: Sequence[LakeTable], settings: Mapping[str, object]) -> dict[str, object]:
    """For the footer, what `storage.staleness` compares."""
    contents = {table.footer.asset: table.footer.content_hash for table in upstream}
    return {"settings": dict(settings), "made_from": contents}


def produce(
    context: dg.AssetExecutionContext,
    lake: Lake,
    rows: Callable[[Outcome], Iterator[pa.RecordBatch]],
    *,
    upstream: Sequence[LakeTable],
    total: int,
    unit: str,
    settings: Mapping[str, object] | None = None,
    is_there: Callable[[LakeTable], bool] = lambda _: True,
    shown: Mapping[str, object] | None = None,
    published: Callable[[], None] = lambda: None,
    attached: AttachedRows | None = None,
    extra: dict[str, object] | None = None,
) -> StageOutput:
    """The table that is there if it was made from the same, else the stream `rows`, which counts towards `total`.

    A table that had to skip rows (its index was down), or has rejects that may pass, is never up to date; nor is one
    whose result outside the lake is gone, which `is_there` tells. A run tagged `mesh/force` makes all of them again.
    What `attached` gathers is published with the table, what `shown` holds in the end goes to the UI and what `extra`
    holds to the footer, and `published` is called when the table is there, also where it was before.
    """
    asset = context.asset_key.to_user_string()
    identity = input_hash(asset, upstream, settings or {})
    try:
        found = lake.find(asset, context.partition_key)
    except CorruptTableError:
        found = None  # it is made again
    forced = is_set(context.run.tags, FORCE_TAG)
    if found is not None and found.footer.input_hash == identity and not forced:
        incomplete = found.footer.skipped or found.footer.passing
        if not incomplete and is_there(found):
            published()
            return UpToDate(found)
    outcome = Outcome(unit=unit, total=total, log=context.log.info)
    footer = extra if extra is not None else {}
    footer.update(made_from(upstream, settings or {}))
    return Produced(rows(outcome), outcome, identity, footer, shown or {}, published, attached or AttachedRows())
