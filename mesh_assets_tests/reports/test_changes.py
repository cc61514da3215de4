"""What is new in a report and what is gone since the one before."""

from __future__ import annotations

from mesh_assets.reports.changes import REMEMBERED, SHOWN, changed, remembered
from mesh_assets.reports.merging import Entry


def finding(title: str, score: float = 0.8, type_: str = "log_incident") -> Entry:
    return Entry(type_, "log", title, f"{title} happened.", score)


def test_a_finding_whose_numbers_change_stays_the_same_one() -> None:
    before = remembered([finding("312 errors a minute"), finding("The disk is full")])
    now = remembered([finding("415 errors a minute"), finding("A certificate expired", 0.9)])
    lead, rows = changed(now, before)
    assert lead == "Since the report before: 1 new finding, 1 gone."
    assert rows == (("New", "A certificate expired"), ("Gone", "The disk is full"))


def test_nothing_new_says_nothing() -> None:
    now = remembered([finding("A"), finding("B")])
    assert changed(now, now) == ("", ())


def test_the_strongest_come_first_and_the_list_ends() -> None:
    now = remembered([finding(f"Finding {chr(65 + n)}", n / 30) for n in range(20)])
    _, ((name, said),) = changed(now, {})
    assert name == "New"
    assert said.startswith("Finding T; Finding S; ")
    assert said.endswith(f"; and {20 - SHOWN} more")
    assert len(remembered([finding("x" * n) for n in range(2 * REMEMBERED)])) == REMEMBERED
