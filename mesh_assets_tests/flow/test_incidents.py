"""The report names incidents that nobody told it of, with their time, and opens the lines."""

from __future__ import annotations

import os
import random
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh_assets.cli.samples import SAMPLES
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.schemas.citations import Citation
from mesh_assets.storage.opening import open_citation
from mesh_assets_tests.flow.location import Location

# Not this year: syslog writes none, so it must come from the file's last modification.
DAY = datetime(2024, 3, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def _report(location: Location, dataset: str) -> str:
    location.settle()
    return (location.settings.state / "reports" / dataset / "index.md").read_text()


def _opened(location: Location, report: str) -> list[str]:
    """The lines that the citations of the first finding open."""
    first = report.split("### ")[1]
    citations = re.findall(r"`mesh show (\S+)`", first)
    area = DropArea(location.settings.drops, 0)
    return [open_citation(Citation.parse(text), location.lake, area).content.decode() for text in citations]


def _first_span(report: str) -> tuple[datetime, datetime]:
    """From when to when the first finding says that something happened."""
    found = re.search(
        r"(\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?) to (?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d(?::\d\d)?)", report
    )
    assert found, report
    day, start, other_day, stop = found.groups()

    def moment(date: str, clock: str) -> datetime:
        return datetime.fromisoformat(f"{date}T{clock}").replace(tzinfo=UTC)

    return moment(day, start), moment(other_day or day, stop)


def test_the_planted_incident_of_the_samples_is_named_first_and_opens(tmp_path: Path) -> None:
    location = Location(tmp_path, {"encoder": FakeEncoder()})
    shutil.copytree(SAMPLES / "shop-service", location.settings.drops / "shop-service")
    log = (SAMPLES / "shop-service" / "shop.log").read_text()
    errors = re.findall(r"^(\S+ \S+),\d+ ERROR", log, re.MULTILINE)
    begin, end = (datetime.fromisoformat(f"{text}+00:00") for text in (errors[0], errors[-1]))
    report = _report(location, "shop-service")
    start, stop = _first_span(report.split("### ")[1])
    assert abs(start - begin) <= MINUTE
    assert abs(stop - end) <= MINUTE
    assert "database is locked" in report.split("### ")[1] or "order failed" in report.split("### ")[1]
    assert "ERROR" in _opened(location, report)[0]


def _gateway_log(rng: random.Random, incident: str, begin: datetime, end: datetime) -> str:
    """Six hours of a payment gateway in syslog style; between `begin` and `end` something is wrong with it."""
    lines: list[str] = []
    now = DAY + timedelta(hours=6)
    stop = now + timedelta(hours=6)
    while now < stop:
        now += timedelta(seconds=rng.expovariate(1 / 3))
        inside = begin <= now <= end
        if incident == "silence" and inside:
            continue
        took = rng.randint(30, 60) * (40 if incident == "latency" and inside else 1)
        stamp = now.strftime("%b %e %H:%M:%S")
        host = rng.choice(("gw1", "gw2"))
        if rng.random() < 0.1:
            lines.append(f"{stamp} {host} sshd[{rng.randint(900, 999)}]: session opened for user deploy")
        else:
            lines.append(f"{stamp} {host} gateway[411]: POST /charge 200 from 10.0.{rng.randint(0, 9)}.7 in {took} ms")
        if incident == "message" and inside and rng.random() < 0.3:
            lines.append(f"{stamp} {host} kernel: nf_conntrack: table full, dropping packet")
    return "\n".join(lines) + "\n"


def _write_as_of(path: Path, log: str) -> None:
    """A file that was last written shortly after the log's end."""
    path.write_text(log)
    written = (DAY + timedelta(hours=12, minutes=1)).timestamp()
    os.utime(path, (written, written))


@pytest.mark.parametrize(("incident", "seed"), [("silence", 11), ("latency", 23), ("message", 37)])
def test_an_incident_of_another_type_in_another_log_is_named_too(tmp_path: Path, incident: str, seed: int) -> None:
    rng = random.Random(seed)
    begin = DAY + timedelta(hours=8, minutes=rng.randint(0, 150))
    end = begin + timedelta(minutes=rng.randint(8, 20))
    location = Location(tmp_path, {"encoder": FakeEncoder()})
    folder = location.settings.drops / "gateway"
    folder.mkdir()
    _write_as_of(folder / "messages", _gateway_log(rng, incident, begin, end))
    report = _report(location, "gateway")
    start, stop = _first_span(report.split("### ")[1])
    assert abs(start - begin) <= 3 * MINUTE
    assert abs(stop - end) <= 3 * MINUTE
    assert _opened(location, report)
    if incident == "message":
        assert any("table full" in text for text in _opened(location, report))


def test_an_ordinary_log_has_no_incident(tmp_path: Path) -> None:
    location = Location(tmp_path, {"encoder": FakeEncoder()})
    folder = location.settings.drops / "gateway"
    folder.mkdir()
    never = datetime(2030, 1, 1, tzinfo=UTC)
    _write_as_of(folder / "messages", _gateway_log(random.Random(5), "none", never, never))
    assert "Log incident" not in _report(location, "gateway")
