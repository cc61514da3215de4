"""Templates: what varies in messages is found, whatever their order, and however the log was split."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.insights.template_miner import ANY, VARIANTS, Shape, shapes_of, templates_of

NAMES = ("ann", "bob", "cid", "dan", "eve")
# Messages of few words, so that many of them differ at one place only.
MESSAGES = st.lists(
    st.lists(st.sampled_from(["open", "close", "file", "user", "for", "10.0.0.1", *NAMES]), min_size=1, max_size=6).map(
        " ".join
    ),
    max_size=40,
)


def templates(messages: list[str]) -> list[str]:
    shapes, of = shapes_of(pl.Series(messages, dtype=pl.String))
    found = templates_of(shapes)
    return [" ".join(found[shapes[number]]) for number in of.tolist()]


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        ("took 17 ms", "took <*> ms"),
        ("read 4 of 5, 6 of 7", "read <*> of <*> of <*>"),
        ("connection from 10.0.0.1 (web-3.example.org) at Thu Jul 7", "connection from <*> at <*>"),
        ("session 0x7f3a closed", "session <*> closed"),
        ("token deadbeef expired", "token <*> expired"),
        ("cannot read /etc/shadow: denied", "cannot read <*> denied"),
        ("mail to ann@example.org sent", "mail to <*> sent"),
        ('acquire tag="View Lock", name=android', "acquire tag <*> name android"),
        ("org.apache.spark.SparkEnv started", "<*> started"),
        ("nothing varies here", "nothing varies here"),
        ("and/or", "and/or"),
        ("", ""),
    ],
)
def test_what_varies_by_nature_is_one_sign(message: str, shape: str) -> None:
    assert templates([message]) == [shape]


def test_a_place_with_enough_different_words_varies() -> None:
    few, enough = NAMES[: VARIANTS - 1], NAMES[:VARIANTS]
    assert templates([f"login of {name} was refused" for name in enough]) == ["login of <*> was refused"] * VARIANTS
    assert len(set(templates([f"login of {name} was refused" for name in few]))) == VARIANTS - 1


def test_names_that_vary_in_one_message_vary_in_others() -> None:
    many = [f"session closed for user {name}" for name in NAMES]
    few = [f"session opened for user {name} by root" for name in NAMES[:2]]
    assert templates([*many, *few])[-1] == "session opened for user <*> by root"
    assert templates(few) == few


def test_what_happened_is_never_open() -> None:
    messages = [f"{name} startup has succeeded" for name in ("cups", "ssh", "cron", "ntp", "dns", "web")]
    assert templates(messages) == messages


def test_what_is_said_in_few_words_stays_apart() -> None:
    messages = [f"connection {what}" for what in ("opened", "closed", "lost", "refused", "reset", "kept")]
    assert templates(messages) == messages


@given(MESSAGES, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_a_template(messages: list[str], random: random.Random) -> None:
    expected = dict(zip(messages, templates(messages), strict=True))
    shuffled = messages + messages[: len(messages) // 2]
    random.shuffle(shuffled)
    assert dict(zip(shuffled, templates(shuffled), strict=True)) == expected


@given(MESSAGES, st.integers(0, 40))
def test_parts_put_together_have_the_templates_of_the_whole(messages: list[str], at: int) -> None:
    shapes: set[Shape] = set()
    of: list[Shape] = []
    for part in (messages[:at], messages[at:]):
        found, numbers = shapes_of(pl.Series(part, dtype=pl.String))
        shapes.update(found)
        of += [found[number] for number in numbers.tolist()]
    merged = templates_of(shapes)
    assert [" ".join(merged[shape]) for shape in of] == templates(messages)


@given(st.lists(st.text(max_size=80)))
def test_any_text_has_a_template_that_it_fits(messages: list[str]) -> None:
    for template in templates(messages):
        assert f"{ANY} {ANY}" not in template
