"""Tables are cut between rows, with their header as context; bad JSON lines are named, and the others used."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate, pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mesh_assets.chunks import json_text, tables
from mesh_assets.chunks.protocol import Piece
from mesh_assets.chunks.tables import Dialect, row_ends
from mesh_assets.chunks.tokens import TokenMeter
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
    assert pieces[0].symbol == f"$[0:{pieces[0].row_stop}]"
    table = {f"key{n}": {"a": n} for n in range(40)}
    assert cut(json.dumps(table), "structured", "json", tokens=128)[0].symbol == "$.key0"


def test_what_does_not_fit_is_entered_and_says_its_path() -> None:
    orders = [{"id": n, "items": [{"sku": f"s{n}-{m}", "price": m} for m in range(9)]} for n in range(5)]
    pieces = cut(json.dumps({"shop": {"first name": "A", "orders": orders}}, indent=1), "structured", "json", tokens=64)
    symbols = [piece.symbol for piece in pieces]
    assert symbols[0] == '$.shop["first name"]'
    of_third = [piece for piece in pieces if (piece.symbol or "").startswith("$.shop.orders[3].items[")]
    assert of_third[0].symbol is not None and of_third[0].symbol.startswith("$.shop.orders[3].items[0:")
    assert {piece.context for piece in of_third} == {"sku, price"}
    assert all(piece.text.strip(" \n[]{},") for piece in pieces)
    whole = cut(json.dumps({"shop": {"orders": orders}}), "structured", "json", tokens=512)
    assert [piece.symbol for piece in whole][:2] == ["$.shop.orders[0:2]", "$.shop.orders[2:4]"]


def spans(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Where each value from `at` on in a JSON text begins and ends, those in others too."""
    decoder = json.JSONDecoder()
    while text[at] in " \n":
        at += 1
    value, stop = decoder.raw_decode(text, at)
    yield at, stop
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    at += 1
    for _ in inner:
        while text[at] in " \n,":
            at += 1
        if isinstance(value, dict):
            at = text.index(":", decoder.raw_decode(text, at)[1]) + 1
        for span in spans(text, at):
            yield span
            at = max(at, span[1])


documents = st.recursive(
    st.text(max_size=30) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text("abc", max_size=5), inner, max_size=4),
    max_leaves=60,
)


@settings(max_examples=60, deadline=None)
@given(document=documents, indent=st.sampled_from([None, 0, 2]), ascii_only=st.booleans())
def test_a_json_value_that_fits_is_never_split(document: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    pieces = cut(text, "structured", "json", tokens=32)
    ends = list(accumulate(len(piece.text) for piece in pieces))
    meter = TokenMeter(text, "structured")
    if text[0] in "[{":
        for start, stop in spans(text, 0):
            if meter.fits(start, stop, 16):  # beside its key and context
                assert not any(start < end < stop for end in ends)


@pytest.mark.parametrize(
    "text", ["[,]", "[1,]", "{,,}", "[[],[[]]]", "[" * 500 + "1" + "]" * 500, '{"a":[{"b":"\\\\"}]}', "[}"]
)
def test_odd_json_is_covered_too(text: str) -> None:
    cut(text * 3, "structured", "json", tokens=8)
    cut(text, "structured", "json", tokens=8)


@pytest.mark.parametrize(
    ("text", "delimiter", "top", "context"),
    [
        ("sep=;\na;b\n1;2\n3;4\n", ";", 2, "a;b"),
        ("# made by x, y\n# on Monday\nid,size\n1,2\n3,4\n", ",", 3, "id,size"),
        ("#id,size\n1,2\n3,4\n5,6\n", ",", 1, "#id,size"),
        ("Sales of the year\n\nname;price\nBread;1,50\nMilk;0,99\nTea;3,10\n", ";", 3, "name;price"),
        ("name  size  colour\nann   1     red\nbob   22    blue\n", " ", 1, "name  size  colour"),
        ("a|b|\n1|2|\n3|4|\n", "|", 1, "a|b|"),
        ("1\t2\n3\t4\n5\t6\n", "\t", 0, ""),
        ("one word\nafter another\n", ",", 1, "one word"),
    ],
)
def test_any_dialect_is_told_from_its_rows(text: str, delimiter: str, top: int, context: str) -> None:
    found = Dialect.of(text, "csv")
    assert (found.delimiter, found.top, found.header_of(text)) == (delimiter, top, context)
    rows = [line for line in text.split("\n")[top:] if line]
    many = text + "".join(f"{row}\n" for row in rows * 200)
    pieces = cut(many, "structured", "csv", tokens=64)
    assert (pieces[0].row_start, pieces[-1].row_stop) == (0, 201 * len(rows))
    assert {piece.context for piece in pieces[1:]} == {context}


def test_utf_16_is_read_as_any_other_encoding() -> None:
    text = "stadt;größe\n" + "Köln;1,5\n" * 40
    given = source(("\ufeff" + text).encode("utf-16-le"), "structured", "csv", encoding="utf-16-le")
    pieces = [part for part in checked(given, 64) if isinstance(part, Piece)]
    assert pieces[0].text.startswith("\ufeffstadt;größe\n") and pieces[1].context == "stadt;größe"
    assert pieces[-1].row_stop == 40


def test_rows_with_too_many_or_too_few_cells_are_named_and_the_others_used() -> None:
    lines = ["id,name,size", *(f"{n},name {n},{n}" for n in range(20))]
    lines[5], lines[9], lines[10], lines[15] = "4,five", "8,a,b,c,d", "x", '14,"quoted, well",1'
    lines[17], lines[18] = "16,trailing,1,", ""
    parts = checked(source("\n".join(lines) + "\n", "structured", "csv"), 64)
    rejects = [part for part in parts if isinstance(part, Reject)]
    assert [(reject.reason, reject.detail) for reject in rejects] == [
        ("row with too many or too few cells", "line 6: a row without 3 cells"),
        ("row with too many or too few cells", "lines 10 to 11: 2 rows without 3 cells"),
    ]
    pieces = [part for part in parts if isinstance(part, Piece)]
    assert "quoted, well" in "".join(piece.text for piece in pieces)
    assert all(a.row_stop == b.row_start for a, b in pairwise(pieces))


def test_a_table_whose_rows_differ_has_no_bad_ones() -> None:
    text = "".join(",".join("abcdefgh"[: n % 7 + 1]) + "\n" for n in range(500))
    assert all(isinstance(part, Piece) for part in checked(source(text, "structured", "csv"), 64))


def test_bad_rows_are_not_a_million_rejects() -> None:
    head = "a,b,c\n" + "1,2,3\n" * 100
    parts = checked(source(head + "1,2,3\n1,2\n" * 3000, "structured", "csv"), 64)
    rejects = [part for part in parts if isinstance(part, Reject)]
    assert len(rejects) == tables.MAX_REJECTS
    assert rejects[-1].detail.endswith("further ones are kept")


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=20), bad=st.lists(st.integers(0, 30), max_size=4)
)
def test_good_rows_are_never_rejected(rows: list[tuple[str, str, str]], bad: list[int]) -> None:
    written = [as_row(("word", "other", "third")), *(as_row(("1", "2", "3")) for _ in range(60)), *map(as_row, rows)]
    for at in bad:
        written[5 + at] = "one,two\n"
    parts = checked(source("".join(written), "structured", "csv"), 64)
    kept = "".join(part.text for part in parts if isinstance(part, Piece))
    assert kept == "".join(row for row in written if row != "one,two\n")


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
