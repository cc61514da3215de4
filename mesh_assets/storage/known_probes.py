"""What the lake knows of extents that were read: by their probes it is told whether a file only grew."""

from __future__ import annotations

from mesh_assets.errors import MeshError
from mesh_assets.intake.extents import Extent
from mesh_assets.storage.lake import Lake

# Slices whose probes are held: files that grow lie in few.
_HELD = 64


class KnownProbes:
    """The probe of an extent as `raw_partitions` has it, None where it was not read, or not as it is planned now."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._slices: dict[str, dict[tuple[str, int, int], str]] = {}

    def of(self, extent: Extent) -> str | None:
        """The probe of `extent`."""
        if extent.slice not in self._slices:
            if len(self._slices) >= _HELD:
                self._slices.pop(next(iter(self._slices)))
            self._slices[extent.slice] = self._probes(extent.slice)
        return self._slices[extent.slice].get((extent.path, extent.start, extent.stop))

    def _probes(self, slice_key: str) -> dict[tuple[str, int, int], str]:
        try:
            table = self._lake.find("raw_partitions", slice_key)
            rows = table.rows(["path", "start", "stop", "probe"]) if table else []
        except (MeshError, ValueError):  # damaged, or of a version without probes: its files are read again
            return {}
        return {(row["path"], row["start"], row["stop"]): row["probe"] for row in rows}
