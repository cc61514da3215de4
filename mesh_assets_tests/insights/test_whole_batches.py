"""What is found in many chunks at once is what is found in each alone, one by one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.log_records import LEVELS
from mesh_assets.chunks.timestamps import CLOCK_SKEW, TimestampParser
from mesh_assets.insights.byte_text import BASE64, ByteText, classes_in, hash_of, runs
from mesh_assets.insights.columns import strings_of
from mesh_assets.insights.keyphrases import _encoded
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_reader import LogReader
from mesh_assets.insights.log_shapes import said_in
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.sampling import ChunkSample
from mesh_assets.insights.secrets import find_secrets, may_hold_secrets
from mesh_assets.insights.table_rows import TableReader, _collected, _quoted
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.insights import CHUNK_INSIGHTS
from mesh_assets_tests.chunks.records import records_of
from mesh_assets_tests.insights.chunk_rows import batches, chunk_rows, rows, slice_rows
from mesh_assets_tests.insights.test_entities import SECRETS, TEXT

PIECES = [
    *TEXT.split(" "),
    *SECRETS,
    *'a Z_ é ß ’ \' - . , : / // \\ @ $ € % # """ 0 12 255 1.2.3 ::1 \ufffd 漢字 😀 İ \u00a0 \x00 \n \t'.split(" "),
    *["state-of-the-art", "don't", "parseConfigFile", "HTTP_SERVER_ERROR", "password=", "x" * 70, " ", "  ", "\n"],
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.lists(st.sampled_from(PIECES)).map(" ".join)
KINDS = st.sampled_from(["text", "code", "log", "structured"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS, KINDS), min_size=2, max_size=8))
def test_what_is_said_of_a_chunk_does_not_depend_on_its_neighbours(chunks: list[tuple[str, str]]) -> None:
    made = [row for i, (text, kind) in enumerate(chunks) for row in rows(f"f{i}", text, kind=kind, size=10**6)]
    together = chunk_rows(made)
    alone = [row for chunk in made for row in chunk_rows([chunk])]
    assert together == alone
    assert chunk_rows(made[::-1]) == alone[::-1]


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_no_text_with_a_secret_is_passed_over(text: str) -> None:
    if find_secrets(text):
        column = pa.array([text, ""], pa.string())
        assert may_hold_secrets(pl.Series([text, ""]), ByteText.of(column)).tolist() == [True, False]


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_words_and_their_hashes_are_those_of_each_text(texts: list[str]) -> None:
    text = ByteText.of(pa.array(texts, pa.string()))
    words = [text.raw[a:b].decode() for a, b in zip(*text.words, strict=True)]
    alone = [ByteText.of(pa.array([one], pa.string())) for one in texts]
    assert words == [one.raw[a:b].decode() for one in alone for a, b in zip(*one.words, strict=True)]
    assert all(word.replace("_", "a").isalnum() for word in words)
    expected = [hash_of(word) for word in words]
    assert text.hashes(text.words, lowered=False).tolist() == expected
    flags = [int(np.bitwise_or.reduce(text.classes[a:b][:64])) for a, b in zip(*text.words, strict=True)]
    assert classes_in(text.classes, text.words).tolist() == flags


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xA/ -é\0"), st.integers(1, 75)), max_size=12))
def test_encoded_data_is_every_long_run_of_its_characters(parts: list[tuple[str, int]]) -> None:
    text = ByteText.of(pa.array(["".join(sign * count for sign, count in parts)], pa.string()))
    found = runs((text.classes & BASE64) != 0)
    expected = [(a, b) for a, b in zip(*(c.tolist() for c in found), strict=True) if b - a >= 60]
    assert list(zip(*(c.tolist() for c in _encoded(text)), strict=True)) == expected


def test_repeats_are_counted_on_a_sample_where_texts_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [row for i in range(300) for row in rows(f"f{i}", f"{i % 100} says so much that it is long enough. " * 3)]
    whole = next(row for row in slice_rows(made, 64, embedded=False) if row["type"] == "duplicates")
    monkeypatch.setattr("mesh_assets.insights.duplicates._MAX_TEXTS", 40)
    sampled = next(row for row in slice_rows(made, 64, embedded=False) if row["type"] == "duplicates")
    whole_value, value = json.loads(whole["value"]), json.loads(sampled["value"])
    assert whole_value["repeated_chunks"] == 200
    assert 60 <= value["repeated_chunks"] <= 400
    assert abs(value["share"] - whole_value["share"]) < 0.01
    first, again = sampled["evidence"]
    assert first["path"] != again["path"]
    assert int(again["path"][1:]) - int(first["path"][1:]) == 100


