"""What a slice is made from: its live extents at their versions, whatever happened to them on the way there."""

from __future__ import annotations

from dataclasses import replace

from mesh_assets.intake.extents import ADDED, CHANGED, DELETED, SAME, Extent
from mesh_assets.intake.sources import Identity
from mesh_assets.intake.stage import slice_input_hash

ONE = Extent("a.md", 0, 10, Identity(10, 1, 1, 1), "notes.000000", 7, ADDED)
OTHER = Extent("b.md", 0, 20, Identity(20, 1, 2, 1), "notes.000000", 7, ADDED)


def test_the_way_there_is_no_part_of_it() -> None:
    whole = slice_input_hash([ONE, OTHER])
    assert slice_input_hash([OTHER, ONE]) == whole
    assert slice_input_hash([replace(ONE, change=SAME), replace(OTHER, change=CHANGED)]) == whole


def test_what_was_deleted_counts_as_if_it_had_never_been() -> None:
    assert slice_input_hash([ONE, replace(OTHER, change=DELETED)]) == slice_input_hash([ONE])


def test_another_version_end_or_file_is_another_input() -> None:
    changed = [replace(ONE, slice_version=8), replace(ONE, stop=11), replace(ONE, path="c.md"), replace(ONE, start=1)]
    assert len({slice_input_hash([extent]) for extent in [ONE, *changed]}) == 5


def test_what_follows_an_extent_in_its_file_is_no_part_of_it() -> None:
    grown = replace(ONE, identity=Identity(30, 2, 1, 2))
    assert slice_input_hash([grown]) == slice_input_hash([ONE])
