"""Backfills that were asked for while the mesh was down: one small file each, started by the next `mesh up`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh_assets.storage.files import publish_text


@dataclass(frozen=True, slots=True)
class Backfill:
    """Slices of one dataset that are to be made again, and its report after them.

    `force`: also what is up to date. `can_wait`: its questions may wait in batches.
    """

    dataset: str
    slices: tuple[str, ...]
    force: bool = False
    can_wait: bool = False


def record(folder: Path, backfill: Backfill) -> Path:
    """Keep a backfill for later; its file."""
    path = folder / f"{time.time_ns():020d}.json"
    publish_text(path, json.dumps(asdict(backfill)), "backfill")
    return path


def recorded(folder: Path) -> list[tuple[Path, Backfill]]:
    """Those that wait, the oldest first. A file that cannot be read is left where it is."""
    found: list[tuple[Path, Backfill]] = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            fields = json.loads(path.read_text())
            flags = {name: bool(fields.get(name)) for name in ("force", "can_wait")}
            found.append((path, Backfill(fields["dataset"], tuple(fields["slices"]), **flags)))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def ranges(keys: Sequence[str], order: Sequence[str]) -> list[tuple[str, str]]:
    """`keys` as ranges (first, last) over `order`, the order in which partitions were added; both ends included.

    Dagster's backfills take partitions of several assets as ranges only. A key that is not in `order` is one of its
    own, so that it is refused by name.
    """
    place = {key: number for number, key in enumerate(order)}
    found: list[tuple[str, str]] = []
    last = -2
    for key in sorted(keys, key=lambda key: place.get(key, len(order))):
        number = place.get(key, -2)
        if found and number == last + 1 and number >= 0:
            found[-1] = (found[-1][0], key)
        else:
            found.append((key, key))
        last = number
    return found