def test_strings_without_a_copy_are_strings() -> None:
    made = strings_of(np.frombuffer("aéb".encode(), np.uint8), np.array([0, 1, 1, 4]))
    assert made.to_pylist() == ["a", "", "éb"]


# --- logs -----------------------------------------------------------------------------------------------------------

STAMPS = st.sampled_from(
    [
        'host - "bob" [17/May/2015:10:05:{:02d} +0000]',
        "x status [17/May/2015:10:05:{:02d} +0000]",
        "2024-05-03 10:00:{:02d}.123",
        "2024-05-03T10:00:{:02d}Z",
        "2024-05-03 10:00:{:02d},5 +0200",
        "2024-05-03T10:00:{:02d}+02:30",
        "May  3 10:00:{:02d}",
        "[17/May/2015:10:05:{:02d} +0000]",
        "Sun Dec 04 06:51:{:02d} 2005",
        "05-03 10:00:{:02d}.250",
        "081109 2036{:02d} 148",
        "17/06/09 20:10:{:02d}",
        "14314{:05d}",
        "Jun 3, 2005 1:02:{:02d} PM",
        "2024-13-03 10:00:{:02d}",
        "10.{0}.1{0}.7 - - [17/May/2015:10:05:{0:02d} +0000]",
        "é<{0}> 2024-05-03 10:00:{0:02d}.{0}",
        "{0} 10{0} [2024-05-03 10:00:{0:02d}]",
        "",
        "app: ",
    ]
)
WORDS = st.sampled_from(
    [
        *'INFO ERROR [warn] WARN: took 35 ms 12.5ms id=7 user=bob status=404 " 200 "GET /a/b HTTP/1.1" 503 17'.split(
            " "
        ),
        *[
            '"GET /a/b HTTP/1.1" 503 17',
            '"-"',
            "blk_-1608999687919862906",
            "/usr/lib/x9/y.so",
            "9f86d081884c7d65",
            "'a b'",
        ],
        *[
            "pid[123]:",
            "0.1234567890123",
            "12345678901234567890",
            "code: 500",
            "é=5",
            "-3",
            "(12)",
            "x=1.5;",
            "\t",
            "ann@example.org",
            "web.example.org",
            "a/b",
            "/a;/b/c.d",
            "deadbeef",
            'tag="View Lock",',
            '""',
            '"GET a1"',
            '"PUT "',
            "password: hunter,two",
            "token = abcd",
            "returned 404.",
            "CODE=500)",
            "-> 301",
            "->301",
            "http",
            "x\x1fy",
            "x\x85y 7",
            "x\u3000y",
            "~",
            "|x|",
            "Mon",
            "<none>",
            "y" * 70,
            "a1b2",
        ],
        '{"msg": "x 5", "took": 7}',
    ]
)
LAYOUTS = st.builds(LogLayout, st.integers(0, 5), st.none() | st.integers(0, 5)).filter(
    lambda layout: layout.source is None or layout.source <= layout.columns
)
LINES = st.tuples(st.booleans(), st.lists(WORDS, max_size=6))


@settings(max_examples=150, deadline=None)
@given(STAMPS, st.lists(LINES, min_size=1, max_size=20), st.sampled_from([80, 400, 10**6]), LAYOUTS)
def test_events_are_those_that_reading_line_by_line_gives(
    stamp: str, lines: list[tuple[bool, list[str]]], size: int, layout: LogLayout
) -> None:
    text = "".join(
        f"{stamp.format(i) if stamped or not i else '  at'} {' '.join(words)}\n"
        for i, (stamped, words) in enumerate(lines)
    )
    moment = datetime(2024, 6, 1, tzinfo=UTC)
    made = rows("app.log", text, kind="log", size=size, time_stop=moment)
    assert found_at_once(made, layout) == found_one_by_one(made, moment, layout)


def test_a_stamp_without_a_year_is_of_the_last_one_that_its_own_chunk_allows() -> None:
    text = "".join(f"May {day} 10:00:00 host app: started\n" for day in range(10, 30))
    made = []
    for year in (2022, 2024, 2023):
        made += rows("app.log", text, kind="log", size=200, time_stop=datetime(year, 5, 29, 10, tzinfo=UTC))
    found = [datetime.fromtimestamp(time, UTC) for time, *_ in found_at_once(made, LogLayout(0))]
    assert [moment.day for moment in found] == [*range(10, 30)] * 3
    assert [moment.year for moment in found] == [2022] * 20 + [2024] * 20 + [2023] * 20


