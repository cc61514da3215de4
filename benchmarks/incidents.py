"""Incidents planted into real logs: found or missed, false alarms a day, time until they would be known.

    python benchmarks/incidents.py --data FOLDER [--seeds 3] [--part tune|report|all] [--variants tuned|unseen|all]

Every `*.log` below FOLDER that the product finds moments in over a day or more; others are named and left out, as are
logs whose stamps the generator cannot write. What is planted is in `planted_incidents.py`. Each planted log goes the
product's own way: chunks, records and templates, findings of type `log_incident`.

A planting is found where a finding overlaps it, is no more than five times as long, and has a deviation of its kind
that overlaps it and names its template (of a silence of everything: the records). Every other finding is a false alarm,
those that the log has without any planting as well (they are shown apart: some are real incidents of the log, but
nobody judged them). False alarms a day are the mean over logs, so that years of a quiet log do not hide those of a day.
Lead time is from the start of the planting until a reader of all that was written up to then has the finding.
Detectors were tuned on the logs and variants of `TUNED_LOGS` and `TUNED`.

Beside that: what comes before failures, rules of the first half of each log judged on the second.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.planted_incidents import ACCEPTED, KINDS, TUNED, UNSEEN, Log, Planted, prefix, stamped
from benchmarks.taken_in import source_of
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.insights.known_templates import Room
from mesh_assets.insights.log_incidents import template_text
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_precursors import Points, mine, tally
from mesh_assets.insights.log_reader import LogReader
from mesh_assets.insights.log_series import LogSeries
from mesh_assets.insights.log_tables import BATCH_ROWS, log_batches
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.insights import CHUNK_INSIGHTS
from mesh_assets.schemas.outcome import AttachedRows, Outcome

# As in `logs.py`, whose rules were made on these.
TUNED_LOGS = ("Android", "BGL", "HPC", "Linux")
DAY = 86_400
_KEY = "benchmark.000001"
_ZONES = tuple(hours for hours in range(-12, 15) if hours)
_FRACTION = re.compile(r"(?<=\d\d[.:]\d\d)\.\d{6}")
# Shares of a planting after which it is looked for.
_STEPS = (0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 1.5)


def chunks_of(name: str, lines: Sequence[str], mtime_ns: int) -> list[pa.RecordBatch]:
    """The chunks of a log of these lines."""
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    source = replace(source_of(f"{name}.log", content, mtime_ns=mtime_ns), kind="log", format="plain", encoding="utf-8")
    made = chunk_batches([source], slice_key=_KEY, chunk_tokens=256, outcome=Outcome())
    table = pa.Table.from_batches(list(made), CHUNKS.schema).combine_chunks()
    return table.to_batches(max_chunksize=BATCH_ROWS)


@dataclass(frozen=True)
class Said:
    """What the product says of a log: rows of `LOG_EVENTS`, incidents (rows of `LOG_INSIGHTS`)."""

    events: list[dict[str, Any]]
    incidents: list[dict[str, Any]]


def said_of(name: str, lines: Sequence[str], mtime_ns: int) -> Said:
    """The product's own way from lines to findings."""
    batches, attached = chunks_of(name, lines, mtime_ns), AttachedRows()
    written = log_batches(batches, batches, dataset="benchmark", slice_key=_KEY, outcome=Outcome(), attached=attached)
    events = [
        row for batch in written for row in batch.select(["byte_start", "time", "level", "template_id"]).to_pylist()
    ]
    said = [row for batch in attached.take("log_insights") for row in batch.to_pylist()]
    return Said(events, [row | {"value": json.loads(row["value"])} for row in said if row["type"] == "log_incident"])


def load(path: Path) -> Log | str:
    """The log, or why it is left out."""
    lines = [
        line.rstrip("\r") for line in path.read_bytes().decode("utf-8", "surrogateescape").split("\n") if line.strip()
    ]
    events = {row["byte_start"]: row for row in said_of(path.stem, lines, path.stat().st_mtime_ns).events}
    at, rows, held = 0, [], None
    for line in lines:
        held = events.get(at, held)
        rows.append(held)
        at += len(line.encode("utf-8", "surrogateescape")) + 1
    kept = [i for i, row in enumerate(rows) if row is not None and row["time"] is not None]
    if len(kept) < 0.9 * len(lines):
        return "most of its records have no moment"
    times = np.array([cast(datetime, rows[i]["time"]).timestamp() for i in kept])
    order = np.argsort(times, kind="stable").tolist()
    layout = LogLayout.detect(lines[:1000])
    texts = [lines[i] for i in kept]
    heads = [len(text) - len(layout.message(text)) for text in texts]
    shifts = [_shift_of(texts[i], float(times[i])) for i in order]
    log = Log(
        path.stem,
        [texts[i] for i in order],
        times[order],
        [heads[i] for i in order],
        [cast("Any", rows[kept[i]])["template_id"] or "" for i in order],
        [cast("Any", rows[kept[i]])["level"] for i in order],
        np.nan_to_num(np.array(shifts)),
    )
    if log.span < DAY:
        return f"spans {log.span / 3600:.1f} hours"
    return "its stamps cannot be written back" if np.isnan(shifts).mean() > 0.05 else log


