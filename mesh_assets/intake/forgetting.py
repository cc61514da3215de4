"""Datasets that are being forgotten: marked first and unmarked last, so that nothing asks for them meanwhile.

A mark that is left means that `mesh forget` was interrupted: the same command again finishes it. What is deleted, and
in which order, does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mesh_assets.settings import Settings
from mesh_assets.slices import check_dataset_key, is_dataset_key


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The marks, one empty file a dataset in the folder `root`."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> Forgetting:
        """Those of the state folder in use."""
        return cls(settings.state / "forgetting")

    def all(self) -> frozenset[str]:
        """Keys of the datasets that are being forgotten."""
        try:
            return frozenset(path.name for path in self.root.iterdir() if is_dataset_key(path.name))
        except FileNotFoundError:
            return frozenset()

    def begin(self, dataset: str) -> None:
        """Mark a dataset: from now on it has no folder for anyone who asks the drop area."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / check_dataset_key(dataset)).touch()

    def end(self, dataset: str) -> None:
        """Take the mark away: a dataset of this name is a new one from now on."""
        (self.root / check_dataset_key(dataset)).unlink(missing_ok=True)
