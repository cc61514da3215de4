"""Numbers, times and commands as a person reads or pastes them."""

from __future__ import annotations

import shlex
import subprocess
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.reports.prose import count, duration, figure, place, show_command, size, span, visible
from mesh_assets_tests.reports.samples import START, citation


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 B"), (999, "999 B"), (12_345_678, "12.3 MB"), (999_999, "1 MB"), (5e14, "500 TB")]
)
def test_sizes(number: float, shown: str) -> None:
    assert size(number) == shown


@pytest.mark.parametrize(("number", "shown"), [(1234, "1,234"), (0.12345, "0.123"), (1234.56, "1,234.6"), (-2, "-2")])
def test_numbers(number: float, shown: str) -> None:
    assert count(number) == shown


def test_figures_have_the_unit_of_their_name() -> None:
    assert figure(3_100_000, "bytes") == "3.1 MB"
    assert figure(5400, "seconds") == "1 h 30 min"
    assert figure(5400, "rows") == "5,400"


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (timedelta(days=2, hours=3, minutes=5), "2 d 3 h"),
        (timedelta(days=1, minutes=5), "1 d"),
        (timedelta(seconds=45), "45 s"),
        (timedelta(milliseconds=250), "0.25 s"),
    ],
)
def test_durations_have_two_units_at_most(length: timedelta, shown: str) -> None:
    assert duration(length) == shown


def test_a_span_names_the_second_day_only_where_it_differs() -> None:
    assert span(START, START + timedelta(minutes=5)) == "2024-03-14 10:00:00 to 10:05:00 UTC (5 min)"
    assert span(START, START + timedelta(days=1)) == "2024-03-14 10:00:00 to 2024-03-15 10:00:00 UTC (1 d)"
    assert span(START, None) == "2024-03-14 10:00:00 UTC"
    assert span(None, None) == ""


def test_a_place_without_a_line_names_bytes() -> None:
    assert place(citation(line=7)) == "app.log, line 7"
    assert place(citation(line=0)) == "app.log, bytes 0 to 14"


def test_line_ends_of_windows_are_plain_and_lone_carriage_returns_are_seen() -> None:
    assert visible("a\r\nb\rc") == "a\nb\\x0dc"


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12))
def test_a_pasted_command_passes_the_citation_and_nothing_else(path: str) -> None:
    cited = citation(path=path)
    command = show_command(cited)
    assert "\n" not in command
    assert visible(command) == command
    arguments = command.removeprefix("mesh show ")
    # bash itself says what the pasted text amounts to.
    read = subprocess.run(["bash", "-c", f"printf '%s\\0' {arguments}"], capture_output=True, check=True, timeout=10)
    assert read.stdout.split(b"\0")[:-1] == [str(cited).encode()]


def test_an_ordinary_path_needs_no_escapes() -> None:
    assert shlex.split(show_command(citation(path="my logs/app.log"))) == [
        "mesh",
        "show",
        "shop/my logs/app.log:700-714@ab12cd34ef56",
    ]
