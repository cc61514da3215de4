"""What lasts for a large part of a log is found by its length, and a day's rhythm is none of it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.earlier_templates import EarlierTemplates
from mesh_assets.insights.log_deviations import DRIFT_PARTS, drifts, longest_gap
from mesh_assets.insights.log_tables import log_batches
from mesh_assets.schemas.outcome import AttachedRows, Outcome
from mesh_assets_tests.insights.chunk_rows import batches, rows
from mesh_assets_tests.insights.log_scenarios import Line, render

HOUR, DAY = 3600.0, 86_400.0


def incidents(lines: list[Line], earlier: dict[str, EarlierTemplates] | None = None) -> list[dict]:
    """The incidents of the log `app.log` with these lines."""
    cut, attached = batches(rows("app.log", render(lines), kind="log", format="log", size=4000)), AttachedRows()
    list(
        log_batches(
            *(cut, cut), dataset="d", slice_key="d.000002", outcome=Outcome(), attached=attached, earlier=earlier
        )
    )
    found = [row for batch in attached.take("log_insights") for row in batch.to_pylist()]
    return [row for row in found if row["type"] == "log_incident"]


def steady(rng: np.random.Generator, days: int, texts: dict[str, int]) -> list[Line]:
    """Messages at random moments, each so many times a day."""
    return [
        (float(at), text)
        for text, a_day in texts.items()
        for at in rng.uniform(0, days * DAY, int(rng.poisson(days * a_day)))
    ]


def test_the_longest_silence_by_far_is_one_though_gaps_of_hours_are_usual() -> None:
    lines = steady(np.random.default_rng(3), 20, {"INFO job started": 8, "INFO job ended": 8})
    lines = [line for line in lines if not 10 * DAY < line[0] < 11.5 * DAY]
    found = incidents(lines)
    assert len(found) == 1 and "no records in 1.6 days" in found[0]["statement"]
    assert abs((found[0]["time_stop"] - found[0]["time_start"]).total_seconds() - 1.5 * DAY) < 0.5 * DAY


def test_a_message_that_comes_ever_more_often_is_named_with_what_was_usual() -> None:
    rng = np.random.default_rng(4)
    lines = steady(rng, 20, {"INFO job started": 30, "WARN retrying lookup of peer": 4})
    lines += [(8 * DAY + 6 * DAY * float(np.sqrt(rng.uniform())), "WARN retrying lookup of peer") for _ in range(120)]
    found = incidents(lines)
    assert len(found) == 1 and "`retrying lookup of peer` came more often for" in found[0]["statement"]
    (drift,) = json.loads(found[0]["value"])["deviations"]
    assert drift["kind"] == "drift" and drift["observed"] > 2.5 * drift["baseline"] > 0
    assert found[0]["time_start"].day >= 3 + 8 and found[0]["time_stop"].day <= 3 + 14


@pytest.mark.parametrize("days", [1, 2, 5])
def test_the_rhythm_of_days_is_no_drift_and_no_silence(days: int) -> None:
    rng = np.random.default_rng(days)
    lines = steady(rng, days, {"INFO request served": 900, "INFO cache hit for page": 300})
    kept = [line for line in lines if rng.uniform() < 0.5 + 0.4 * np.sin(2 * np.pi * line[0] / DAY)]
    assert incidents(kept) == []


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rate=st.floats(0.5, 30))
def test_noise_alone_seldom_drifts_and_a_climb_does(seed: int, rate: float) -> None:
    """Forty messages at once: what is found among them by chance is found in a whole log."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rate, (40, DRIFT_PARTS)).astype(float)
    assert sum(drift is not None for drift in drifts(counts)) <= 1
    climbing = counts[:1].copy()
    climbing[0, 12:26] += rng.poisson(np.linspace(rate, 9 * rate + 6, 14))
    (found,) = drifts(climbing)
    assert found is not None and found[0] < 26 and found[1] >= 20


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), events=st.integers(60, 400))
def test_a_gap_is_told_by_where_it_is(seed: int, events: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 10 * DAY, events))
    at = int(rng.integers(5, events - 5))
    longest = float(np.diff(times).max())
    times[at:] += 6 * longest
    assert longest_gap(times, times) == at
    assert longest_gap(np.arange(events) * HOUR, np.arange(events) * HOUR) is None


def news(late: float) -> list[Line]:
    """A log of ten hours with thirty messages of a sort that begins at `late`."""
    rng = np.random.default_rng(6)
    lines = steady(rng, 1, {"INFO job started": 3000})
    return lines + [(late + 20.0 * i, f"ERROR replica {i} diverged from its peer") for i in range(30)]


def test_a_message_that_no_earlier_slice_had_is_new_even_where_the_slice_begins_with_it() -> None:
    before = {"app.log": EarlierTemplates.of(["job started"])}
    assert "for the first time" in incidents(news(60.0), before)[0]["statement"]
    assert "for the first time" not in str(incidents(news(60.0)))


def test_a_message_of_an_earlier_slice_is_a_burst_and_not_new() -> None:
    lines = news(0.5 * DAY)
    assert "for the first time" in incidents(lines)[0]["statement"]
    before = {"app.log": EarlierTemplates.of(["job started", "replica <*> diverged from its peer"])}
    assert "for the first time" not in str(incidents(lines, before))
    other_log = {"other.log": EarlierTemplates.of(["replica <*> diverged from its peer"])}
    assert "for the first time" in incidents(lines, other_log)[0]["statement"]


def test_a_template_that_learned_since_where_it_varies_is_the_same() -> None:
    earlier = EarlierTemplates.of(["user alice logged in", "took <*> ms"])
    assert earlier.have(("user", "<*>", "logged", "in")) and earlier.have(("took", "<n>", "ms"))
    assert not earlier.have(("user", "alice", "logged", "out")) and not earlier.have(("user", "alice", "logged"))
