"""What is new in a report and what is gone, against the one before: findings by what they are about, not by numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mesh_assets.reports.merging import Entry
from mesh_assets.reports.prose import amount

# Findings that a report is remembered by, and titles that a person reads of each sort.
REMEMBERED, SHOWN = 500, 8
_DIGITS = re.compile(r"\d+")


def remembered(findings: Sequence[Entry]) -> dict[str, str]:
    """Titles of the strongest findings by what tells them apart: numbers in a title change from day to day."""
    strongest = sorted(findings, key=lambda entry: entry.rank)[:REMEMBERED]
    titles: dict[str, str] = {}
    for each in strongest:
        titles.setdefault(f"{each.type}/{each.kind}/{_DIGITS.sub('#', each.title)}", each.title)
    return titles


def changed(now: Mapping[str, str], before: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A sentence on what changed, and the titles of what is new and gone; empty where nothing is."""
    new = [title for key, title in now.items() if key not in before]
    gone = [title for key, title in before.items() if key not in now]
    if not new and not gone:
        return "", ()
    lead = f"Since the report before: {amount(len(new), 'new finding')}, {len(gone):,} gone."
    return lead, tuple((name, _listed(titles)) for name, titles in (("New", new), ("Gone", gone)) if titles)


def _listed(titles: Sequence[str]) -> str:
    more = f"; and {len(titles) - SHOWN:,} more" if len(titles) > SHOWN else ""
    return "; ".join(titles[:SHOWN]) + more
