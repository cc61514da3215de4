"""Listings as a walk would make them, without files."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from mesh_assets.intake.growing import Growth
from mesh_assets.intake.sources import Identity
from mesh_assets.intake.walk import LISTED, Listing

NOW = 1_000_000.0


def listing(
    files: Mapping[str, Identity], *, growing: Collection[str] | Mapping[str, Identity] = (), minutes: float = 10.0
) -> Listing:
    """`files` are quiet; `growing` are not, and due where `minutes` is 0."""
    rows = [(path, f.size, f.mtime_ns, f.inode, f.ctime_ns) for path, f in files.items()]
    if not isinstance(growing, Mapping):
        growing = dict.fromkeys(growing, Identity(1, 1, 1, 1))
    return Listing(pl.DataFrame(rows, LISTED, orient="row"), growing, (), "", growth=Growth(minutes), now=NOW)
