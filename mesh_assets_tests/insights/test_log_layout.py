"""Where messages begin in the lines of logs of many kinds, without a setting for any."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.insights.log_layout import LogLayout

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
