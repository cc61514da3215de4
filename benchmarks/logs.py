"""How well and how fast log templates are mined: `python benchmarks/logs.py --data FOLDER`, as loghub lays it out.

For each system `X/X_2k.log` and `X/X_2k.log_structured.csv` (columns `Content` and `EventId`), once on the message
column, as the benchmarks of LogPAI do, and once on the raw lines, as people have them: our miner, drain3 with its
defaults, none set for a system, and what the tables `log_templates` and `log_events` say of a drop of these lines
(chunking and both tables are in its speed). Measures are those of LogPAI: grouping accuracy GA (share of the lines
whose group is exactly that of the truth), its F1 over groups (FGA), parsing accuracy PA (share of the lines whose
template is that of the truth) and its F1 over templates (FTA). Speed is that on a log of `COPIES` times as many lines,
every digit in them another one (of the tables the same lines): 2,000 lines take milliseconds, which no log that anybody
has does. Needs drain3: `make bench`.
"""

from __future__ import annotations

import argparse
import csv
import logging
import random
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from taken_in import source_of

from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_tables import BATCH_ROWS, log_batches
from mesh_assets.insights.template_miner import ANY, shapes_of, templates_of
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import AttachedRows, Outcome

# For speed each line is read so many times, with other digits.
COPIES = 50
SEED = 20261128
_BETWEEN = re.compile(r"[\s=,;:()\[\]{}<>\"'|]+")


@dataclass(frozen=True)
class System:
    """One log with its truth: the event of each line, and the template of each event."""

    name: str
    lines: list[str]
    messages: list[str]
    events: list[str]
    templates: dict[str, str]


@dataclass(frozen=True)
class Mined:
    """What a miner says of each line: a group and a template. `rate` is in lines per CPU-second."""

    groups: Sequence[Hashable]
    templates: Sequence[str]
    rate: float


def load(folder: Path) -> list[System]:
    """The systems in `folder`; SystemExit where there is none."""
    found: list[System] = []
    for path in sorted(folder.glob("*/*_2k.log_structured.csv")):
        with path.open(newline="", errors="replace") as file:
            rows = list(csv.DictReader(file))
        raw = path.with_name(path.name.removesuffix("_structured.csv")).read_text(errors="replace")
        lines = [line.rstrip("\r") for line in raw.split("\n") if line.strip()]
        if len(lines) != len(rows):
            raise SystemExit(f"{path} has {len(rows)} lines with truth, its log {len(lines)}.")
        truth = {row["EventId"]: row["EventTemplate"] for row in rows}
        found.append(
            System(path.parent.name, lines, [row["Content"] for row in rows], [row["EventId"] for row in rows], truth)
        )
    if not found:
        raise SystemExit(f"{folder} has no <system>/<system>_2k.log_structured.csv.")
    return found


def mine_ours(lines: Sequence[str], *, raw: bool) -> tuple[Sequence[Hashable], Sequence[str]]:
    """Groups and templates of `lines`; `raw` ones have heads."""
    series = pl.Series(lines, dtype=pl.String)
    messages = LogLayout.detect(lines).messages(series) if raw else series
    shapes, of = shapes_of(messages)
    templates = templates_of(shapes)
    written = {shape: " ".join(template) for shape, template in templates.items()}
    texts = [written[shape] for shape in shapes]
    found = [texts[number] for number in of.tolist()]
    return found, found


def mine_drain(lines: Sequence[str], *, raw: bool) -> tuple[Sequence[Hashable], Sequence[str]]:
    """The same by drain3 with its defaults, which knows no heads."""
    from drain3 import TemplateMiner

    logging.getLogger("drain3").setLevel(logging.ERROR)  # it misses a file of settings, and says so each time
    miner = TemplateMiner()
    groups = [miner.add_log_message(line)["cluster_id"] for line in lines]
    templates = {cluster.cluster_id: cluster.get_template() for cluster in miner.drain.clusters}
    return groups, [templates[group] for group in groups]


def mine_as_written(lines: Sequence[str], *, raw: bool) -> tuple[Sequence[Hashable], Sequence[str]]:
    """What the tables `log_events` and `log_templates` say of raw lines, read and cut into chunks as any drop."""
    del raw
    content = "".join(f"{line}\n" for line in lines).encode()
    mtime_ns = 1_767_225_600 * 10**9
    source = replace(source_of("some.log", content, mtime_ns=mtime_ns), kind="log", format="plain", encoding="utf-8")
    made = chunk_batches([source], slice_key="benchmark.000001", chunk_tokens=256, outcome=Outcome())
    chunks = pa.Table.from_batches(list(made), CHUNKS.schema).combine_chunks().to_batches(max_chunksize=BATCH_ROWS)
    attached = AttachedRows()
    events = log_batches(
        chunks, chunks, dataset="benchmark", slice_key="benchmark.000001", outcome=Outcome(), attached=attached
    )
    rows = pl.concat([cast("pl.DataFrame", pl.from_arrow(batch)) for batch in events])
    templates = attached.take("log_templates")
    told = {row["template_id"]: row["template"] for batch in templates for row in batch.to_pylist()}
    of = dict(zip(rows["byte_start"].to_list(), rows["template_id"].to_list(), strict=True))
    starts = np.cumsum([0, *(len(line.encode()) + 1 for line in lines[:-1])]).tolist()
    # A line that is no event of its own, or has no template, is a group of its own.
    groups = [of.get(start) or start for start in starts]
    return groups, [told.get(str(group), "") for group in groups]


