"""Reads the templates that the logs of a slice had in the slices before it. What they mean is not known here."""

from __future__ import annotations

from collections import defaultdict

from mesh_assets.insights.earlier_templates import EarlierTemplates
from mesh_assets.slices import SliceKey
from mesh_assets.storage.lake import Lake

_ASSET = "log_templates"
# Slices that are looked back: reading all of them for each would take the square of their number.
LOOK_BACK = 64


def earlier_templates(lake: Lake, slice_key: str) -> dict[str, EarlierTemplates]:
    """By log, its templates in the `LOOK_BACK` slices before `slice_key`, as far as those were made.

    Slices may be made in any order; one that is made before an earlier one takes that one's messages for new.
    """
    slices = sorted(key for key in lake.slices(SliceKey.parse(slice_key).dataset) if key < slice_key)
    found: dict[str, set[str]] = defaultdict(set)
    for key in slices[-LOOK_BACK:]:
        table = lake.find(_ASSET, key)
        for batch in () if table is None else table.batches(("log", "template")):
            for row in batch.to_pylist():
                found[row["log"]].add(row["template"])
    return {log: EarlierTemplates.of(templates) for log, templates in found.items()}
