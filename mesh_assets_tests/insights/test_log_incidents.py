import json

import pytest

from mesh_assets_tests.insights.chunk_rows import batches, logs_of, rows
from mesh_assets_tests.insights.log_scenarios import INCIDENTS, START, moment, planted_log, render


def incidents(text: str, path: str = "app.log") -> list[dict]:
    made = rows(path, text, kind="log", format="log", size=4000)
    return [row for row in log_rows(made) if row["type"] == "log_incident"]


def log_rows(made: list[dict[str, object]]) -> list[dict]:
    """What stands out in the logs of these chunks, best first."""
    found = [row for batch in logs_of(batches(made)).take("log_insights") for row in batch.to_pylist()]
    return sorted(found, key=lambda row: -row["score"])


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("incident", list(INCIDENTS))
def test_a_planted_incident_is_the_first_finding_with_its_time_and_lines(incident: str, seed: int) -> None:
    text, planted = planted_log(seed, incident, hours=12, a_minute=10)
    found = incidents(text)
    assert planted is not None and found, incident
    first = found[0]
    start, stop = ((first[name] - START).total_seconds() for name in ("time_start", "time_stop"))
    overlap = min(stop, planted.stop) - max(start, planted.start)
    assert overlap >= 0.5 * min(stop - start + 1, planted.stop - planted.start), (incident, first["statement"])
    assert first["score"] >= 0.5
    data = text.encode()
    for citation in first["evidence"]:
        line = data[citation["byte_start"] : citation["byte_stop"]].decode()
        assert line in text and "\n" not in line and line.startswith("2024-05-03")
        assert text[: citation["byte_start"]].count("\n") + 1 == citation["line_start"]
    assert any(planted.words in citation["quote"] for citation in first["evidence"])
    assert len(found) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_an_undisturbed_log_has_no_incident(seed: int) -> None:
    text, _ = planted_log(seed, None, hours=24, a_minute=8)
    assert incidents(text) == []


def test_a_new_error_is_said_to_be_new_and_quoted() -> None:
    text, planted = planted_log(5, "new_template", hours=6)
    first = incidents(text)[0]
    assert planted is not None
    assert "connection pool exhausted" in first["statement"]
    assert "for the first time" in first["statement"]
    assert "instead of almost none" in first["statement"]


def test_a_restless_log_is_not_a_string_of_incidents() -> None:
    """A batch job every half hour is how this log is, not forty-eight findings."""
    lines = [(60.0 * i, f"INFO poll {i} done") for i in range(1440)]
    lines += [(1800.0 * k + j, f"ERROR row {j} of batch {k} rejected") for k in range(48) for j in range(30)]
    assert incidents(render(lines)) == []


def test_one_cause_seen_in_two_logs_is_one_finding() -> None:
    app, planted = planted_log(7, "error_burst", hours=6)
    assert planted is not None
    front = [(20.0 * i, f'10.0.0.{i % 9} "GET /api/cart" 200 {100 + i % 50}') for i in range(1080)]
    front += [(planted.start + 2.0 * i, f'10.0.0.{i % 9} "GET /api/cart" 502 0') for i in range(60)]
    made = rows("app.log", app, kind="log") + rows("front.log", render(front), kind="log")
    found = [row for row in log_rows(made) if row["type"] == "log_incident"]
    assert len(found) == 1
    assert {citation["path"] for citation in found[0]["evidence"]} == {"app.log", "front.log"}


def test_rotated_files_are_one_log() -> None:
    text, _ = planted_log(3, None, hours=12)
    lines = text.splitlines(keepends=True)
    half = len(lines) // 2
    made = rows("app.log.1", "".join(lines[:half]), kind="log") + rows("app.log", "".join(lines[half:]), kind="log")
    levels = [row for row in log_rows(made) if row["type"] == "log_levels"]
    assert len(levels) == 1
    assert f"{len(lines):,} records" in levels[0]["statement"]
    assert not [row for row in log_rows(made) if row["type"] == "log_incident"]


def test_levels_are_counted_and_a_wrong_clock_does_not_stretch_the_log() -> None:
    text = render([(10.0 * i, "ERROR boom failed" if i % 10 == 0 else "INFO all is well") for i in range(1000)])
    text = "1970-01-01 00:00:00.000 INFO clock not set\n" + text
    level = next(row for row in log_rows(rows("a.log", text, kind="log")) if row["type"] == "log_levels")
    assert "1,001 records" in level["statement"] and "100 errors (10%)" in level["statement"]
    assert level["time_start"].year == 2024


def test_secrets_in_log_lines_are_masked_in_findings() -> None:
    secret = "AKIAIOSFODNN7EXAMPLE"
    lines = [(20.0 * i, f"INFO poll {i} done") for i in range(2000)]
    lines += [(20_000.0 + i, f"ERROR upload refused for {secret} password=hunter{i}x") for i in range(60)]
    found = log_rows(rows("a.log", render(lines), kind="log"))
    assert any(row["type"] == "log_incident" for row in found)
    assert secret not in str(found) and "hunter3x" not in str(found)


def test_json_logs_are_read_by_their_message_and_numbers() -> None:
    lines = []
    for i in range(1500):
        took = 4000 + i if 900 <= i < 960 else 30 + i % 7
        stamp = moment(20.0 * i).isoformat()
        lines.append(f'{{"ts":"{stamp}","level":"info","msg":"request served","took_ms":{took}}}\n')
    found = incidents("".join(lines))
    assert len(found) == 1
    assert "took_ms" in found[0]["statement"] and "rose" in found[0]["statement"]


def test_a_log_without_times_is_counted_only() -> None:
    found = log_rows(rows("plain.log", "ERROR x failed\nINFO fine\n" * 200, kind="log"))
    assert any(row["type"] == "log_levels" for row in found)
    assert not any(row["type"] == "log_incident" for row in found)


def test_the_series_to_plot_marks_the_incident() -> None:
    text, planted = planted_log(21, "error_burst", hours=6)
    assert planted is not None
    series = json.loads(incidents(text)[0]["value"])["series"]
    first, last = series["marked"]
    assert len(series["x"]) == len(series["y"]) and 0 <= first <= last < len(series["y"])
    assert max(series["y"]) in series["y"][first : last + 1]
    assert series["unit"]


def test_a_message_that_came_only_after_the_last_whole_bucket_is_no_fault() -> None:
    lines = [(2.0 * i, f"INFO poll {i} done") for i in range(5000)]
    lines += [(10_000 + 0.2 * i, f"ERROR disk {i} lost") for i in range(6)]
    found = log_rows(rows("a.log", render(lines), kind="log"))
    assert any("6 errors" in row["statement"] for row in found)
