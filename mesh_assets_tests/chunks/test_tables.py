"""Tables are cut between rows, with their header as context; bad JSON lines are named, and the others used."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mesh_assets.chunks import json_text
from mesh_assets.chunks.protocol import Piece
from mesh_assets.chunks.tables import Dialect, row_ends
from mesh_assets.chunks.windows import WINDOW_BYTES
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import checked, cut, source


def test_rows_carry_their_header() -> None:
    text = "timestamp,host,value\n" + "".join(f"2026-11-22 10:{n:02}:00,web-{n},{n}.5\n" for n in range(60))
    pieces = cut(text, "metric", "csv", tokens=128)
    assert pieces[0].text.startswith("timestamp,host,value\n") and pieces[0].context == ""
    assert all(piece.context == "timestamp,host,value" for piece in pieces[1:])
    assert pieces[0].row_start == 0 and pieces[-1].row_stop == 60
    assert all(a.row_stop == b.row_start for a, b in pairwise(pieces))
    assert pieces[-1].time_stop == datetime(2026, 11, 22, 10, 59, tzinfo=UTC)
    assert all(piece.tokens <= 128 for piece in pieces)


@pytest.mark.parametrize(
    ("sample", "header"),
    [
        ("name,city\nann,berlin\nbob,rome\n", True),
        ("id;value\n1;2\n", True),
        ("country,1990,1991\nPeru,1,2\n", True),
        ("1,2,3\n4,5,6\n", False),
        ("2026-11-22,5\n2026-11-23,6\n", False),
        ("ann,ann\nbob,bob\n", False),
        ("", False),
    ],
)
def test_a_header_is_what_names_columns(sample: str, header: bool) -> None:
    assert Dialect.of(sample, "csv").header is header


CELLS = st.text(alphabet='ab",;\n\r é', max_size=6)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=20))
def test_a_row_that_fits_is_never_split(rows: list[tuple[str, str, str]]) -> None:
    written = [as_row(("word", "other", "third")), *map(as_row, rows)]
    text = "".join(written)
    ends = row_ends(text, ",")
    assert [text[start:stop] for start, stop in pairwise([0, *ends])] == written
    starts = {len("".join(written[:n]).encode()) for n in range(len(written))}
    assert {piece.byte_start for piece in cut(text, "structured", "csv", tokens=64)} <= starts


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(['"', '"', '""', ",", ",", "\n", "a", "é€", ' "', '"b""c"', ',"d\ne",']), max_size=14))
def test_rows_end_where_the_reader_of_python_ends_them(parts: list[str]) -> None:
    text = "".join(parts) + "\n"
    end = '\n"the last row",is closed\n'
    reader = csv.reader((text + end).splitlines(keepends=True))
    lines = [reader.line_num for _ in reader]
    assume(len(lines) > 1 and lines[-2] == (text + end).count("\n") - 1)  # no quote is open before it
    breaks = [at + 1 for at, letter in enumerate(text + end) if letter == "\n"]
    assert row_ends(text + end, ",") == [breaks[line - 1] for line in lines]


def as_row(cells: tuple[str, ...]) -> str:
    """`cells` as CSV, quoted where they need it."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def test_a_stray_quote_does_not_swallow_the_table() -> None:
    text = "name,size\n" + 'pipe 5",3\n' * 50 + '"never closed,1\n' + "a,2\n" * 50
    assert len(row_ends(text, ",")) == text.count("\n")


def test_json_lines_say_which_lines_are_none() -> None:
    lines = ['{"level": "info", "n": 1}', "not json", '{"n": 2}', "", '{"n": ' + "[" * 100000, "bad", '{"n": 3}']
    parts = checked(source("\n".join(lines) + "\n", "structured", "jsonl"), 64)
    rejects = [part for part in parts if isinstance(part, Reject)]
    assert [(reject.reason, reject.detail) for reject in rejects] == [
        ("not JSON", "line 2"),
        ("not JSON", "lines 5 to 6"),
    ]
    pieces = [part for part in parts if isinstance(part, Piece)]
    assert [(piece.row_start, piece.row_stop) for piece in pieces] == [(0, 1), (1, 2), (2, 3)]
    assert pieces[0].context == "level, n"
    assert len(cut("\n" * 200_000 + "{}\n", "structured", "jsonl")) < 1000


