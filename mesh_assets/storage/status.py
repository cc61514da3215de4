"""What `mesh status` tells of each dataset, from the lake alone: slices, chunks, rejects, rate and time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import polars as pl

from mesh_assets.errors import MeshError
from mesh_assets.insights.expected_time import Pace, Span, expected, remaining
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.slices import LOOSE_FILES
from mesh_assets.storage.lake import Footer, Lake, LakeTable
from mesh_assets.storage.progress import DatasetProgress, dataset_progress
from mesh_assets.storage.staleness import footers_of, why_stale


@dataclass(frozen=True, slots=True)
class Left:
    """What is still to be done of a dataset: `bytes` in the slices `unfinished`. `finished_at` has the moment (seconds
    since 1970) and the bytes of each finished slice, `kinds` the bytes of each kind by the first look.
    """

    bytes: int
    unfinished: tuple[str, ...]
    finished_at: tuple[tuple[float, int], ...]
    kinds: Mapping[str, float]

    @classmethod
    def of(cls, lake: Lake, progress: DatasetProgress) -> Left:
        """As told by the manifest and the first look; no table of a slice is opened."""
        sizes = _sizes(lake.read("drop_manifests", progress.dataset))[1]
        return cls(
            sum(sizes.get(key, 0) for key in progress.unfinished),
            tuple(progress.unfinished),
            tuple((moment, sizes.get(key, 0)) for key, moment in sorted(progress.finished_at.items())),
            _first_look(lake, progress.dataset),
        )

    def seconds(self, pace: Pace, side_by_side: int) -> Span | None:
        """How long until every slice is done: by the pace of the finished slices, before that by the kinds of its
        files and the machine's `pace`; None where nothing is known yet."""
        if not self.bytes:
            return Span(0.0, 0.0, 0.0)
        found = remaining(self.finished_at, self.bytes, len(self.unfinished))
        if found is not None or not self.kinds:
            return found
        part = self.bytes / max(sum(self.kinds.values()), 1)
        kinds = {kind: size * part for kind, size in self.kinds.items()}
        return expected(kinds, len(self.unfinished), pace, side_by_side)


@dataclass(frozen=True, slots=True)
class DatasetStatus:
    """Counts of one dataset. `bytes_per_second` is that of its finished slices, one after the other.

    `stale` counts finished slices that would be made differently now, by the first reason. `problem` says what is wrong
    with it: it was not looked at yet, its manifest is damaged, its folder is gone. `reference` is its folder where it
    is read where it lies, else empty. `changing` counts files that wait until they are quiet.
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
    stale: dict[str, int] = field(default_factory=dict[str, int])
    problem: str = ""
    reference: str = ""
    changing: int = 0
    left: Left = field(default_factory=lambda: Left(0, (), (), {}))

    @property
    def done(self) -> bool:
        """Whether every slice is at its version and the dataset has its report."""
        return not self.problem and not self.unfinished and (self.has_report or not self.slices)


def statuses(
    lake: Lake,
    area: DropArea,
    settings: Mapping[str, object] | None = None,
    changing: Mapping[str, int] | None = None,
) -> list[DatasetStatus]:
    """One status for each dataset that has a manifest, a folder in the drop area or a reference.

    `settings` are the present ones that `storage.staleness` compares with those of the tables; `changing` counts the
    files of each dataset that are not quiet yet.
    """
    changing = changing or {}
    known = lake.datasets("drop_manifests")
    folders, references, unavailable = area.folders(), area.references(), area.unavailable()
    found = [_known(lake, dataset, settings or {}) for dataset in known]
    found += [_unknown(key, "not looked at yet") for key in sorted({*folders, *unavailable} - set(known))]
    gone = "its folder is gone: put it back, or `mesh forget` it"
    away = {s.dataset: gone for s in found if s.dataset not in folders and s.dataset != LOOSE_FILES} | unavailable
    return [
        replace(
            status,
            problem=away.get(status.dataset) or status.problem,
            reference=str(references[status.dataset].path) if status.dataset in references else "",
            changing=changing.get(status.dataset, 0),
        )
        for status in found
    ]


def _known(lake: Lake, dataset: str, settings: Mapping[str, object]) -> DatasetStatus:
    try:
        return dataset_status(lake, dataset, settings)
    except MeshError as error:
        return _unknown(dataset, str(error))


def _unknown(dataset: str, problem: str) -> DatasetStatus:
    return DatasetStatus(dataset, 0, 0, 0, 0, 0, 0, 0, None, False, (), problem=problem)


def dataset_status(lake: Lake, dataset: str, settings: Mapping[str, object] | None = None) -> DatasetStatus:
    """The status of one dataset."""
    progress = dataset_progress(lake, dataset)
    manifest = lake.read("drop_manifests", dataset)
    files, sizes = _sizes(manifest)
    footers = {key: footers_of(lake, key) for key in progress.finished}
    seconds = sum(footer.seconds for slice_footers in footers.values() for footer in slice_footers.values())
    read = sum(sizes.get(key, 0) for key in footers)
    report = lake.find("dataset_reports", dataset)
    left = Left.of(lake, progress)
    return DatasetStatus(
        dataset=dataset,
        files=files,
        bytes=sum(sizes.values()),
        slices=len(progress.versions),
        finished=len(progress.finished),
        # Also those of a slice that is made again: they are there until others take their place.
        chunks=sum(table.footer.rows for key in progress.versions if (table := lake.find("chunk_sets", key))),
        rejects=_rejects(manifest.footer, footers),
        bytes_left=left.bytes,
        bytes_per_second=read / seconds if seconds and read else None,
        has_report=dataset == LOOSE_FILES or (report is not None and report.footer.extra["state"] == progress.digest),
        unfinished=tuple(progress.unfinished),
        left=left,
        stale=dict(_stale(footers, progress.versions, settings or {}).most_common()),
    )


def _first_look(lake: Lake, dataset: str) -> dict[str, float]:
    """The bytes of each kind by the sample of `immediate_insights`; nothing where there is none yet."""
    with suppress(MeshError):
        found = lake.find("immediate_insights", dataset)
        return {str(row["kind"]): row["bytes"] for row in found.rows(where=("type", "kind"))} if found else {}
    return {}


def _sizes(manifest: LakeTable) -> tuple[int, dict[str, int]]:
    """How many files are there, and the bytes of each slice that has some of them."""
    live = pl.scan_parquet(manifest.path).filter(pl.col("change") != "deleted")
    # A large file, and one that grows, has several extents.
    files = int(live.select(pl.col("path").n_unique()).collect().item())
    sizes = live.group_by("slice").agg((pl.col("stop") - pl.col("start")).sum().alias("bytes")).collect()
    return files, dict(zip(sizes["slice"].to_list(), sizes["bytes"].to_list(), strict=True))


def _stale(
    footers: Mapping[str, Mapping[str, Footer]], versions: Mapping[str, int], settings: Mapping[str, object]
) -> Counter[str]:
    reasons = (next(why_stale(found, versions[key], settings), None) for key, found in footers.items())
    return Counter(why for why in reasons if why is not None)


def _rejects(manifest: Footer, slices: dict[str, dict[str, Footer]]) -> int:
    return manifest.reject_rows + sum(footer.reject_rows for footers in slices.values() for footer in footers.values())
