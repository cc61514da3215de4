"""A user's log lines get their moment, whatever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.moments import NONE, NOTATIONS, may_hold
from mesh_assets.chunks.timestamps import FORMATS, Format, TimestampParser
from mesh_assets.chunks.tokens import TokenMeter

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


_STAMPS = st.one_of(
    st.sampled_from(
        """2024-02-29 23:59:59|2023-02-29T00:00:00|2024.06.03-15.42.50.363779|2024/01/31_10:20:30,123
9999-12-31 23:59:59
2024-01-01T00:00:00Z|2024-01-01 00:00:00+0530|2024-01-01 00:00:00 -08:00|2024-01-01 00:00:00 -9999|2024-01-01 24:00:00
10/Oct/2000:13:55:36 -0700|10/Oxt/2000:13:55:36 -0700|10/Oct/2000:13:55:36 +2359|10/Oct/2000:13:55:36 +2399
Sun Dec 04 04:47:44 2005|Sun Dec  4 04:47:44.123 2005|Mou Dec  4 04:47:44 2005|Jan 1, 2005 1:02:03 PM
Jan 12, 2005 01:02:03
Jun 14 15:16:01|Jun  9 06:06:20|Jun 9 06:06:20|Jun  14 06:06:20|Jun 14 2004 06:06:20|Feb 29 10:00:00|Nov 23 10:42:01.5
Dec 31 23:59:59|Nov 23 10:42:00|Jon 12 00:00:00|03-17 16:13:38.811|03-17 16:13:38.81|02-30 16:13:38.811|081109 2036151
03-17 16:13:38.8111234|17/06/09 20:10:40|17/06/09 20:10:401|081109 203615|1117838570|1117838570123|1117838570.12
11178385701|1117838570:|1117838570123.5""".replace("\n", "|").split("|")
    ),
    st.datetimes(datetime(1999, 1, 1), datetime(2026, 1, 1)).map(lambda moment: moment.isoformat(" ")),
)
_LEADS = st.sampled_from(
    [
        "",
        "",
        "",
        " ",
        "\t",
        "[",
        "(",
        '"',
        "<34>",
        "<34>1 ",
        "\ufeff",
        "- ",
        "a",
        "é ",
        "€ ",
        "1",
        "10.0.0.1 - [",
        "y " * 63,
    ]
)
_TAILS = st.sampled_from(
    [
        " job",
        "",
        "]",
        "Z",
        " Z",
        "x",
        ".1",
        ",123456789",
        ",1234567890",
        " - a",
        " +0100",
        " +01:00x",
        ".",
        ":",
        "5",
        "é",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(_LEADS, _STAMPS, _TAILS, st.one_of(st.just(""), _STAMPS)).map("".join), min_size=1, max_size=12),
    st.sampled_from(FORMATS),
    st.booleans(),
)
def test_moments_read_at_once_are_those_of_the_stamps(lines: list[str], form: Format, anchored: bool) -> None:
    parser = TimestampParser(((form.anchored if anchored else form.within, form),), LATEST)
    text = "\n".join(lines * 20)  # few lines are read one by one
    found = parser.moments(text, TokenMeter(text, "log").codes)
    moments = dict(zip(found.starts.tolist(), found.times.tolist(), strict=True))
    epoch, tick = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
    stamps = parser.stamps(text)
    assert {start: time for start, time in moments.items() if time != NONE} == {
        stamp.line: (stamp.time - epoch) // tick for stamp in stamps
    }
    codes = np.frombuffer(text.encode("latin-1", "replace"), np.uint8)
    assert list(may_hold([NOTATIONS[form.name]], codes)) == [True] or not stamps
    times = [stamp.time for stamp in stamps]
    earliest, latest = found.of_parts(np.array([0]), np.array([len(text)]))
    ends = [(time - epoch) // tick for time in (min(times), max(times))] if times else [NONE, NONE]
    assert [*earliest, *latest] == ends
