"""Moves, appends, growth and files larger than a slice: what stays, what changes, and which slices it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.intake.extents import ADDED, CHANGED, DELETED, FRAME, SAME, Extent
from mesh_assets.intake.parts import NEVER
from mesh_assets.intake.planner import Plan, plan_slices
from mesh_assets.intake.sources import Identity
from mesh_assets.intake.walk import Listing
from mesh_assets_tests.intake.listings import listing

TARGET = 80_000
APPENDED = TARGET // 8


@dataclass
class Lines:
    """A splitter of files whose records are 100 bytes each; `rewritten` files are not what they were."""

    rewritten: frozenset[str] = frozenset()
    binary: frozenset[str] = frozenset()

    def cuts(self, path: str, found: Identity, *, start: int, target: int, growing: bool) -> list[int] | None:
        if path in self.binary:
            return None
        stop = found.size // 100 * 100 if growing else found.size
        if stop <= start:
            return []
        return [*(at // 100 * 100 for at in range(start + target, stop - target // 8, target)), stop]

    def staying(self, extents: Sequence[Extent], found: Identity) -> int:
        return 0 if extents[0].path in self.rewritten | self.binary else len(extents)


def _plan(before: Plan | None, found: Listing, splitter: Lines | None = None) -> Plan:
    frame = before.frame if before else FRAME.to_frame()
    version, last = (before.version, before.last_slice) if before else (0, -1)
    return plan_slices("d", frame, found, version=version, target=TARGET, last_slice=last, splitter=splitter or Lines())


def _spans(plan: Plan, path: str) -> list[tuple[int, int, int, str]]:
    found = [e for e in plan.extents if e.path == path]
    return sorted((e.start, e.stop, int(e.slice[-6:]), e.change) for e in found)


def _file(size: int, *, inode: int = 7, mtime: int = 1, ctime: int = 1) -> Identity:
    return Identity(size, mtime, inode, ctime)


def test_a_file_larger_than_a_slice_fills_slices_of_its_own_at_records() -> None:
    sizes = {"a": _file(100), "big": _file(249_950)}
    plan = _plan(None, listing(sizes))
    assert _spans(plan, "big") == [
        (0, 80_000, 1, ADDED),
        (80_000, 160_000, 2, ADDED),
        (160_000, 249_950, 3, ADDED),
    ]
    assert plan.files == plan.done == 2
    again = _plan(plan, listing(sizes))
    assert (again.version, again.slices) == (plan.version, plan.slices)
    assert {e.change for e in again.extents} == {SAME}


def test_what_is_no_text_of_records_stays_one_extent() -> None:
    plan = _plan(None, listing({"big": _file(250_000)}), Lines(binary=frozenset({"big"})))
    assert _spans(plan, "big") == [(0, 250_000, 0, ADDED)]


def test_appended_bytes_become_an_extent_of_the_open_slice_and_leave_the_others_alone() -> None:
    plan = _plan(None, listing({"log": _file(70_000), "other": _file(75_000, inode=8)}))
    later = _plan(plan, listing({"log": _file(90_000, ctime=2), "other": _file(75_000, inode=8)}))
    assert _spans(later, "log") == [(0, 70_000, 0, SAME), (70_000, 90_000, 2, ADDED)]
    assert later.slices == {"d.000000": 1, "d.000001": 1, "d.000002": 2}
    # Small appends extend the last extent: no extent is smaller than an eighth of a slice, but the last.
    for size in range(91_000, 120_000, 1_000):
        later = _plan(later, listing({"log": _file(size, ctime=size), "other": _file(75_000, inode=8)}))
    assert [stop - start for start, stop, _, _ in _spans(later, "log")] == [70_000, 20_000, 10_000, 10_000, 9_000]
    assert later.slices["d.000000"] == 1


def test_a_file_that_was_rewritten_changes_as_a_whole_and_keeps_its_slices() -> None:
    plan = _plan(None, listing({"log": _file(240_000)}))
    rewritten = Lines(rewritten=frozenset({"log"}))
    longer = _plan(plan, listing({"log": _file(330_000, mtime=2)}), rewritten)
    assert _spans(longer, "log") == [
        (0, 80_000, 0, CHANGED),
        (80_000, 160_000, 1, CHANGED),
        (160_000, 240_000, 2, CHANGED),
        (240_000, 330_000, 3, ADDED),
    ]
    shorter = _plan(longer, listing({"log": _file(100_000, mtime=3)}))
    spans = _spans(shorter, "log")
    assert [span for span in spans if span[3] != DELETED] == [(0, 80_000, 0, CHANGED), (80_000, 100_000, 1, CHANGED)]
    assert {number for *_, number, change in spans if change == DELETED} == {2, 3}
    assert set(shorter.slices.values()) == {shorter.version}
    back = _plan(shorter, listing({"log": _file(240_000)}), rewritten)
    assert [span[:2] for span in _spans(back, "log") if span[3] != DELETED] == [
        span[:2] for span in _spans(plan, "log")
    ]


def test_a_file_that_moved_keeps_its_slices_also_where_another_took_its_place() -> None:
    plan = _plan(None, listing({"a": _file(75_000), "app.log": _file(170_000, inode=8), "c": _file(100, inode=9)}))
    touched = {span[2] for span in _spans(plan, "app.log")}
    found = listing(
        {
            "a": _file(75_000),
            "app.log": _file(200, inode=11, mtime=5, ctime=5),
            "old/app.log.1": _file(170_000, inode=8, ctime=5),
            "d": _file(100, inode=9, ctime=5),
        }
    )
    moved = _plan(plan, found)
    assert [(s[0], s[1], s[2]) for s in _spans(moved, "old/app.log.1")] == [s[:3] for s in _spans(plan, "app.log")]
    assert {s[3] for s in _spans(moved, "old/app.log.1")} == {ADDED}
    assert [s[3] for s in _spans(moved, "c")] == [DELETED]
    assert _spans(moved, "d")[0][2] == _spans(plan, "c")[0][2]
    changed = {key for key, version in moved.slices.items() if version == moved.version}
    assert changed == {f"d.{n:06d}" for n in touched | {_spans(plan, "c")[0][2], _spans(moved, "app.log")[0][2]}}
    assert moved.files == moved.done == 5


def test_a_file_with_two_candidates_for_its_new_place_is_deleted_and_added() -> None:
    plan = _plan(None, listing({"a": _file(75_000)}))
    links = _plan(plan, listing({"b": _file(75_000, ctime=2), "c": _file(75_000, ctime=2)}))
    assert [_spans(links, path)[0][3] for path in "abc"] == [DELETED, ADDED, ADDED]


def test_a_growing_file_is_taken_when_it_is_due_and_to_its_end_when_it_is_quiet() -> None:
    waiting = _plan(None, listing({}, growing={"log": _file(250)}))
    assert (waiting.extents, waiting.files, waiting.done) == ([], 0, 0)
    due = _plan(None, listing({}, growing={"log": _file(250)}, minutes=0))
    assert _spans(due, "log") == [(0, 200, 0, ADDED)]
    assert (due.taken, due.files, due.done) == ({"log": 200}, 1, 1)
    # Nothing new is complete: nothing changes.
    still = _plan(due, listing({}, growing={"log": _file(299, ctime=2)}, minutes=0))
    assert (still.version, still.taken) == (due.version, {"log": 200})
    quiet = _plan(still, listing({"log": _file(250)}))
    assert _spans(quiet, "log") == [(0, 250, 0, CHANGED)]
    binary = _plan(None, listing({}, growing={"db": _file(250)}, minutes=0), Lines(binary=frozenset({"db"})))
    assert (binary.extents, binary.taken) == ([], {"db": NEVER})


def test_numbers_of_slices_are_never_used_again() -> None:
    plan = _plan(None, listing({"a": _file(75_000), "b": _file(75_000, inode=8)}))
    assert plan.last_slice == 1
    emptied = plan_slices("d", FRAME.to_frame(), listing({"c": _file(10)}), version=5, target=TARGET, last_slice=1)
    assert (emptied.slices, emptied.last_slice) == ({"d.000002": 6}, 2)


@st.composite
def _steps(draw: st.DrawFn) -> list[tuple[str, str, int]]:
    verb = st.sampled_from(["write", "append", "append", "delete", "move", "touch"])
    return draw(st.lists(st.tuples(verb, st.sampled_from("abcd"), st.integers(1, 300_000)), min_size=1, max_size=12))


@settings(max_examples=60, deadline=None)
@given(_steps())
def test_after_any_changes_extents_cover_each_file_once_and_no_other_slice_moved(
    steps: list[tuple[str, str, int]],
) -> None:
    files: dict[str, Identity] = {}
    plan: Plan | None = None
    for clock, (verb, path, size) in enumerate(steps, 1):
        now = files.get(path)
        rewritten = frozenset({path}) if verb == "write" else frozenset[str]()
        if verb == "write":
            files[path] = Identity(size, clock, now.inode if now else clock, clock)
        elif verb == "append" and now:
            files[path] = Identity(now.size + size, clock, now.inode, clock)
        elif verb == "delete":
            files.pop(path, None)
        elif verb == "move" and now:
            files[f"{path}{clock}"] = replace(files.pop(path), ctime_ns=clock)
        elif now:
            files[path] = replace(now, ctime_ns=clock)
        before, found = plan, listing(files)
        plan = _plan(before, found, Lines(rewritten))
        same = _plan(before, found, Lines(rewritten))
        assert same.frame.equals(plan.frame), "the same input gives the same plan"
        live = [e for e in plan.extents if e.is_live]
        for name, identity in files.items():
            spans = sorted((e.start, e.stop) for e in live if e.path == name)
            assert [start for start, _ in spans] == [0, *(stop for _, stop in spans[:-1])]
            assert spans[-1][1] == identity.size
            assert {e.identity for e in live if e.path == name} == {identity}
        assert {e.path for e in live} == set(files)
        assert plan.files == plan.done
        _check_slices(before, plan)


def _check_slices(before: Plan | None, plan: Plan) -> None:
    """A slice whose parts of files differ has the new version, every other one the version that it had."""

    def parts(of: Plan | None) -> dict[str, set[tuple[str, int, int]]]:
        found: dict[str, set[tuple[str, int, int]]] = {}
        for extent in of.extents if of else ():
            held = found.setdefault(extent.slice, set())
            if extent.is_live:
                held.add((extent.path, extent.start, extent.stop))
        return found

    earlier, later = parts(before), parts(plan)
    assert set(earlier) <= set(later)
    for key, held in later.items():
        if before is None or held != earlier.get(key, set()):
            assert plan.slices[key] == plan.version
        elif not any(e.slice == key and e.change == CHANGED for e in plan.extents):
            assert plan.slices[key] == before.slices[key]
