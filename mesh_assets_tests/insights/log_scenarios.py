"""Synthetic logs with a daily rhythm, ordinary noise and, on demand, one planted incident. Seeded throughout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

Line = tuple[float, str]
START = datetime(2024, 5, 3, tzinfo=UTC)
PATHS = ["/api/orders", "/api/cart", "/login", "/static/app.js", "/api/items"]
NAMES = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"]


@dataclass(frozen=True)
class Planted:
    """When the incident was, in seconds from the start of the log, and words of its lines."""

    start: float
    stop: float
    words: str


def moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def render(lines: list[Line]) -> str:
    out = []
    for at, text in sorted(lines):
        stamp = moment(at)
        out.append(f"{stamp:%Y-%m-%d %H:%M:%S}.{stamp.microsecond // 1000:03d} {text}\n")
    return "".join(out)


def background(rng: np.random.Generator, *, hours: float = 24, a_minute: float = 20) -> list[Line]:
    """Requests whose rate follows the hour of the day, heartbeats, warnings, single errors."""
    span = hours * 3600
    lines: list[Line] = []
    many = rng.poisson(span / 60 * a_minute * 2)
    for at in rng.uniform(0, span, many):
        if rng.random() > 0.5 + 0.4 * np.sin(2 * np.pi * (at / 86400 - 0.25)):
            continue
        name, path = NAMES[rng.integers(10)], PATHS[rng.integers(5)]
        took = max(1, round(float(rng.lognormal(3.5, 0.5))))
        lines.append((at, f"INFO [http-{rng.integers(8)}] GET {path}/{rng.integers(999)} took {took} ms user={name}"))
        if rng.random() < 0.02:
            lines.append((at + 0.1, f"WARN [http-{rng.integers(8)}] slow query on table orders: {took * 20} ms"))
        if rng.random() < 0.002:
            lines.append((at + 0.2, f"ERROR [http-{rng.integers(8)}] request {rng.integers(1e6)} failed: timeout"))
    beats = np.arange(0, span, 30) + rng.normal(0, 0.5, len(np.arange(0, span, 30)))
    lines += [
        (max(0.0, float(at)), f"INFO heartbeat seq={i} queue depth {rng.integers(3, 9)}") for i, at in enumerate(beats)
    ]
    return lines


def error_burst(rng: np.random.Generator, lines: list[Line], at: float) -> Planted:
    length = rng.uniform(120, 600)
    for t in rng.uniform(at, at + length, int(rng.integers(60, 300))):
        lines.append((float(t), f"ERROR [http-{rng.integers(8)}] request {rng.integers(1e6)} failed: timeout"))
    return Planted(at, at + length, "failed: timeout")


def new_template(rng: np.random.Generator, lines: list[Line], at: float) -> Planted:
    length = rng.uniform(60, 900)
    for t in rng.uniform(at, at + length, int(rng.integers(15, 60))):
        lines.append((float(t), f"ERROR [pool-{rng.integers(4)}] connection pool exhausted after {rng.integers(30)} s"))
    return Planted(at, at + length, "connection pool exhausted")


def silence(rng: np.random.Generator, lines: list[Line], at: float) -> Planted:
    length = rng.uniform(900, 3600)
    lines[:] = [line for line in lines if not at <= line[0] < at + length]
    return Planted(at, at + length, "")


def template_silence(rng: np.random.Generator, lines: list[Line], at: float) -> Planted:
    length = rng.uniform(1800, 5400)
    lines[:] = [line for line in lines if not (at <= line[0] < at + length and "heartbeat" in line[1])]
    return Planted(at, at + length, "heartbeat")


def latency(rng: np.random.Generator, lines: list[Line], at: float) -> Planted:
    length, factor = rng.uniform(300, 1800), rng.uniform(5, 60)
    for i, (t, text) in enumerate(lines):
        if at <= t < at + length and " took " in text:
            head, tail = text.split(" took ")
            number, rest = tail.split(" ", 1)
            lines[i] = (t, f"{head} took {round(int(number) * factor)} {rest}")
    return Planted(at, at + length, " took ")


def drift(rng: np.random.Generator, lines: list[Line], at: float) -> Planted:
    """Latency that climbs slowly to ten times, for two hours."""
    length = 7200.0
    for i, (t, text) in enumerate(lines):
        if at <= t < at + length and " took " in text:
            head, tail = text.split(" took ")
            number, rest = tail.split(" ", 1)
            lines[i] = (t, f"{head} took {round(int(number) * (1 + 9 * (t - at) / length))} {rest}")
    return Planted(at, at + length, " took ")


def volume(rng: np.random.Generator, lines: list[Line], at: float) -> Planted:
    length = rng.uniform(180, 1200)
    inside = [line for line in lines if at <= line[0] < at + length and "GET" in line[1]]
    for _ in range(int(rng.integers(5, 12))):
        lines += [(float(rng.uniform(at, at + length)), text) for _, text in inside]
    return Planted(at, at + length, "GET")


Incident = Callable[[np.random.Generator, list[Line], float], Planted]
INCIDENTS: dict[str, Incident] = {
    f.__name__: f for f in (error_burst, new_template, silence, template_silence, latency, drift, volume)
}


def planted_log(
    seed: int, incident: str | None, *, hours: float = 24, a_minute: float = 20
) -> tuple[str, Planted | None]:
    """A log and what was planted in it, at a seeded time in the middle eight tenths."""
    rng = np.random.default_rng(seed)
    lines = background(rng, hours=hours, a_minute=a_minute)
    planted = None
    if incident is not None:
        planted = INCIDENTS[incident](rng, lines, float(rng.uniform(0.1, 0.85)) * hours * 3600)
    return render(lines), planted
