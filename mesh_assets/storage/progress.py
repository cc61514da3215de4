"""How far a dataset is, told by the lake alone: which slices its manifest has, and which of them are finished."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field

from blake3 import blake3

from mesh_assets.errors import CorruptTableError
from mesh_assets.storage.lake import Lake

# The last table of a slice: where it is at a version, all others are.
LAST_ASSET = "slice_reports"


@dataclass(frozen=True, slots=True)
class DatasetProgress:
    """`versions`: the slices of the manifest with the version each should have. `finished`: what those that have it
    amount to, as content hashes of their reports, and `finished_at` when, in seconds since 1970. `manifest` identifies
    the listing behind the manifest."""

    dataset: str
    manifest: str
    versions: dict[str, int]
    finished: dict[str, str]
    finished_at: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def unfinished(self) -> list[str]:
        """Slices that are not at their version yet."""
        return [key for key in self.versions if key not in self.finished]

    @property
    def digest(self) -> str:
        """Changes whenever a report over the dataset would."""
        return blake3(json.dumps([self.manifest, self.finished], sort_keys=True).encode()).hexdigest(length=16)


def dataset_progress(lake: Lake, dataset: str) -> DatasetProgress:
    """The progress of a dataset; one without a manifest has no slices."""
    manifest = lake.find("drop_manifests", dataset)
    if manifest is None:
        return DatasetProgress(dataset, "", {}, {})
    versions: dict[str, int] = manifest.footer.extra["slices"]
    finished: dict[str, str] = {}
    finished_at: dict[str, float] = {}
    for key, version in versions.items():
        report = None
        with suppress(CorruptTableError):  # one that is damaged is not finished
            report = lake.find(LAST_ASSET, key)
        if report is not None and report.footer.extra["slice_version"] >= version:
            finished[key] = report.footer.content_hash
            finished_at[key] = report.footer.made_at
    return DatasetProgress(dataset, manifest.footer.content_hash, versions, finished, finished_at)
