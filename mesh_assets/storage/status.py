"""What `mesh status` tells of each dataset, from the lake alone: slices, chunks, rejects, rate and time left."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from mesh_assets.errors import MeshError
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.slices import LOOSE_FILES
from mesh_assets.stages import SLICE_ASSETS
from mesh_assets.storage.lake import Footer, Lake, LakeTable
from mesh_assets.storage.progress import dataset_progress


@dataclass(frozen=True, slots=True)
class DatasetStatus:
    """Counts of one dataset. `bytes_per_second` is that of its finished slices, one after the other.

    `problem` says what is wrong with it: it was not looked at yet, its manifest is damaged, its folder is gone.
    `reference` is its folder where it is read where it lies, else empty.
    """

    dataset: str
    files: int
    bytes: int
    slices: int
    finished: int
    chunks: int
    rejects: int
    bytes_left: int
    bytes_per_second: float | None
    has_report: bool
    unfinished: tuple[str, ...]
    problem: str = ""
    reference: str = ""

    @property
    def done(self) -> bool:
        """Whether every slice is at its version and the dataset has its report."""
        return not self.problem and not self.unfinished and (self.has_report or not self.slices)


def statuses(lake: Lake, area: DropArea) -> list[DatasetStatus]:
    """One status for each dataset that has a manifest, a folder in the drop area or a reference."""
    known = lake.datasets("drop_manifests")
    folders, references, unavailable = area.folders(), area.references(), area.unavailable()
    found = [_known(lake, dataset) for dataset in known]
    found += [_unknown(key, "not looked at yet") for key in sorted({*folders, *unavailable} - set(known))]
    gone = "its folder is gone: put it back, or `mesh forget` it"
    away = {s.dataset: gone for s in found if s.dataset not in folders and s.dataset != LOOSE_FILES} | unavailable
    return [
        replace(
            status,
            problem=away.get(status.dataset) or status.problem,
            reference=str(references[status.dataset].path) if status.dataset in references else "",
        )
        for status in found
    ]


def _known(lake: Lake, dataset: str) -> DatasetStatus:
    try:
        return dataset_status(lake, dataset)
    except MeshError as error:
        return _unknown(dataset, str(error))


def _unknown(dataset: str, problem: str) -> DatasetStatus:
    return DatasetStatus(dataset, 0, 0, 0, 0, 0, 0, 0, None, False, (), problem)


def dataset_status(lake: Lake, dataset: str) -> DatasetStatus:
    """The status of one dataset."""
    progress = dataset_progress(lake, dataset)
    manifest = lake.read("drop_manifests", dataset)
    files, sizes = _sizes(manifest)
    footers = {key: _footers(lake, key) for key in progress.finished}
    seconds = sum(footer.seconds for slice_footers in footers.values() for footer in slice_footers.values())
    read = sum(sizes.get(key, 0) for key in footers)
    report = lake.find("dataset_reports", dataset)
    return DatasetStatus(
        dataset=dataset,
        files=files,
        bytes=sum(sizes.values()),
        slices=len(progress.versions),
        finished=len(progress.finished),
        chunks=sum(found["chunk_sets"].rows for found in footers.values() if "chunk_sets" in found),
        rejects=_rejects(manifest.footer, footers),
        bytes_left=sum(sizes.get(key, 0) for key in progress.unfinished),
        bytes_per_second=read / seconds if seconds and read else None,
        has_report=dataset == LOOSE_FILES or (report is not None and report.footer.extra["state"] == progress.digest),
        unfinished=tuple(progress.unfinished),
    )


def _sizes(manifest: LakeTable) -> tuple[int, dict[str, int]]:
    """How many extents are there, and the bytes of each slice that has some."""
    live = pl.scan_parquet(manifest.path).filter(pl.col("change") != "deleted")
    sizes = live.group_by("slice").agg(pl.len(), (pl.col("stop") - pl.col("start")).sum().alias("bytes")).collect()
    return int(sizes["len"].sum()), dict(zip(sizes["slice"].to_list(), sizes["bytes"].to_list(), strict=True))


def _footers(lake: Lake, slice_key: str) -> dict[str, Footer]:
    tables = {asset: lake.find(asset, slice_key) for asset in SLICE_ASSETS}
    return {asset: table.footer for asset, table in tables.items() if table is not None}


def _rejects(manifest: Footer, slices: dict[str, dict[str, Footer]]) -> int:
    return manifest.reject_rows + sum(footer.reject_rows for footers in slices.values() for footer in footers.values())
