"""Templates: what varies in messages is found, whatever their order, and however the log was split."""

from __future__ import annotations

import random
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.template_miner import (
    ANY,
    VARIANTS,
    Shape,
    fitting,
    shape_of,
    shapes_of,
    templates_of,
    written,
)

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
        ('"GET /a?x=1 HTTP/1.1" 503 17', '"GET" <*> 503 <*>'),
        ("status=404 code: 500 code 7", "status 404 code 500 code <*>"),
        ("user ann password = hunter, two", "user ann password <*> two"),
        ("token:ab(cd)ef gh", "token <*> gh"),
        ("x" * 70, "<*>"),
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


@settings(deadline=None)
@given(MESSAGES, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_a_template(messages: list[str], random: random.Random) -> None:
    expected = dict(zip(messages, templates(messages), strict=True))
    shuffled = messages + messages[: len(messages) // 2]
    random.shuffle(shuffled)
    assert dict(zip(shuffled, templates(shuffled), strict=True)) == expected


@settings(deadline=None)
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


@settings(deadline=None)
@given(st.lists(st.text(max_size=80)))
def test_any_text_has_a_template_that_it_fits(messages: list[str]) -> None:
    for template in templates(messages):
        assert f"{ANY} {ANY}" not in template


# Text at whose details engines of regular expressions differ, and what is kept on purpose.
PIECES = st.sampled_from(
    [*'x 7 " = : ( / . @ - | a1 GET status -> 404 500 503.5 http \x1c \x1f \x85 \u3000 \n é ſtatus İ'.split(" "), " "]
)


@settings(deadline=None)
@given(st.lists(st.lists(PIECES, max_size=16).map("".join) | st.text(max_size=40), max_size=8))
def test_shapes_found_at_once_are_those_of_each_message(messages: list[str]) -> None:
    shapes, of = shapes_of(pl.Series(messages, dtype=pl.String))
    assert [shapes[number] for number in of.tolist()] == [shape_of(message) for message in messages]


def test_statuses_and_methods_are_kept_however_many_there_are() -> None:
    statuses = [f'"GET /x HTTP/1.1" {status} 17 bytes were sent' for status in (200, 301, 404, 500, 503)]
    methods = [f'"{method} /x HTTP/1.1" 200 17 bytes were sent' for method in ("PUT", "POST", "HEAD", "PATCH")]
    assert len(set(templates(statuses + methods))) == 9


def test_a_shape_fits_a_template_that_has_its_words_but_one() -> None:
    template = ("login", "of", ANY, "was", "refused")
    assert fitting(shape_of("login of zoe was refused"), {template}) == template
    assert fitting(shape_of("login of zoe was granted"), {template}) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "sshd[123]: error: disconnect from 1.2.3.4: 14: No more (x9)",
            "sshd[…]: error: disconnect from …: No more (…)",
        ),
        ('10.0.0.1 - "GET /a/b?x=1 HTTP/1.1" 503 17', '… - "GET …" 503 …'),
        ('level=info msg="a b"  took_ms=35', 'level=info msg="…" took_ms=…'),
        ("user password = hunter, ok", "user password = …, ok"),
        ("connection (closed)", "connection (closed)"),
    ],
)
def test_a_template_is_written_with_the_signs_of_its_lines(message: str, expected: str) -> None:
    assert written(shape_of(message), message) == expected


@settings(deadline=None)
@given(st.lists(PIECES, max_size=16).map("".join), st.lists(PIECES, max_size=16).map("".join))
def test_of_any_line_only_the_words_of_the_template_are_written(message: str, line: str) -> None:
    shape = shape_of(message)
    said = {word.strip('"') for word in shape}
    shown = written(shape, line)
    assert shown is None or all(word in said or word == "…" for word in _words(shown))
    assert written(shape, message) is not None


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\x00-\x20=,;:()\[\]{}<>\"'|]+", text.replace("…", " … ")) if word]