def _shift_of(line: str, moment: float) -> float:
    """Seconds that the stamp of a line is ahead of its moment, in whole hours; NaN where it cannot be written back."""
    wanted = _FRACTION.sub("", line)
    for hours in (0, *_ZONES):
        if _FRACTION.sub("", stamped(line, moment, 3600.0 * hours)) == wanted:
            return 3600.0 * hours
    return math.nan


def matches(finding: dict[str, Any], planted: Planted) -> bool:
    """Whether a finding is the planted incident: its time, kind and template."""
    start, stop = finding["time_start"].timestamp(), finding["time_stop"].timestamp()
    if not _overlap(start, stop, planted) or stop - start > 5 * (planted.stop - planted.start):
        return False
    return any(
        deviation["kind"] in ACCEPTED[planted.kind]
        and _overlap(*(datetime.fromisoformat(deviation[name]).timestamp() for name in ("start", "stop")), planted)
        and (_names(deviation["what"], planted.lines) if planted.lines else deviation["what"] == "records")
        for deviation in finding["value"]["deviations"]
    )


def _overlap(start: float, stop: float, planted: Planted) -> bool:
    return start <= planted.stop and stop >= planted.start


def _names(what: str, lines: Sequence[str]) -> bool:
    """Whether a template is that of one of the lines: its words come in the line, in their order."""
    parts = [part.strip() for part in what.split("…") if any(c.isalpha() for c in part)]
    for line in lines:
        at = 0
        for part in parts:
            found = line.replace("`", "'").find(part, at)
            at = found + len(part) if found >= 0 else len(line) + 1
            if at > len(line):
                break
        if parts and at <= len(line):
            return True
    return False


def lead_time(name: str, planted: Planted, mtime_ns: int) -> float:
    """Seconds from the start of a planting that is found until it is known."""
    length = planted.stop - planted.start
    for share in _STEPS:
        moment = planted.start + share * length
        if moment >= planted.times[-1]:
            break
        if any(matches(found, planted) for found in said_of(name, prefix(planted, moment), mtime_ns).incidents):
            return share * length
    return float(planted.times[-1] - planted.start)


@dataclass(frozen=True)
class Run:
    """One planting: whether it was found, seconds until then, findings that are not it, those without any planting."""

    log: Log
    planted: Planted
    is_tuned: bool
    found: bool
    lead: float
    false_alarms: int
    own: int


def runs_of(log: Log, mtime_ns: int, seeds: int, generators: Sequence[Any], show_missed: bool) -> Iterator[Run]:
    """All plantings into one log."""
    own = {(row["title"][:40], row["time_start"]) for row in said_of(log.name, log.lines, mtime_ns).incidents}
    for generator in generators:
        for seed in range(seeds):
            rng = np.random.default_rng([seed, *generator.__name__.encode(), *log.name.encode()])
            planted = generator(log, rng)
            if planted is None:
                print(f"{log.name}: no place for {generator.__name__}, seed {seed}")
                continue
            incidents = said_of(log.name, planted.content, mtime_ns).incidents
            others = [row for row in incidents if not matches(row, planted)]
            found = len(others) < len(incidents)
            lead = lead_time(log.name, planted, mtime_ns) if found else math.nan
            known = sum((row["title"][:40], row["time_start"]) in own for row in others)
            if show_missed and not found:
                print(
                    f"missed in {log.name}: {generator.__name__}, seed {seed}, {_moment(planted.start)} to "
                    f"{_moment(planted.stop)}, {planted.lines[:1]}"
                )
            yield Run(log, planted, generator in TUNED, found, lead, len(others), known)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


def series_of(name: str, lines: Sequence[str], mtime_ns: int) -> LogSeries:
    """The counts of a log, as the product makes them."""
    log, reader = LogSeries(name, Room()), LogReader()
    for batch in chunks_of(name, lines, mtime_ns):
        slice_batch = SliceBatch(batch, CHUNK_INSIGHTS.batch([]), np.zeros((batch.num_rows, 0), np.float32))
        for _, events in reader.events(slice_batch):
            if len(events.times):
                log.add(events)
    return log


