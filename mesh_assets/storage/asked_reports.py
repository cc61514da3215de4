"""Reports of questions that people asked, as files: each goes with any of the datasets that its answer was made from.

    <state>/asked/<problem>.md

The first line names those datasets. What such a report says belongs to `reports.asked`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mesh_assets.storage.files import publish_text, undeletable

_FIRST_LINE = re.compile(r"<!-- made from: (?P<keys>[A-Za-z0-9._;-]*) -->\n")


@dataclass(frozen=True, slots=True)
class AskedReports:
    """Those below the folder `state`."""

    state: Path

    def keep(self, problem: str, report: str, datasets: Collection[str]) -> Path:
        """Write the report of `problem`, made from `datasets`; where it is. LakeError where the disk refuses."""
        path = self.state / "asked" / f"{problem}.md"
        publish_text(path, f"<!-- made from: {';'.join(sorted(datasets))} -->\n{report}", problem)
        return path

    def forget(self, dataset: str) -> None:
        """Delete those that were made from a dataset, also half-written ones. LakeError where the disk refuses."""
        folder = self.state / "asked"
        try:
            for path in list(folder.iterdir()) if folder.is_dir() else []:
                with path.open(encoding="utf-8", errors="replace") as file:
                    first = _FIRST_LINE.fullmatch(file.readline())
                if first is None or dataset in first["keys"].split(";"):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise undeletable(folder, error) from error
