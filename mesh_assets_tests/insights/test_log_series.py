"""Series of one log: one for each template, in whatever order its lines came, and bounded whatever it says."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from mesh_assets.insights import known_templates
from mesh_assets.insights.byte_text import NO_SPANS
from mesh_assets.insights.known_templates import MAX_TEMPLATES, OWN_SHAPES, Room
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_reader import Events, Witness
from mesh_assets.insights.log_series import LogSeries
from mesh_assets.insights.template_miner import ANY, Shape, shape_of

NAMES = ("ann", "bob", "cid", "dan", "eve", "flo", "gus")


def events(shapes: list[Shape], *, start: float = 0.0, label: str | None = None) -> Events:
    """One event a second, each with its number as a value where there is a label."""
    found = list(dict.fromkeys(shapes))
    count = len(shapes) if label else 0
    return Events(
        layout=LogLayout(0),
        rows=np.zeros(len(shapes), np.int64),
        spans=NO_SPANS,
        times=start + np.arange(len(shapes), dtype=np.float64),
        named_levels=np.full(len(shapes), -1),
        shapes=np.array([found.index(shape) for shape in shapes] if len(found) < 2000 else range(len(shapes))),
        shape_list=found,
        measured=np.arange(count),
        labels=np.zeros(count, np.int64),
        label_list=[label] if label else [],
        values=np.arange(count, dtype=np.float64),
        witness=lambda event: Witness(start + event, ("d", "p", "h"), event, event + 1, 1, "x"),
        sources=lambda: [None] * len(shapes),
    )


def counts(log: LogSeries) -> dict[str, int]:
    return {" ".join(series.words): series.count for series in log.templates}


def test_messages_that_differ_in_a_name_are_one_template_with_all_their_events_and_numbers() -> None:
    log = LogSeries("a.log", Room())
    for part in range(2):
        log.add(events([shape_of(f"login of {name} took 5 ms") for name in NAMES], start=7 * part, label="took <n> ms"))
    assert counts(log) == {f"login of {ANY} took {ANY} ms": 14}
    (series,) = log.templates
    assert sum(cell.count for cell in series.cells.values()) == 14
    assert sum(cell.count for cell in series.numbers["took <n> ms"].cells.values()) == 14


def test_few_names_stay_apart_until_there_are_more() -> None:
    log = LogSeries("a.log", Room())
    log.add(events([shape_of(f"login of {name} was refused") for name in NAMES[:2]]))
    assert len(counts(log)) == 2
    log.add(events([shape_of(f"login of {name} was refused") for name in NAMES[2:]], start=9))
    assert counts(log) == {f"login of {ANY} was refused": 7}


def free_text(log: int, start: int, count: int) -> list[Shape]:
    """Shapes of 24 words that share none with another."""
    return [tuple(f"w{log}-{n}-{place}" for place in range(24)) for n in range(start, start + count)]


def test_what_logs_remember_is_bounded_together_and_each_keeps_a_share() -> None:
    room = Room(free=300)
    logs = [LogSeries("a.log", room) for _ in range(3)]
    tracemalloc.start()
    for number, log in enumerate(logs):
        for part in range(8):
            log.add(events(free_text(number, 100 * part, 100), start=100.0 * part))
        assert OWN_SHAPES // 2 <= len(log.templates) <= OWN_SHAPES + 300
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 <= room.free <= 300
    assert used < (300 + 3 * OWN_SHAPES) * 12_000


def test_room_comes_back_where_shapes_are_forgotten() -> None:
    room = Room(free=300)
    first, second = LogSeries("a.log", room), LogSeries("b.log", room)
    first.add(events(free_text(0, 0, 500)))
    first.add(events(free_text(0, 500, 500)))
    assert room.free == 300 - max(0, len(first._templates._of) - OWN_SHAPES)
    assert 0 < len(first._templates._of) <= OWN_SHAPES + 300
    second.add(events([shape_of(f"login of {name} was refused") for name in NAMES]))
    assert counts(second) == {f"login of {ANY} was refused": 7}


def test_a_common_message_is_counted_whole_among_free_text() -> None:
    log = LogSeries("a.log", Room(free=200))
    for part in range(20):
        names = [f"{NAMES[n % 7]}{'x' * part}y" for n in range(50)]
        said = [shape_of(f"login of {name} was refused") for name in names]
        log.add(events([*free_text(0, 100 * part, 100), *said], start=200.0 * part))
    assert counts(log)[f"login of {ANY} was refused"] == 1000


def test_names_at_two_places_are_one_template_after_shapes_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_templates, "MAX_TEMPLATES", 60)
    log = LogSeries("a.log", Room(free=0))
    made = [f"login of {'x' * (n + 1)}y in group {NAMES[n % 7]} was refused" for n in range(50)]
    made += [f"login of {'z' * (n + 1)}y in group {NAMES[n % 7]} was refused" for n in range(50)]
    made += [f"login of {'z' * (n + 1)}w in group {NAMES[n % 7]} was refused" for n in range(50)]
    for at in range(0, 150, 30):
        log.add(events([shape_of(message) for message in made[at : at + 30]], start=float(at)))
    assert counts(log) == {f"login of {ANY} in group {ANY} was refused": 150}


def test_no_log_has_more_series_than_the_limit() -> None:
    log = LogSeries("a.log", Room())
    for part in range(3):
        log.add(events(free_text(0, 2500 * part, 2500), start=2500.0 * part))
        assert MAX_TEMPLATES // 4 <= len(log.templates) <= MAX_TEMPLATES
