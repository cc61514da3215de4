"""Assets of the stage `intake`."""

import time
from collections.abc import Collection

import dagster as dg

from mesh_assets.chunks.boundaries import FileSplitter
from mesh_assets.defs.partitions import ACROSS_GRAINS, SLICES_NAME, dataset_asset, slice_asset
from mesh_assets.errors import IndexDownError, MissingUpstreamError
from mesh_assets.indexes.protocol import FulltextIndex, VectorIndex
from mesh_assets.intake.drop_area import WALKS, DropArea, DropWatch
from mesh_assets.intake.extents import MANIFEST_ROWS, Extent
from mesh_assets.intake.planner import target_bytes
from mesh_assets.intake.stage import SourceReader, next_manifest, slice_input_hash
from mesh_assets.machine import slice_bytes
from mesh_assets.resources.graph_index import connect_graph_server
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.settings import Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage.known_probes import KnownProbes
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.retirement import SliceStores, retirable


@dataset_asset()
def drop_manifests(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    drop_area: dg.ResourceParam[DropArea],
    vectors: dg.ResourceParam[VectorIndex],
    words: dg.ResourceParam[FulltextIndex],
    settings: dg.ResourceParam[Settings],
) -> Produced:
    """What lies in a dataset's folder, what changed since the last look, and which slice each file belongs to.

    Materialize it to pick up new drops at once: it walks the folder, plans the slices, adds their partitions, and
    removes those of slices that were emptied.
    """
    dataset = context.partition_key
    before = lake.find("drop_manifests", dataset)
    footer = before.footer.extra if before else {}
    growth = DropWatch(drop_area, settings.state / WALKS).growth(dataset, footer.get("growing", {}))
    partitions = context.instance.get_dynamic_partitions(SLICES_NAME)
    manifest = next_manifest(
        dataset,
        before.batches(rows=MANIFEST_ROWS) if before else [],
        footer or {"version": _first_version(context.instance, dataset)},
        drop_area.listing(dataset, growth),
        target=target_bytes(slice_bytes(settings), len(partitions)),
        retired=retirable(lake, before.footer) if before else (),
        splitter=FileSplitter(lambda: drop_area.folder_of(dataset), KnownProbes(lake).of),
    )
    context.instance.add_dynamic_partitions(SLICES_NAME, sorted(manifest.slices))
    stores = SliceStores(lake, vectors, words, settings.state / "reports", connect_graph_server(settings))
    manifest.produced.published = lambda: _sweep(context, stores, manifest.slices, partitions)
    return manifest.produced


def _first_version(instance: dg.DagsterInstance, dataset: str) -> int:
    """Where versions start: above what the sensors may remember of a dataset whose state was deleted.

    The time in ms does that, and Dagster's own memory where the clock was set back since.
    """
    known = dg.AssetRecordsFilter(dg.AssetKey("drop_manifests"), asset_partitions=[dataset])
    versions = [time.time_ns() // 1_000_000]
    for record in instance.fetch_materializations(known, limit=1).records:
        materialization = record.asset_materialization
        version = materialization.metadata.get("manifest_version") if materialization else None
        versions += [version.value] if isinstance(version, dg.IntMetadataValue) and version.value else []
    return max(versions)


def _sweep(
    context: dg.AssetExecutionContext, stores: SliceStores, keep: Collection[str], partitions: Collection[str]
) -> None:
    instance = context.instance
    try:
        gone = stores.sweep(
            context.partition_key, keep, partitions, lambda key: instance.delete_dynamic_partition(SLICES_NAME, key)
        )
    except IndexDownError as error:
        context.log.warning(f"Slices that are no more stay for now, the next manifest removes them: {error}")
        return
    if gone:
        context.log.info(f"removed {len(gone)} slices that are no more: {', '.join(gone[:5])}")


@slice_asset(deps=[dg.AssetDep(drop_manifests, partition_mapping=ACROSS_GRAINS)])
def raw_partitions(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], drop_area: dg.ResourceParam[DropArea]
) -> Produced:
    """Each file of the slice, read once: its content hash, kind, format, encoding and language. No copy is kept.

    What cannot be read, or changed while it was read, is a reject with its reason and remedy.
    """
    slice_key = SliceKey.parse(context.partition_key)
    rows = lake.read("drop_manifests", slice_key.dataset).rows(where=("slice", str(slice_key)))
    if not rows:
        raise _no_slice(slice_key)
    extents = [Extent.of_row(row) for row in rows]
    live = [extent for extent in extents if extent.is_live]
    outcome = Outcome("files", total=len(live), log=context.log.info)
    reader = SourceReader(drop_area.folder_of(slice_key.dataset), live, outcome)
    version = max(extent.slice_version for extent in extents)
    extra: dict[str, object] = {"slice_version": version}
    return Produced(reader.batches(extra), outcome, slice_input_hash(extents), extra, {"slice_version": version})


def _no_slice(key: SliceKey) -> MissingUpstreamError:
    return MissingUpstreamError(
        f"The slice {key} is not in the manifest of {key.dataset}: it was emptied, or never planned.",
        remedy="Materialize `drop_manifests` of the dataset: it removes partitions of slices that are no more.",
    )
