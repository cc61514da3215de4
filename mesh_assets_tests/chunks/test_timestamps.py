"""A user's log lines get their moment, whatever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.timestamps import TimestampParser

NOVEMBER = datetime(2026, 11, 22, 10, 42, 1, tzinfo=UTC)
LATEST = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        ("2026-11-22T10:42:01Z INFO up", NOVEMBER),
        ("2026-11-22T12:42:01+02:00 INFO up", NOVEMBER),
        ("2026-11-22 05:42:01 -0500 INFO up", NOVEMBER),
        ("2026-11-22 10:42:01,123 [main] ERROR x", NOVEMBER.replace(microsecond=123000)),
        ("[2026-11-22 10:42:01.123456789] app", NOVEMBER.replace(microsecond=123456)),
        ("2026/11/22 10:42:01 [error] 7#7: *1 open() failed", NOVEMBER),
        ('{"time":"2026-11-22T10:42:01Z","level":"info"}', NOVEMBER),
        ("Nov 22 10:42:01 host sshd[1]: accepted", NOVEMBER),
        ("<34>Nov 22 10:42:01 host su: failed", NOVEMBER),
        ("<165>1 2026-11-22T10:42:01.000Z host app - - hi", NOVEMBER),
        ('10.0.0.1 - bob [22/Nov/2026:12:42:01 +0200] "GET / HTTP/1.1" 200 5', NOVEMBER),
        ("[Sun Nov 22 10:42:01 2026] [error] client denied", NOVEMBER),
        ("Nov 22, 2026 10:42:01 AM org.example.Main run", NOVEMBER),
        ("261122 104201 148 INFO dfs.DataNode: x", NOVEMBER),
        ("26/11/22 10:42:01 INFO executor.Executor: x", NOVEMBER),
        ("11-22 10:42:01.000  1702  2395 D Wm: x", NOVEMBER),
        ("1795344121 started", NOVEMBER),
        ("1795344121000 started", NOVEMBER),
        ("- 1795344121 2026.11.22 R02 RAS KERNEL INFO x", NOVEMBER),
        ("\ufeff2026-11-22 10:42:01 first line of a file with a byte order mark", NOVEMBER),
    ],
)
def test_each_common_format_is_read_as_utc(line: str, moment: datetime) -> None:
    parser = TimestampParser.detect([line], latest=LATEST)
    assert parser is not None
    assert parser.parse(line) == moment
    assert parser.parse("\tat com.example.Main.run(Main.java:10)") is None


@pytest.mark.parametrize("line", ["", "hello", "12345 bottles", "2026-13-45 99:99:99 no date", "v1.2.3-rc4 (2026)"])
def test_lines_without_a_moment_have_none(line: str) -> None:
    parser = TimestampParser.detect([line])
    assert parser is None or parser.parse(line) is None


def test_a_year_is_taken_so_that_no_line_is_later_than_the_file() -> None:
    lines = ["Dec 31 23:59:58 host a: old year", "Jan  1 00:00:01 host a: new year"]
    parser = TimestampParser.detect(lines, latest=datetime(2026, 1, 2, tzinfo=UTC))
    assert parser is not None
    assert [parser.parse(line).year for line in lines] == [2025, 2026]
    of_year = TimestampParser.detect(lines, default_year=2019)
    assert of_year is not None
    assert [of_year.parse(line).year for line in lines] == [2019, 2019]


def test_29_february_finds_its_leap_year() -> None:
    parser = TimestampParser.detect(["Feb 29 10:00:00 host x"], default_year=2026)
    assert parser is not None
    assert parser.parse("Feb 29 10:00:00 host x") == datetime(2024, 2, 29, 10, tzinfo=UTC)


def test_a_file_of_two_formats_is_read_in_both() -> None:
    lines = ["2026-11-22 10:42:01 app up", "Nov 22 10:42:01 host cron: ran"] * 5
    parser = TimestampParser.detect(lines, latest=LATEST)
    assert parser is not None
    assert [parser.parse(line) for line in lines] == [NOVEMBER] * 10
    assert [stamp.time for stamp in parser.stamps("\n".join(lines))] == [NOVEMBER] * 10


def test_a_date_inside_a_message_starts_no_record() -> None:
    lines = ["2026-11-22 10:42:01 job failed", "caused by run of 2026-11-21 10:42:01"]
    parser = TimestampParser.detect(lines * 3 + lines[:1] * 60)
    assert parser is not None
    assert parser.parse(lines[1]) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="0123456789-/:.,TZ +[]JanFebMon\n\ud800", max_size=60), max_size=5))
def test_no_text_is_an_error(lines: list[str]) -> None:
    parser = TimestampParser.detect(lines)
    if parser is not None:
        text = "\n".join(lines)
        stamps = parser.stamps(text)
        assert [stamp.time for stamp in stamps] == [t for line in text.split("\n") if (t := parser.parse(line))]


@given(
    st.lists(
        st.one_of(
            st.datetimes(datetime(1999, 1, 1), datetime(2026, 1, 1)).map(lambda moment: moment.isoformat(" ")),
            st.datetimes(datetime(1999, 1, 1), datetime(2026, 1, 1)).map(lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}"),
            st.sampled_from(
                ["2024-02-30 10:00:00", "2024/05/03 10:00:00", "2024-05-03 10:00:00 -0500", "2024-05-03T10:00:00Z", "x"]
            ),
            st.sampled_from(["2024-05-03 10:00:00+02:00", "2024-05-03 10:00:00-11:00", "9999-12-31 23:59:59", ""]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_span_of_a_text_is_that_of_its_stamps(lines: list[str]) -> None:
    parser = TimestampParser.detect([*lines, "2024-05-03 10:00:00"], latest=LATEST)
    assert parser is not None
    text = "\n".join(lines)
    moments = [stamp.time for stamp in parser.stamps(text)]
    assert parser.span(text) == ((min(moments), max(moments)) if moments else None)
