"""Messages that differ in a name only are one template, and what is remembered of a hostile log is bounded."""

from __future__ import annotations

import tracemalloc

from mesh_assets.insights.log_templates import ANY, OWN_SHAPES, SHARED_SHAPES, VARIANTS, Room, TemplateTable


def test_a_place_that_varies_becomes_one_template_whatever_comes_next() -> None:
    table = TemplateTable(Room())
    names = ["ann", "bob", "cid", "dan", "eve", "flo", "gus"]
    found = [table.find(("login", "of", name, "refused")) for name in names]
    general, merged = found[VARIANTS - 1]
    assert general is not None and table.words[general] == ("login", "of", ANY, "refused")
    assert sorted(merged) == [number for number, _ in found[: VARIANTS - 1]] + [max(merged)]
    assert found[VARIANTS:] == [(general, ())]
    assert table.find(("login", "of", "ann", "refused")) == (general, ())


def test_few_variants_stay_apart() -> None:
    table = TemplateTable(Room())
    assert len({table.find(("connection", "was", word))[0] for word in ("opened", "closed", "lost")}) == 3


def test_what_logs_remember_is_bounded_together_and_each_keeps_a_share() -> None:
    room = Room(free=300)
    tables = [TemplateTable(room) for _ in range(3)]
    tracemalloc.start()
    for log, table in enumerate(tables):
        numbers = [table.find(distinct(log, n))[0] for n in range(800)]
        assert None in numbers
        assert len(table.words) == OWN_SHAPES + (300 if log == 0 else 0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < (300 + 3 * OWN_SHAPES) * 8000


def distinct(log: int, n: int) -> tuple[str, ...]:
    """A shape of 24 words that shares none with another."""
    return tuple(f"w{log}-{n}-{place}" for place in range(24))


def test_room_comes_back_where_shapes_are_merged() -> None:
    room = Room()
    table = TemplateTable(room)
    for message in range(2 * SHARED_SHAPES // VARIANTS):
        for name in range(VARIANTS):
            assert table.find((f"m{message}", f"k{message}", f"user{name}"))[0] is not None
    assert room.free == SHARED_SHAPES + OWN_SHAPES - len(table.words)
    assert len(table.words) == 2 * SHARED_SHAPES // VARIANTS
