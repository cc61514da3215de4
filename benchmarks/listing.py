"""Files listed per CPU-second by the walk of the drop area, beside pathlib's rglob with stat, on a made tree."""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mesh_assets.intake.walk import list_dataset

FILES, PER_FOLDER, FOLDERS_A_LEVEL = 100_000, 100, 10
REPEATS = 3


@dataclass(frozen=True)
class Listing:
    """Files per CPU-second of both, the best of `REPEATS` rounds that take turns."""

    ours: float
    rglob: float

    @property
    def ratio(self) -> float:
        return self.ours / self.rglob

    def table(self) -> str:
        rglob = f"pathlib's rglob with stat {self.rglob:,.0f}"
        return f"listing {FILES:,} files: {self.ours:,.0f} files per CPU-second, {rglob}"


def scan_against_rglob(root: Path) -> Listing:
    """Both on the same tree of 100,000 files in 1,000 folders, three levels deep, made below `root` and removed."""
    for folder in range(FILES // PER_FOLDER):
        digits = f"{folder:03d}"
        below = root / f"a{digits[0]}" / f"b{digits[1]}" / f"c{digits[2]}"
        below.mkdir(parents=True)
        for number in range(PER_FOLDER):
            (below / f"file{number:03d}.txt").write_bytes(b"x")
    rates = {"ours": 0.0, "rglob": 0.0}
    walks: dict[str, Callable[[], int]] = {
        "ours": lambda: len(list_dataset(root, quiet_seconds=0).files),
        "rglob": lambda: sum(stat.S_ISREG(path.stat().st_mode) for path in root.rglob("*")),
    }
    for _ in range(REPEATS):
        for name, walk in walks.items():
            start = time.process_time()
            assert walk() >= FILES
            rates[name] = max(rates[name], FILES / (time.process_time() - start))
    shutil.rmtree(root)
    return Listing(**rates)