@pytest.mark.parametrize("lines", ['{"a": 1}\nx\n', "x\n\n{}\n", "x\n[1]\ny\nz\n"])
def test_a_file_that_is_half_json_is_not_a_million_rejects(lines: str) -> None:
    text = lines * 30_000
    parts = checked(source(text, "structured", "jsonl"), 64)
    rejects = [part for part in parts if isinstance(part, Reject)]
    assert len(rejects) == json_text.MAX_REJECTS
    assert "kept as text" in rejects[-1].detail and "kept as text" not in rejects[0].detail
    pieces = [part for part in parts if isinstance(part, Piece)]
    assert len(pieces) < len(text) / 50
    assert pieces[-2].text.count("\n") > 10


def test_a_json_line_longer_than_a_window_is_a_row_as_any_other() -> None:
    long = json.dumps({"id": 1, "body": "word " * (WINDOW_BYTES // 2)})
    pieces = cut(f'{{"id": 0}}\n{long}\n{{"id": 2}}\n{long}', "structured", "jsonl", tokens=256)
    assert pieces[0].text == '{"id": 0}\n'
    assert "".join(piece.text for piece in pieces if piece.row_start == 1) == f"{long}\n"
    assert pieces[-1].row_stop == 4


def test_a_json_line_too_long_to_parse_is_cut_and_not_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_PARSED_BYTES", 2 * WINDOW_BYTES)
    long = json.dumps({"id": 1, "body": "word " * WINDOW_BYTES})
    pieces = cut(f'{{"id": 0}}\n{long}\n{{"id": 2}}\n', "structured", "jsonl", tokens=256)
    assert "".join(piece.text for piece in pieces if piece.row_start == 1) == f"{long}\n"
    assert (pieces[-1].text, pieces[-1].row_start, pieces[-1].row_stop) == ('{"id": 2}\n', 2, 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=8) | st.integers(), max_size=3), max_size=30))
def test_json_lines_are_never_split_where_they_fit(objects: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(each) + "\n" for each in objects)
    for piece in cut(text, "structured", "jsonl", tokens=256):
        assert all(isinstance(json.loads(line), dict) for line in piece.text.split("\n") if line)


def test_a_json_document_is_cut_between_its_elements() -> None:
    records = [{"name": f"n{n}", "values": [n, n + 1]} for n in range(40)]
    pieces = cut(json.dumps(records, indent=1), "structured", "json", tokens=128)
    assert all(piece.context == "name, values" for piece in pieces)
    assert pieces[-1].row_stop == 40
    table = {f"key{n}": {"a": n} for n in range(40)}
    assert cut(json.dumps(table), "structured", "json", tokens=128)[0].symbol == "key0"


VALUES = '{"a":1} {"a": 1} [1, 2] NaN "x y" "\\ud800" "\udc80" {"a":1,"a":2} 1e999 tru true "\x01" {} , \ufeff \x0b'
NASTY = (*VALUES.split(" "), " ", "\t", "\r\n", *("\n" * 4), "9" * 5000, "[" * 5000)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(NASTY), max_size=16).map("".join))
def test_a_json_line_is_one_that_the_parser_reads_alone(text: str) -> None:
    found = checked(source(text.encode("utf-8", "surrogateescape"), "structured", "jsonl"), 64)
    used = "".join(part.text for part in found if isinstance(part, Piece))
    lines = [line for line in text.split("\n") if line.strip()]
    assert [line for line in used.split("\n") if line.strip()] == [line for line in lines if is_json(line)]


def is_json(line: str) -> bool:
    try:
        json.JSONDecoder(strict=False).decode(line.strip("\ufeff \t\r\n"))
    except (ValueError, RecursionError):
        return False
    return True