def found_at_once(made: list[dict], layout: LogLayout) -> list[tuple]:
    out = []
    reader = LogReader()
    reader._layouts["app.log"] = layout
    for batch in batches(made):
        for _, events in reader.events(SliceBatch(batch, CHUNK_INSIGHTS.batch([]), np.zeros((batch.num_rows, 0)))):
            sources, level_places = events.sources(), events.named_levels.tolist()
            for i, time in enumerate(events.times.tolist()):
                numbers = [
                    (events.label_list[label], value)
                    for event, label, value in zip(events.measured, events.labels, events.values, strict=True)
                    if event == i
                ]
                numbers = numbers if time == time else []
                words = events.shape_list[events.shapes[i]]
                witness = events.witness(i)
                seen = (witness.byte_start, witness.line, witness.text)
                time = None if time != time else round(time, 5)
                level = None if level_places[i] < 0 else LEVELS[level_places[i]]
                span = (events.rows[i], events.spans.starts[i], events.spans.stops[i])
                out.append((time, level, words, numbers, sources[i], span, seen))
    return out


def found_one_by_one(made: list[dict], latest: datetime, layout: LogLayout) -> list[tuple]:
    out = []
    parser = None
    for number, row in enumerate(made):
        found = TimestampParser.detect(row["text"].split("\n"), latest=latest)
        if parser is None or not parser.stamps(row["text"]):
            parser = found or parser
        used = parser and TimestampParser(parser.readers, latest + CLOCK_SKEW)
        at = 0
        for record in records_of(row["text"], used):
            start, at = at, at + len(record.text.encode())
            if (record.time is None and used is not None) or not record.text.strip():
                continue
            said = said_in(record.record, layout)
            numbers = [(number.label, number.value) for number in said.numbers] if record.time else []
            whole = record.text.rstrip().splitlines()
            shown = whole[0] if len(whole) == 1 else f"{whole[0][:120]}\n… {whole[-1].strip()}"
            seen = (row["byte_start"] + start, row["line_start"] + record.line_start - 1, shown[:480])
            time = None if record.time is None else round(record.time.timestamp(), 5)
            span = (number, start, at)
            out.append((time, record.level, said.shape, numbers, said.source, span, seen))
    return out


# --- tables ---------------------------------------------------------------------------------------------------------

CELLS = st.lists(
    st.sampled_from(["", "1", "2.5", "a b", "é", "na", " ", "x,", "\r", "\t", "\n"]), min_size=1, max_size=5
)


@settings(max_examples=150, deadline=None)
@given(st.lists(CELLS, max_size=12), st.integers(1, 4))
def test_rows_without_quotes_are_the_same_by_either_reader(cells: list[list[str]], parts: int) -> None:
    lines = [",".join(row) + "\n" for row in cells]
    texts = ["a,b,c\n" + "".join(lines[0::parts]), *("".join(lines[k::parts]) for k in range(1, parts))]
    texts = [text for text in texts if text]
    reader = TableReader("csv")
    reader._names, reader._delimiter = ["a", "b", "c"], ","
    at_once = reader.cells(texts, "")
    one_by_one = _collected(_quoted(texts, ",", ["a", "b", "c"], 0))
    assert at_once.frame.rows() == one_by_one.frame.rows()
    if at_once.frame.height:
        for name in ("chunks", "starts", "stops"):
            assert getattr(at_once, name).tolist() == getattr(one_by_one, name).tolist()


# --- samples --------------------------------------------------------------------------------------------------------


def test_a_sample_of_chunks_does_not_depend_on_order_or_batches() -> None:
    made = [row for i in range(300) for row in rows(f"f{i}", f"text {i}")]
    drawn = []
    for order, size in ((1, 300), (-1, 7), (1, 50)):
        sample = ChunkSample(40)
        for batch in batches(made[::order], size):
            insights = CHUNK_INSIGHTS.batch(chunk_rows([{**row} for row in batch.to_pylist()]))
            sample.add(SliceBatch(batch, insights, np.ones((batch.num_rows, 2), np.float32)))
        found = sample.drawn()
        assert found is not None and sample.seen == 300
        assert found.insights.column("chunk_id").equals(found.chunks.column("chunk_id"))
        drawn.append(found.strings("chunk_id"))
    assert len(drawn[0]) == 40 and drawn[0] == drawn[1] == drawn[2]
    assert CHUNKS.schema == found.chunks.schema