def back_test(path: Path) -> Iterator[str]:
    """Rules of the first half of a log in time, judged on the second. Templates are those of the whole log."""
    lines = [line for line in path.read_bytes().decode("utf-8", "surrogateescape").split("\n") if line.strip()]
    log = series_of(path.stem, lines, path.stat().st_mtime_ns)
    templates = log.templates
    points = Points.of_log(templates)
    if not len(points.times):
        return
    start, stop = float(points.times[0]), float(points.times[-1])
    # Half of what is remembered, not half of the time, which may be empty.
    middle = float(points.times[len(points.times) // 2])
    for rule in mine(points.between(start, middle)):
        later = tally(points.between(middle, stop + 1), rule.sign, rule.failure, rule.window)
        names = [template_text(templates[i].words, characters=34) for i in (rule.sign, rule.failure)]
        yield (
            f"{path.stem:<13}{names[0]:<36}{names[1]:<36}{rule.window:>7.0f}{rule.tally.cases:>5}/{rule.tally.failures:<5}"
            f"{rule.tally.precision:>6.2f}{rule.tally.lead:>8.0f}{later.cases:>6}/{later.failures:<5}{later.precision:>6.2f}"
            f"{later.lead:>8.0f}"
        )


def table(runs: Sequence[Run]) -> None:
    """By kind and variant, by log."""
    print(f"{'kind':<14}{'variant':<25}{'tuned':<7}{'planted':>8}{'found':>7}{'recall':>8}{'lead h':>15}{'of it':>7}")
    by: dict[tuple[str, str, bool], list[Run]] = defaultdict(list)
    for run in runs:
        by[run.planted.kind, run.planted.variant, run.is_tuned].append(run)
    for key in sorted(by, key=lambda key: (KINDS.index(key[0]), not key[2])):
        every = by[key]
        found = [run for run in every if run.found]
        leads = statistics.median(run.lead / 3600 for run in found) if found else math.nan
        share = (
            statistics.median(run.lead / (run.planted.stop - run.planted.start) for run in found) if found else math.nan
        )
        print(
            f"{key[0]:<14}{key[1]:<25}{'yes' if key[2] else 'no':<7}{len(every):>8}{len(found):>7}"
            f"{len(found) / len(every):>8.2f}{leads:>15.2f}{share:>7.2f}"
        )
    print(
        f"{'log':<16}{'tuned':<7}{'days':>7}{'planted':>9}{'found':>7}{'recall':>8}{'false/day':>11}{'own of them':>13}"
    )
    for name in dict.fromkeys(run.log.name for run in runs):
        every = [run for run in runs if run.log.name == name]
        days = every[0].log.days
        alarms, own = (
            statistics.fmean(values) / days for values in zip(*((r.false_alarms, r.own) for r in every), strict=True)
        )
        found = sum(run.found for run in every)
        print(
            f"{name:<16}{'yes' if _is_tuned(name) else 'no':<7}{days:>7.1f}{len(every):>9}{found:>7}"
            f"{found / len(every):>8.2f}{alarms:>11.3f}{own:>13.3f}"
        )


def _is_tuned(name: str) -> bool:
    return name.startswith(TUNED_LOGS)


def figures(runs: Sequence[Run]) -> tuple[float, float]:
    """Recall of all plantings, false alarms a day as the mean over logs."""
    alarms = [
        statistics.fmean(run.false_alarms for run in runs if run.log.name == name) / days
        for name, days in {run.log.name: run.log.days for run in runs}.items()
    ]
    return sum(run.found for run in runs) / len(runs), statistics.fmean(alarms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="plantings of each variant into each log")
    parser.add_argument("--part", choices=("tune", "report", "all"), default="all")
    parser.add_argument("--variants", choices=("tuned", "unseen", "all"), default="all")
    parser.add_argument("--missed", action="store_true", help="name what was missed")
    arguments = parser.parse_args()
    runs: list[Run] = []
    paths = [path for path in sorted(arguments.data.rglob("*.log")) if path.is_file()]
    paths = [path for path in paths if arguments.part == "all" or _is_tuned(path.stem) == (arguments.part == "tune")]
    generators = {"tuned": TUNED, "unseen": UNSEEN, "all": (*TUNED, *UNSEEN)}[arguments.variants]
    for path in paths:
        log = load(path)
        if isinstance(log, str):
            print(f"left out: {path.relative_to(arguments.data)}, {log}")
            continue
        runs += runs_of(log, path.stat().st_mtime_ns, arguments.seeds, generators, arguments.missed)
    if not runs:
        raise SystemExit(f"{arguments.data} has no log that spans a day.")
    table(runs)
    print("what comes before failures: rules of the first half, judged on the second (seconds; cases of failures)")
    print(
        f"{'log':<13}{'pattern':<36}{'failure':<36}{'window':>7}{'cases':>11}{'prec.':>6}{'lead':>8}{'then':>12}{'prec.':>6}{'lead':>8}"
    )
    for path in paths:
        for line in back_test(path):
            print(line)
    for what, part in (
        ("logs and variants that were tuned on", [r for r in runs if r.is_tuned and _is_tuned(r.log.name)]),
        ("neither log nor variant tuned on", [r for r in runs if not r.is_tuned and not _is_tuned(r.log.name)]),
    ):
        if part:
            recall, alarms = figures(part)
            print(f"{what}: recall {recall:.3f} of {len(part)}, {alarms:.3f} false alarms a day")
    recall, alarms = figures(runs)
    print(f"recall={recall:.3f} false_alarms_per_day={alarms:.3f}")


if __name__ == "__main__":
    main()
