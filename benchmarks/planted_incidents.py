"""The generator of `incidents.py`: writes one incident of a stated kind into a real log, in the log's own form.

Eight variants, two of each kind; four of them were looked at while detectors were tuned (`TUNED`), four were not.
Places and sizes are drawn from a seed; sizes follow from the log (its span, its mean rates, its longest natural gap),
never from what a detector needs. A planted line is a real line of the log with another stamp, or with another message.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

KINDS = ("burst", "new template", "silence", "drift")
# What an incident of each kind may be called by a finding.
ACCEPTED = {
    "burst": ("burst", "new"),
    "new template": ("new", "burst"),
    "silence": ("silence",),
    "drift": ("shift", "drift", "burst"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How stamps are written; all of those that stand in the head of a line are written anew.
_STAMPS = (
    (re.compile(r"\b\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d\.\d{6}\b"), "%Y-%m-%d-%H.%M.%S.%f"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{3})?"), "%Y-%m-%d %H:%M:%S"),
    (re.compile(r"\b\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d"), "%d/%b/%Y:%H:%M:%S"),
    (re.compile(r"(?<=\[)[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\b"), "%a %b %d %H:%M:%S %Y"),
    (re.compile(r"\b\d{8}-\d{1,2}:\d{1,2}:\d{1,2}:\d{1,3}\b"), "healthapp"),
    (re.compile(r"\b\d\d\.\d\d \d\d:\d\d:\d\d\b"), "%m.%d %H:%M:%S"),
    (re.compile(r"\b\d\d/\d\d/\d\d \d\d:\d\d:\d\d\b"), "%y/%m/%d %H:%M:%S"),
    (re.compile(r"\b\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\b"), "%m-%d %H:%M:%S"),
    (re.compile(r"^\d{6} \d{6}\b"), "%y%m%d %H%M%S"),
    (re.compile(r"(?<![A-Z][a-z]{2} )\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\b"), "syslog"),
    (re.compile(r"\b[A-Z][a-z]{2} \d \d\d:\d\d:\d\d\b"), "syslog short"),
    (re.compile(r"\b\d{4}\.\d\d\.\d\d\b"), "%Y.%m.%d"),
    (re.compile(r"(?<=[ -])1\d{9}\b"), "epoch"),
)
_HEAD = 120  # characters in which stamps stand
_NUMBER = re.compile(r"(?<=[\s=])\d{2,9}(?=\s|$)")


@dataclass(frozen=True)
class Log:
    """A log as the product reads it: lines with their moments (seconds), in order, and what the mined template says.

    `heads` are the characters before the message of each line; `templates` the id and `wordings` the text of its
    template; `shifts` are seconds that the stamp of each line, as written, is ahead of its moment (it may not be UTC).
    """

    name: str
    lines: list[str]
    times: NDArray[np.float64]
    heads: list[int]
    templates: list[str]
    levels: list[str | None]
    shifts: NDArray[np.float64]

    @property
    def span(self) -> float:
        """Seconds from the first to the last line."""
        return float(self.times[-1] - self.times[0])

    @property
    def days(self) -> float:
        """The same in days."""
        return self.span / 86_400


@dataclass(frozen=True)
class Planted:
    """An incident from `start` to `stop` (seconds since 1970 UTC); `lines` carry it, none where all went silent."""

    kind: str
    variant: str
    start: float
    stop: float
    lines: tuple[str, ...]
    content: list[str]
    times: NDArray[np.float64]


def stamped(line: str, moment: float, shift: float) -> str:
    """`line` as it would have been written at `moment` (seconds), by clocks that are `shift` seconds ahead of UTC."""
    at = _EPOCH + timedelta(seconds=moment + shift)
    head, rest = line[:_HEAD], line[_HEAD:]
    for pattern, form in _STAMPS:
        if form == "epoch":
            head = pattern.sub(str(int(moment)), head)
        else:
            head = pattern.sub(lambda match, form=form: _written(match[0], form, at), head)
    return head + rest


def _written(old: str, form: str, at: datetime) -> str:
    if form.startswith("syslog"):
        return f"{at:%b} {at.day:>{1 if form.endswith('short') and at.day < 10 else 2}} {at:%H:%M:%S}"
    if form == "healthapp":
        return f"{at:%Y%m%d}-{at.hour}:{at.minute}:{at.second}:{at.microsecond // 1000}"
    text = at.strftime(form)
    if form == "%a %b %d %H:%M:%S %Y" and old[8] == " ":
        text = f"{at:%a %b} {at.day:>2} {at:%H:%M:%S %Y}"
    return text + (old[len(text)] + f"{at.microsecond // 1000:03d}" if len(old) == len(text) + 4 else "")


# --- what is planted ------------------------------------------------------------------------------------------------

_ERRORS = (
    "replication to shard {n} failed: peer closed the connection after {m} ms",
    "cannot allocate {m} pages for zone {n}: out of memory",
    "certificate of upstream {n} rejected: expired {m} hours ago",
    "checksum mismatch in segment {n}, expected {m}",
    "lease {n} lost, fencing writer after {m} retries",
)
_NOTICES = (
    "compaction pass {n} finished, {m} segments kept",
    "warming cache partition {n} with {m} keys",
    "rebalancing tenant {n} across {m} queues",
    "snapshot {n} uploaded in {m} parts",
    "feature gate {n} evaluated for {m} clients",
)


def _place(log: Log, rng: np.random.Generator, low: float, high: float) -> tuple[float, float]:
    """Start and stop of an incident that lasts a share of the span between `low` and `high`, drawn on a log scale."""
    length = log.span * float(np.exp(rng.uniform(np.log(low), np.log(high))))
    start = log.times[0] + log.span * 0.15 + float(rng.uniform()) * (log.span * 0.75 - length)
    return float(start), float(start + length)


def _common(log: Log, rng: np.random.Generator, least: int, many: int = 1) -> list[str] | None:
    """Templates of at least `least` lines, drawn alike; None where there are too few."""
    may = sorted(template for template, count in Counter(log.templates).items() if template and count >= least)
    return None if len(may) < many else [may[i] for i in rng.choice(len(may), many, replace=False)]


def _of(log: Log, template: str) -> list[int]:
    return [row for row, each in enumerate(log.templates) if each == template]


def _with(log: Log, kind: str, variant: str, times: Sequence[float], lines: Sequence[str], stop: float) -> Planted:
    """The log with lines added at `times`, in order."""
    near = [min(bisect_left(log.times, time), len(log.lines) - 1) for time in sorted(times)]
    added = zip(sorted(zip(times, lines, strict=True)), near, strict=True)
    new = [(time, stamped(line, time, float(log.shifts[at]))) for (time, line), at in added]
    every = np.concatenate((log.times, [time for time, _ in new]))
    order = np.argsort(every, kind="stable")
    content = [*log.lines, *(line for _, line in new)]
    shown = tuple(dict.fromkeys(line for _, line in new))
    return Planted(kind, variant, new[0][0], stop, shown, [content[i] for i in order.tolist()], every[order])


def _without(log: Log, kind: str, variant: str, gone: set[int], start: float, stop: float, shown: str) -> Planted:
    kept = [row for row in range(len(log.lines)) if row not in gone]
    lines = (shown,) if shown else ()
    return Planted(kind, variant, start, stop, lines, [log.lines[row] for row in kept], log.times[kept])


def flat_burst(log: Log, rng: np.random.Generator) -> Planted | None:
    """One message comes 60 to 200 times more, and eight times as often as on average, spread evenly."""
    chosen = _common(log, rng, 5)
    if chosen is None:
        return None
    start, stop = _place(log, rng, 1 / 300, 1 / 50)
    rows = _of(log, chosen[0])
    count = int(rng.integers(60, 200)) + int(8 * len(rows) * (stop - start) / log.span)
    lines = [log.lines[rows[int(i)]] for i in rng.integers(0, len(rows), count)]
    return _with(log, "burst", "one message, flat", rng.uniform(start, stop, count).tolist(), lines, stop)


def cascade(log: Log, rng: np.random.Generator) -> Planted | None:
    """Three messages together, as many in all, ever more of them until it ends at once."""
    chosen = _common(log, rng, 5, 3)
    if chosen is None:
        return None
    start, stop = _place(log, rng, 1 / 300, 1 / 50)
    times: list[float] = []
    lines: list[str] = []
    for template in chosen:
        rows = _of(log, template)
        count = int(rng.integers(25, 70)) + int(8 * len(rows) * (stop - start) / log.span)
        times += (start + (stop - start) * np.sqrt(rng.uniform(0, 1, count))).tolist()
        lines += [log.lines[rows[int(i)]] for i in rng.integers(0, len(rows), count)]
    return _with(log, "burst", "three messages, growing", times, lines, stop)


def _message(log: Log, row: int, text: str) -> str:
    """Line `row` of the log with another message; of an access log with another request."""
    line = log.lines[row]
    head = line[: log.heads[row]]
    quoted = re.search(r'\] "', line)
    if quoted is not None:
        number, amount = re.findall(r"\d+", text)
        verb = "PURGE" if "failed" in text or "cannot" in text else "PATCH"
        words = re.sub(r"[^a-z]+", "-", text.split(",")[0].split(":")[0].lower()).strip("-")
        request = f'"{verb} /internal/{words} HTTP/1.1" {"507" if verb == "PURGE" else "202"} {amount}'
        return f'{line[: quoted.start() + 2]}{request} "-" "agent/{number}"'
    return head + text


def _new(log: Log, rng: np.random.Generator, texts: Sequence[str], share: tuple[float, float], variant: str) -> Planted:
    start, stop = _place(log, rng, *share)
    text = texts[int(rng.integers(0, len(texts)))]
    failing = [row for row, level in enumerate(log.levels) if level in ("ERROR", "FATAL", "CRITICAL")]
    usual = [row for row, level in enumerate(log.levels) if level in (None, "INFO", "NOTICE", "DEBUG")]
    rows = (failing if texts is _ERRORS else usual) or list(range(len(log.lines)))
    count = int(rng.integers(15, 60))
    lines = [
        _message(log, rows[int(i)], text.format(n=rng.integers(1, 99), m=rng.integers(100, 9000)))
        for i in rng.integers(0, len(rows), count)
    ]
    return _with(log, "new template", variant, rng.uniform(start, stop, count).tolist(), lines, stop)


def new_error(log: Log, rng: np.random.Generator) -> Planted | None:
    """An error that was never seen before, 15 to 60 times within a hundredth of the log or less."""
    return _new(log, rng, _ERRORS, (1 / 400, 1 / 100), "an error")


def new_notice(log: Log, rng: np.random.Generator) -> Planted | None:
    """A message without alarming words or level that was never seen before, 15 to 60 times in up to a fifteenth."""
    return _new(log, rng, _NOTICES, (1 / 60, 1 / 15), "a notice")


def _quiet(log: Log, rng: np.random.Generator, rows: Sequence[int]) -> tuple[float, float] | None:
    """A silence twice as long as the longest natural one; None where that is over a quarter of the log."""
    times = log.times[list(rows)]
    length = 2 * float(np.diff(times).max()) if len(times) > 1 else log.span
    length = max(length, 40 * log.span / len(times))
    if length > log.span / 4:
        return None
    begins = [time for time in times.tolist() if 0.15 <= (time - log.times[0]) / log.span <= 0.85 - length / log.span]
    if not begins:
        return None
    start = begins[int(rng.integers(0, len(begins)))]
    return start, start + length


def all_silent(log: Log, rng: np.random.Generator) -> Planted | None:
    """Nothing is written, twice as long as ever."""
    found = _quiet(log, rng, range(len(log.lines)))
    if found is None:
        return None
    gone = {row for row, time in enumerate(log.times.tolist()) if found[0] < time < found[1]}
    return _without(log, "silence", "everything", gone, *found, "")


def one_silent(log: Log, rng: np.random.Generator) -> Planted | None:
    """One message that came at least a hundred times stops, twice as long as ever."""
    may = sorted(template for template, count in Counter(log.templates).items() if template and count >= 100)
    for i in rng.permutation(len(may)).tolist():
        rows = _of(log, may[i])
        found = _quiet(log, rng, rows) if len(rows) < 0.9 * len(log.lines) else None
        if found is not None:
            gone = {row for row in rows if found[0] < log.times[row] < found[1]}
            return _without(log, "silence", "one message", gone, *found, log.lines[rows[0]])
    return None


def rate_drift(log: Log, rng: np.random.Generator) -> Planted | None:
    """A message of at least fifty lines comes ever more often, up to eight times its mean rate, then as before."""
    chosen = _common(log, rng, 50)
    if chosen is None:
        return None
    start, stop = _place(log, rng, 1 / 5, 2 / 5)
    rows = _of(log, chosen[0])
    count = max(30, round(3.5 * len(rows) * (stop - start) / log.span))
    times = start + (stop - start) * np.sqrt(rng.uniform(0, 1, count))
    lines = [log.lines[rows[int(i)]] for i in rng.integers(0, len(rows), count)]
    planted = _with(log, "drift", "a rate", times.tolist(), lines, stop)
    return Planted(**{**_fields(planted), "start": start})


def value_drift(log: Log, rng: np.random.Generator) -> Planted | None:
    """The last number of a message climbs to six times itself, then is as before.

    The message has a hundred lines at least, twenty of them within the drift, and its numbers differ, but the middle
    half of them by no more than the sixfold.
    """
    start, stop = _place(log, rng, 1 / 5, 2 / 5)
    may: list[list[int]] = []
    for template, count in sorted(Counter(log.templates).items()):
        rows = _of(log, template) if template and count >= 100 else []
        rows = [row for row in rows if _NUMBER.search(log.lines[row], log.heads[row])]
        values = [float(_NUMBER.findall(log.lines[row], log.heads[row])[-1]) + 1 for row in rows]
        within = [row for row in rows if start <= log.times[row] <= stop]
        if len(rows) < 100 or len(within) < 20 or len(set(values)) < 10:
            continue
        low, high = np.quantile(values, (0.25, 0.75))
        steps = np.sign(np.diff(values))
        if high <= 6 * low and min((steps > 0).mean(), (steps < 0).mean()) > 0.1:
            may.append(within)
    if not may:
        return None
    lines = list(log.lines)
    rows = may[int(rng.integers(0, len(may)))]
    for row in rows:
        match = list(_NUMBER.finditer(lines[row], log.heads[row]))[-1]
        value = round(float(match[0]) * (1 + 5 * (log.times[row] - start) / (stop - start)))
        lines[row] = f"{lines[row][: match.start()]}{value}{lines[row][match.end() :]}"
    return Planted("drift", "a value", start, stop, (lines[rows[0]],), lines, log.times)


def _fields(planted: Planted) -> dict[str, object]:
    return {name: getattr(planted, name) for name in planted.__dataclass_fields__}


Generator = Callable[[Log, np.random.Generator], Planted | None]
# Looked at while detectors were tuned, and not.
TUNED: tuple[Generator, ...] = (flat_burst, new_error, all_silent, rate_drift)
UNSEEN: tuple[Generator, ...] = (cascade, new_notice, one_silent, value_drift)


def prefix(planted: Planted, moment: float) -> list[str]:
    """What was written up to `moment`."""
    return planted.content[: bisect_left(planted.times.tolist(), moment + 1e-9)]
