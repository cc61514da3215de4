"""What a record measures is known by the words around it, whatever names stand elsewhere in the message."""

from __future__ import annotations

import pytest

from mesh_assets.chunks.log_records import LogRecord
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_shapes import Said, number_spans, said_in


def said(made: LogRecord) -> Said:
    return said_in(made, LogLayout(0))


def record(message: str) -> LogRecord:
    stamp = "2024-05-03 10:00:00 "
    return LogRecord(stamp + message, 0, len(stamp))


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        ("GET /a/b took 35 ms user=bob", [("took <n> ms", 35.0)]),
        ("GET /a/b took 35ms user=bob", [("took <n>ms", 35.0)]),
        ("INFO took_ms=12.5 user=bob", [("took_ms=<n>", 12.5)]),
        ("queue depth 7 user=bob", [("depth <n>", 7.0)]),
        ("load 1 2 3", [("load <n>", 1.0), ("<n> <n>", 2.0), ("<n> <n> <n>", 3.0)]),
        ("request 17 of session 4 failed", []),
        ('served "GET /x 9" 404 in 8 ms', [("in <n> ms", 8.0)]),
    ],
)
def test_a_number_is_known_by_the_words_around_it(message: str, numbers: list[tuple[str, float]]) -> None:
    made = record(message)
    assert [(number.label, number.value) for number in said(made).numbers] == numbers
    spans = [made.text[start:stop] for start, stop in number_spans(made, said(made).numbers)]
    assert [float(text) for text in spans] == [value for _, value in numbers]


def test_no_two_numbers_of_a_message_have_one_label() -> None:
    for message in ("x 1 x 1 x 1 x 1", "1 1 1 1", "x=1 x=1 x=1", "a 1 2"):
        labels = [number.label for number in said(record(message)).numbers]
        assert len(set(labels)) == len(labels)


def test_labels_do_not_depend_on_the_name_that_a_message_is_about() -> None:
    assert len({said(record(f"user {name} logged in after 5 s")).numbers for name in ("ann", "bob")}) == 1
