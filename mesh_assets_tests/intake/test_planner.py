"""The rules of slices: a new file never reshuffles old ones, an edit touches its slice and nothing else."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.intake.extents import FRAME, frame_of
from mesh_assets.intake.planner import MAX_PARTITIONS, Plan, plan_slices, target_bytes
from mesh_assets.intake.sources import Identity
from mesh_assets.intake.walk import Listing
from mesh_assets_tests.intake.listings import listing

MIB = 1 << 20


def _listing(sizes: dict[str, int], *, mtime: int = 1, growing: frozenset[str] = frozenset()) -> Listing:
    return listing({path: Identity(size, mtime, 7, 1) for path, size in sizes.items()}, growing=growing)


def _plan(before: Plan | None, sizes: dict[str, int], **options: object) -> Plan:
    found = _listing(sizes, **options)  # type: ignore[arg-type]
    extents = before.frame if before else FRAME.to_frame()
    last = before.last_slice if before else -1
    return plan_slices("d", extents, found, version=before.version if before else 0, target=10 * MIB, last_slice=last)


def _slices(plan: Plan) -> dict[str, str]:
    return {extent.path: extent.slice for extent in plan.extents if extent.is_live}


def test_files_fill_slices_in_order() -> None:
    plan = _plan(None, {f"f{n}": 4 * MIB for n in range(5)})
    assert list(_slices(plan).values()) == ["d.000000", "d.000000", "d.000001", "d.000001", "d.000002"]
    assert plan.slices == {"d.000000": 1, "d.000001": 1, "d.000002": 1}


def test_a_file_larger_than_a_slice_is_a_slice_of_its_own() -> None:
    plan = _plan(None, {"a": 1, "big": 50 * MIB, "c": 1})
    assert _slices(plan) == {"a": "d.000000", "big": "d.000001", "c": "d.000002"}


def test_nothing_changes_when_nothing_changed() -> None:
    plan = _plan(None, {"a": 1, "b": 2})
    again = _plan(plan, {"a": 1, "b": 2})
    assert again.version == plan.version
    assert again.slices == plan.slices
    assert again.count("same") == 2


def test_a_new_file_goes_to_the_open_slice_only() -> None:
    plan = _plan(None, {"a": 9 * MIB, "b": 9 * MIB})
    later = _plan(plan, {"a": 9 * MIB, "aa": 1000, "b": 9 * MIB})
    assert _slices(later)["aa"] == "d.000001"
    assert later.slices == {"d.000000": 1, "d.000001": 2}


def test_an_edit_changes_its_slice_and_nothing_else() -> None:
    plan = _plan(None, {"a": 9 * MIB, "b": 9 * MIB})
    extents = [replace(e, identity=Identity(e.identity.size, 0, 7, 1)) if e.path == "a" else e for e in plan.extents]
    later = plan_slices("d", frame_of(extents), _listing({"a": 9 * MIB, "b": 9 * MIB}), version=1, target=10 * MIB)
    assert later.slices == {"d.000000": 2, "d.000001": 1}
    assert {e.path: e.change for e in later.extents} == {"a": "changed", "b": "same"}


def test_a_deleted_file_leaves_its_slice_and_an_emptied_slice_keeps_its_version() -> None:
    plan = _plan(None, {"a": 9 * MIB, "b": 9 * MIB})
    gone = _plan(plan, {"b": 9 * MIB})
    assert _slices(gone) == {"b": "d.000001"}
    assert gone.slices == {"d.000000": 2, "d.000001": 1}
    later = _plan(gone, {"b": 9 * MIB})
    assert later.slices == gone.slices
    back = _plan(later, {"a": 9 * MIB, "b": 9 * MIB})
    assert _slices(back)["a"] == "d.000002"


def test_a_growing_file_that_is_known_is_neither_changed_nor_deleted() -> None:
    plan = _plan(None, {"a": 1})
    assert _plan(plan, {}, growing=frozenset({"a"})).extents == _plan(plan, {"a": 1}).extents
    assert _plan(plan, {}, growing=frozenset({"a", "new"})).version == plan.version


def test_the_target_doubles_at_each_quarter_of_the_partitions() -> None:
    quarter = MAX_PARTITIONS // 4
    assert [target_bytes(10, n) for n in (0, quarter - 1, quarter, 2 * quarter, 3 * quarter)] == [10, 10, 20, 40, 80]


_TREE = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 12 * MIB), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(_TREE, min_size=1, max_size=6))
def test_after_any_changes_each_file_is_in_one_slice_and_no_slice_moved(trees: list[dict[str, int]]) -> None:
    plan: Plan | None = None
    for tree in trees:
        before = _slices(plan) if plan else {}
        versions = plan.slices if plan else {}
        plan = _plan(plan, tree)
        live = [extent for extent in plan.extents if extent.is_live]
        assert sorted(extent.path for extent in live) == sorted(tree)
        assert all((extent.start, extent.stop) == (0, tree[extent.path]) for extent in live)
        assert all(_slices(plan)[path] == before[path] for path in tree if path in before)
        assert set(versions) <= set(plan.slices)
        changed = {e.slice for e in plan.extents if e.change != "same" and e.slice_version == plan.version}
        for key, version in versions.items():
            assert plan.slices[key] == (plan.version if key in changed else version)
        for key in plan.slices:
            held = sum(max(e.stop, 4096) for e in live if e.slice == key and e.change == "added")
            assert held <= 10 * MIB or sum(e.slice == key for e in live) == 1 or key in versions