def measured(mine: Callable[..., tuple[Sequence[Hashable], Sequence[str]]], system: System, *, raw: bool) -> Mined:
    """`mine` on the lines or messages of a system."""
    lines = system.lines if raw else system.messages
    groups, templates = mine(lines, raw=raw)
    # Stamps of which digits were exchanged are no moments.
    many = list(lines) * COPIES if mine is mine_as_written else varied(lines)
    start = time.process_time()
    mine(many, raw=raw)
    return Mined(groups, templates, len(many) / (time.process_time() - start))


def varied(lines: Sequence[str]) -> list[str]:
    """`COPIES` times the lines, each digit exchanged for another one."""
    generator = random.Random(SEED)
    digits = "0123456789"
    tables = [str.maketrans(digits, "".join(generator.sample(digits, 10))) for _ in range(64)]
    return [line.translate(tables[generator.randrange(64)]) for _ in range(COPIES) for line in lines]


def scores(mined: Mined, system: System) -> dict[str, float]:
    """GA, PA, FGA and FTA, as LogPAI defines them; templates are compared by their words and places."""
    ours, truth = _groups(mined.groups), _groups(system.events)
    whole = {tuple(rows) for rows in truth.values()}
    right = [rows for rows in ours.values() if tuple(rows) in whole]
    told = [_plain(template) for template in mined.templates]
    wanted = [_plain(system.templates[event]) for event in system.events]
    same = [a == b for a, b in zip(told, wanted, strict=True)]
    # A template is right where its group is, and all its lines carry the template of the truth.
    exact = [rows for rows in right if all(same[row] for row in rows)]
    return {
        "GA": sum(map(len, right)) / len(system.events),
        "PA": sum(same) / len(same),
        "FGA": _f1(len(right), len(ours), len(truth)),
        "FTA": _f1(len(exact), len(ours), len(truth)),
    }


def _groups(keys: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        found[key].append(row)
    return found


def _f1(right: int, found: int, wanted: int) -> float:
    return 2 * right / (found + wanted)


def _plain(template: str) -> tuple[str, ...]:
    """The words of a template; whatever a word shares with a place that varies, and such places in a row, are one."""
    words: list[str] = []
    for word in _BETWEEN.split(template.replace(ANY, "\0").replace("<", " ").replace(">", " ")):
        word = ANY if "\0" in word else word
        if word and not (word == ANY and words and words[-1] == ANY):
            words.append(word)
    return tuple(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of systems, laid out as loghub's 2k sets")
    systems = load(parser.parse_args().data)
    rows: dict[tuple[str, bool], list[dict[str, float]]] = defaultdict(list)
    print(f"{'system':<14}{'miner':<8}{'input':<9}{'GA':>7}{'PA':>7}{'FGA':>7}{'FTA':>7}{'lines per CPU-s':>17}")
    for system in systems:
        for raw in (False, True):
            miners = (("ours", mine_ours), ("drain3", mine_drain), *((("tables", mine_as_written),) if raw else ()))
            for name, mine in miners:
                mined = measured(mine, system, raw=raw)
                found = scores(mined, system) | {"rate": mined.rate}
                rows[name, raw].append(found)
                _show(system.name, name, raw, found)
    for what, combine in (("mean", statistics.fmean), ("median", statistics.median)):
        for (name, raw), every in rows.items():
            _show(what, name, raw, {key: combine([each[key] for each in every]) for key in every[0]})
    ours, drain = rows["ours", False], rows["drain3", False]
    # Lines of all systems over the CPU seconds that they took.
    speedup = sum(1 / each["rate"] for each in drain) / sum(1 / each["rate"] for each in ours)
    mean, mean_raw = (statistics.fmean(each["GA"] for each in rows["ours", raw]) for raw in (False, True))
    mean_tables = statistics.fmean(each["GA"] for each in rows["tables", True])
    print(f"what the product writes, mean GA: {mean_tables:.3f}")
    print(f"mean_ga={mean:.3f} mean_ga_raw={mean_raw:.3f} speedup_vs_drain3={speedup:.1f}")


def _show(system: str, miner: str, raw: bool, found: dict[str, float]) -> None:
    shown = "".join(f"{found[key]:>7.3f}" for key in ("GA", "PA", "FGA", "FTA"))
    print(f"{system:<14}{miner:<8}{'lines' if raw else 'messages':<9}{shown}{found['rate']:>17,.0f}")


if __name__ == "__main__":
    main()
