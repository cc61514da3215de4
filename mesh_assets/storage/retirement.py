"""Slices that are no more: an emptied slice is materialised empty, then everything of it goes, its partition last.

The next manifest leaves such slices out; once it is published, whatever is left of slices that it does not have is
removed. So a crash at any point is finished by the next manifest. Numbers of slices are never used again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from mesh_assets.errors import MeshError
from mesh_assets.indexes.protocol import FulltextIndex, GraphIndex, VectorIndex
from mesh_assets.slices import is_slice_of
from mesh_assets.storage.files import remove_files
from mesh_assets.storage.lake import Footer, Lake
from mesh_assets.storage.progress import LAST_ASSET


def retirable(lake: Lake, manifest: Footer) -> frozenset[str]:
    """The slices of a manifest that hold no file any more and were materialised empty."""
    versions: dict[str, int] = manifest.extra["slices"]
    return frozenset(key for key in manifest.extra.get("emptied", ()) if _is_at(lake, key, versions[key]))


def _is_at(lake: Lake, slice_key: str, version: int) -> bool:
    try:
        report = lake.find(LAST_ASSET, slice_key)
    except MeshError:
        return False  # a damaged table is no finished one
    return report is not None and report.footer.extra["slice_version"] >= version


@dataclass(frozen=True, slots=True)
class SliceStores:
    """Every place that holds something of a slice. `reports` is the folder of report files, `graph` a server."""

    lake: Lake
    vectors: VectorIndex
    words: FulltextIndex
    reports: Path
    graph: GraphIndex | None = None

    def sweep(
        self, dataset: str, keep: Collection[str], partitions: Collection[str], drop_partition: Callable[[str], None]
    ) -> list[str]:
        """Remove all of the slices of `dataset` that are not in `keep`; their keys.

        `partitions` are the keys that Dagster has; each partition goes last, so that a slice of which something is
        left is found again. IndexDownError where an index does not answer: nothing else of the slices was removed.
        """
        known = {key for key in partitions if is_slice_of(key, dataset)} | self.lake.slices(dataset)
        gone = sorted(known - set(keep))
        if gone:
            self.vectors.forget_slices(gone)
            self.words.forget_slices(gone)
            if self.graph is not None:
                self.graph.forget_slices(gone)
            remove_files(self.reports / dataset, {f"{key}{suffix}" for key in gone for suffix in (".html", ".md")})
            self.lake.delete_slices(dataset, gone)
            for key in gone:
                drop_partition(key)
        return gone
