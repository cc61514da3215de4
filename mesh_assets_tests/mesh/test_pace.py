"""Limits of nodes over all processes, and what is remembered of calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from mesh_assets.errors import LakeError
from mesh_assets.mesh.protocol import Kept, Limits
from mesh_assets.resources.call_log import SqliteCallLog, Tally
from mesh_assets.resources.pace import SqlPace
from mesh_assets_tests.mesh.ledgers import BOTH, Place
from mesh_assets_tests.mesh.parts import node

NODE = replace(node("openai"), limits=Limits(parallel=100, seconds=5))


@dataclass
class Hand:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def made(place: Place) -> tuple[SqlPace, Hand]:
    clock = Hand()
    return place.pace(clock), clock


@BOTH
def test_requests_of_a_minute_are_counted_over_all_who_share_the_file(place: Place) -> None:
    one, clock = made(place)
    other = place.pace(clock)
    limited = replace(NODE, limits=replace(NODE.limits, requests_per_minute=3))
    for pace in (one, other, one):
        pace.leave(limited, pace.enter(limited, tokens=1).slot, tokens=1, is_down=False)
        clock.now += 10
    full = other.enter(limited, tokens=1)
    assert (full.slot, full.wait) == ("", 30.0)
    assert "3 requests" in full.reason
    assert not full.is_resting
    clock.now += full.wait
    assert other.enter(limited, tokens=1).slot


@BOTH
def test_tokens_of_a_minute_are_those_that_calls_took(place: Place) -> None:
    pace, clock = made(place)
    limited = replace(NODE, limits=replace(NODE.limits, tokens_per_minute=1000))
    first = pace.enter(limited, tokens=900)
    assert pace.enter(limited, tokens=200).wait == 60.0
    pace.leave(limited, first.slot, tokens=300, is_down=False)
    clock.now += 5
    assert pace.enter(limited, tokens=200).slot
    assert pace.enter(limited, tokens=600).wait == 55.0
    # One that is larger than a minute's worth waits for an empty minute, not for ever.
    clock.now += 61
    assert pace.enter(limited, tokens=5000).slot


@BOTH
def test_the_slot_of_the_dead_ends_by_itself(place: Place) -> None:
    pace, clock = made(place)
    single = replace(NODE, limits=replace(NODE.limits, parallel=1))
    assert pace.enter(single, tokens=1).slot
    assert "1 calls at once" in pace.enter(single, tokens=1).reason
    clock.now += single.limits.seconds + 31
    assert pace.enter(single, tokens=1).slot


@BOTH
def test_a_clock_that_is_set_back_holds_nobody(place: Place) -> None:
    pace, clock = made(place)
    limited = replace(NODE, limits=replace(NODE.limits, requests_per_minute=1))
    pace.leave(limited, pace.enter(limited, tokens=1).slot, tokens=1, is_down=False, rest=500)
    clock.now -= 100_000
    assert pace.enter(limited, tokens=1).wait <= 600
    clock.now += 601
    assert pace.enter(limited, tokens=1).slot


@BOTH
def test_after_a_rest_one_call_tries_the_node_and_opens_it_for_all(place: Place) -> None:
    pace, clock = made(place)
    for _ in range(5):
        pace.leave(NODE, pace.enter(NODE, tokens=1).slot, tokens=None, is_down=True)
    assert pace.enter(NODE, tokens=1).is_resting
    clock.now += 15
    probe = pace.enter(NODE, tokens=1)
    assert probe.slot
    assert pace.enter(NODE, tokens=1).is_resting
    pace.leave(NODE, probe.slot, tokens=1, is_down=False)
    assert pace.enter(NODE, tokens=1).slot
    # Other nodes never noticed.
    assert pace.enter(replace(NODE, name="other"), tokens=1).slot


@BOTH
def test_a_probe_that_was_cancelled_or_killed_lets_another_try(place: Place) -> None:
    pace, clock = made(place)
    for _ in range(5):
        pace.leave(NODE, pace.enter(NODE, tokens=1).slot, tokens=None, is_down=True)
    clock.now += 15
    pace.leave(NODE, pace.enter(NODE, tokens=1).slot, tokens=None, is_down=None)
    assert pace.enter(NODE, tokens=1).slot  # killed: it never leaves
    assert pace.enter(NODE, tokens=1).is_resting
    clock.now += NODE.limits.seconds + 31
    assert pace.enter(NODE, tokens=1).slot


def enter_often(place: Place, entered: Path) -> None:
    """Enter as often as the limit lets one, and note how often that was."""
    limited, pace = replace(NODE, limits=Limits(requests_per_minute=20, parallel=1000, seconds=60)), place.pace()
    entered.write_text(str(sum(bool(pace.enter(limited, tokens=1).slot) for _ in range(10))))


@BOTH
def test_many_processes_never_pass_a_limit(place: Place, tmp_path: Path, processes: ForkServerContext) -> None:
    notes = [tmp_path / f"{number}.entered" for number in range(3)]
    children = [processes.Process(target=enter_often, args=(place, note)) for note in notes]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert sum(int(note.read_text()) for note in notes) == 20


def kept(key: str, *, rejected: str = "", dataset: str = "d", request: str = "r") -> Kept:
    return Kept(key, dataset, "n", "m", f"a secret of {dataset}", request, rejected, "", 1.0)


def test_of_one_key_the_newest_counts_and_nothing_is_lost(tmp_path: Path) -> None:
    log = SqliteCallLog(tmp_path / "calls.sqlite")
    assert log.find("k") is None
    assert log.tallies() == {}
    log.keep(kept("k", rejected="no JSON"))
    log.keep(kept("k", request=""))
    log.fail("n", "timeout", "try")
    assert log.find("k") == kept("k", request="")
    assert log.rejects() == [kept("k", rejected="no JSON")]
    assert log.delivered("n", "r") == kept("k", rejected="no JSON")
    assert log.delivered("n", "") is None
    assert log.delivered("other", "r") is None
    assert log.tallies() == {"n": Tally(answered=1, rejected=1, failed=1)}
    assert log.tallies()["n"].success == pytest.approx(1 / 3)


def test_what_was_said_of_a_forgotten_dataset_is_in_no_byte_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    log = SqliteCallLog(path)
    log.forget("gone")
    assert not path.exists()
    for name in ("stays", "gone"):
        log.keep(kept(name, dataset=name))
    log.forget("gone")
    assert (log.find("gone"), log.find("stays")) == (None, kept("stays", dataset="stays"))
    assert b"secret of gone" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "calls.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(LakeError, match="move it away"):
        SqliteCallLog(tmp_path / "calls.sqlite").find("k")
