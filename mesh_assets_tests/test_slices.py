"""Which slice goes first."""

from __future__ import annotations

from mesh_assets.defs.jobs import BACKFILL_PRIORITY, MANIFEST_PRIORITY, REPORT_PRIORITY
from mesh_assets.slices import slice_priority


def test_small_and_new_slices_go_first_and_none_before_what_a_person_starts() -> None:
    sizes = (0, 2 << 20, 64 << 20, 1 << 30)
    new = [slice_priority(size, is_new=True) for size in sizes]
    changed = [slice_priority(size, is_new=False) for size in sizes]
    assert new == sorted(new, reverse=True)
    assert changed == sorted(changed, reverse=True)
    assert len({*new, *changed}) == 8
    assert min(new) > max(changed)
    assert max(new) < 0
    assert int(BACKFILL_PRIORITY) < min(changed)
    assert int(MANIFEST_PRIORITY) > int(REPORT_PRIORITY) > 0
