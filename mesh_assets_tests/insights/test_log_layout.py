"""Where messages begin in the lines of logs of many kinds, without a setting for any."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.insights.log_layout import LogLayout

WORDS = [f"{a}{b}" for a in ("", *"abcdefgh") for b in "abcdefgh"]
SAID = ("disk full", "session opened for user ann", "retry 3 of 5", "Error: no route", "bye")


@pytest.mark.parametrize(
    "head",
    [
        "",
        "2024-05-03 10:00:{n:02} ",
        "2024-05-03T10:00:{n:02}Z INFO ",
        "Jun 14 15:16:{n:02} combo sshd(pam_unix)[{n}93]: ",
        "Jun 14 15:16:{n:02} combo kernel: ",
        "03-17 16:13:38.8{n:02}  1702  2395 D WindowManager: ",
        "081109 2036{n:02} 148 INFO dfs.DataNode$PacketResponder: ",
        "[Sun Dec 04 04:47:{n:02} 2005] [notice] ",
        "- 11178385{n:02} 2005.06.03 R02-M1-N0 2005-06-03-15.42.50.6758{n:02} R02-M1-N0 RAS KERNEL INFO ",
        "1346{n:02} node-2{n} unix.hw state_change 10778047{n:02} 1 ",
    ],
)
def test_the_head_of_a_line_is_told_from_its_message(head: str) -> None:
    messages = [SAID[n % len(SAID)] for n in range(60)]
    lines = [head.format(n=n) + message for n, message in enumerate(messages)]
    layout = LogLayout.detect(lines)
    assert layout.messages(pl.Series(lines)).to_list() == messages


def test_prose_has_no_head() -> None:
    lines = ["The keeper writes down every ship.", "Nobody reads it.", "On Sundays he sleeps until noon."] * 9
    assert LogLayout.detect(lines) == LogLayout(0)


def test_a_line_that_ends_within_the_head_has_an_empty_message() -> None:
    lines = [f"2024-05-03 10:00:{n:02} INFO done" for n in range(50)]
    layout = LogLayout.detect(lines)
    assert layout.messages(pl.Series(["2024-05-03 10:00:00 INFO", "2024-05-03", ""])).to_list() == [
        "",
        "2024-05-03",
        "",
    ]


@given(st.lists(st.text(max_size=60), max_size=20))
def test_any_lines_have_a_layout_and_messages_that_end_them(lines: list[str]) -> None:
    for line, message in zip(lines, LogLayout.detect(lines).messages(pl.Series(lines, dtype=pl.String)), strict=True):
        assert line.endswith(message)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        # One message over and over is no head, whatever it counts or names.
        ([f"2024-05-03 10:00:{n:02} INFO heartbeat ok seq={n}" for n in range(60)], "heartbeat ok seq=0"),
        (
            [f"2024-05-03 10:00:{n:02} INFO login of {'abcdefgh'[n % 8]} was refused" for n in range(60)],
            "login of a was refused",
        ),
        (
            [
                f"2024-05-03 10:00:{n:02} INFO login of u{WORDS[n]} from {WORDS[-n]}.org to group {WORDS[n % 7]}"
                for n in range(60)
            ],
            "login of ua from a.org to group a",
        ),
        (
            [f"Jun 14 15:16:{n:02} combo sshd[{n}]: check pass; user unknown" for n in range(60)],
            "check pass; user unknown",
        ),
        ([f"2024-05-03 10:00:{n:02} queue depth is 7 of 9" for n in range(60)], "queue depth is 7 of 9"),
        # What is quoted is said.
        (
            [
                f'10.0.0.{n} - - [17/May/2015:10:05:{n:02} +0000] "GET /a/{n} HTTP/1.1" 200 17 "-" "curl"'
                for n in range(60)
            ],
            '"GET /a/0 HTTP/1.1" 200 17 "-" "curl"',
        ),
        ([f'level=info msg="{SAID[n % 5]}" took={n}' for n in range(60)], 'level=info msg="disk full" took=0'),
        # The fields of JSON are told apart elsewhere.
        ([f'{{"time": {n}, "message": "{SAID[n % 5]}"}}' for n in range(60)], '{"time": 0, "message": "disk full"}'),
        ([f'{{ "time": {n}, "message": "{SAID[n % 5]}"}}' for n in range(60)], '{ "time": 0, "message": "disk full"}'),
    ],
)
def test_what_is_said_over_and_over_or_quoted_is_no_head(lines: list[str], message: str) -> None:
    layout = LogLayout.detect(lines)
    assert layout.message(lines[0]) == message
    assert layout.messages(pl.Series(lines))[0] == message


@pytest.mark.parametrize(
    ("head", "source"),
    [
        ("2024-05-03T10:00:{n:02}Z INFO ", None),
        ("Jun 14 15:16:{n:02} combo sshd(pam_unix)[{n}93]: ", "sshd(pam_unix)"),
        ("Jun 14 15:16:{n:02} combo kernel: ", "kernel"),
        ("03-17 16:13:38.8{n:02}  1702  2395 D WindowManager: ", "WindowManager"),
        ("081109 2036{n:02} 148 INFO dfs.DataNode$PacketResponder: ", "dfs.DataNode$PacketResponder"),
        ("11178385{n:02} 2005.06.03 R02-M1-N0 RAS {part} INFO ", "KERNEL"),
        ("2024-05-03 10:00:{n:02} [{part}] INFO ", "KERNEL"),
        ("2024-05-03 10:00:{n:02} INFO: ", None),
        ("2024-05-03 10:00:{n:02} gw1 gateway: ", "gateway"),
    ],
)
def test_what_wrote_a_line_is_told(head: str, source: str | None) -> None:
    parts = ("KERNEL", "APP")
    lines = [head.format(n=n, part=parts[n % 2]) + SAID[n % len(SAID)] for n in range(60)]
    layout = LogLayout.detect(lines)
    assert layout.source_of(lines[0]) == source
    assert layout.source_of("") is None


@given(st.lists(st.text(max_size=60), max_size=20), st.integers(0, 5), st.booleans())
def test_lines_at_once_have_the_messages_of_each_line(lines: list[str], columns: int, tagged: bool) -> None:
    layout = LogLayout(columns, columns if tagged else None)
    assert layout.messages(pl.Series(lines, dtype=pl.String)).to_list() == [layout.message(line) for line in lines]
