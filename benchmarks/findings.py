"""Findings in a million lines of installed packages and in two real tables: minutes, and the best twenty to judge.

    python benchmarks/findings.py [--data FOLDER] [--lines 1000000] [--part all|tune|report] [--packages FOLDER]
        [--only NAME,NAME] [--tables FILE,FILE]

Code is every file of Python, Cython, C and JavaScript below the packages of the running environment, package by
package in the order of their names, up to so many lines. Packages fall into two parts by a hash of their name, so that
what is tuned on one is reported on the other; `--only` names the packages instead. Tables are
files of FOLDER, vega's movies.json and birdstrikes.csv where no others are named.
Each takes the product's own way: kind, chunks, findings; minutes are of all of it, elapsed and of CPU. Whether a
finding is right and worth a person's time, a person says: verdicts are in RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from blake3 import blake3

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.insights import chunks_of
from benchmarks.taken_in import source_of
from mesh_assets.chunks.protocol import Source
from mesh_assets.insights.code_findings import code_finding_batches
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.tables import TableInsight
from mesh_assets.schemas.insights import CHUNK_INSIGHTS, FINDING_SCORE
from mesh_assets.schemas.outcome import Outcome

ENDINGS = (".py", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".js", ".ts")
TABLES = "movies.json,birdstrikes.csv"
SHOWN = 20


def read_source(root: Path, path: Path) -> Source | None:
    """A file as the product takes it in; None where it is empty or no text."""
    content = path.read_bytes()
    found = source_of(path.relative_to(root).as_posix(), content)
    return found if content and found.kind in ("code", "structured", "metric", "text") else None


def code_of(folder: Path, part: str, limit: int, only: str) -> Iterator[Source]:
    """Files of code of the packages of a part, or of those named in `only`, up to `limit` lines."""
    lines = 0
    for package in sorted(folder.iterdir()):
        is_report = blake3(package.name.encode()).digest()[0] % 2 == 1
        if package.name not in only.split(",") if only else part != "all" and is_report != (part == "report"):
            continue
        files = sorted(package.rglob("*")) if package.is_dir() else [package]
        for path in files:
            if path.suffix not in ENDINGS or not path.is_file():
                continue
            if lines >= limit:
                print(f"code: {lines:,} lines, up to {package.name}")
                return
            if source := read_source(folder, path):
                lines += path.read_bytes().count(b"\n")
                yield source
    print(f"code: {lines:,} lines, all packages of the part")


def shown(rows: list[dict[str, Any]]) -> None:
    """The best findings with their evidence."""
    for number, row in enumerate(rows[:SHOWN], 1):
        print(f"{number:>3} {row['score']:.3f} {row['type']}: {row['statement']}")
        for cited in row["evidence"][:3]:
            print(f"        {cited['path']}:{cited['line_start']} | {cited['quote'][:110]}")


def findings_of_code(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    """The rows of `CODE_FINDINGS`."""
    made = code_finding_batches(
        lambda columns: (batch.select(list(columns)) for batch in batches),
        dataset="benchmark",
        slice_key="benchmark.000001",
        outcome=Outcome(),
        is_whole=True,
    )
    return [row for batch in made for row in batch.to_pylist()]


def findings_of_table(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    """What is said of a table, best first."""
    insight = TableInsight()
    for batch in batches:
        none = CHUNK_INSIGHTS.schema.empty_table().combine_chunks()
        insight.observe(SliceBatch(batch, none, None))  # type: ignore[arg-type]
    rows: list[dict[str, Any]] = [
        each.row(dataset="benchmark", slice_key="benchmark.000001") for each in insight.conclude()
    ]
    return sorted((row for row in rows if row["score"] >= FINDING_SCORE), key=lambda row: -row["score"])


def cpu_seconds() -> float:
    """Of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="folder of vega's tables")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--part", choices=("all", "tune", "report"), default="all")
    parser.add_argument("--packages", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--tables", default=TABLES, help="files of the folder, with commas between them")
    parser.add_argument("--json", type=Path, help="write all rows of the code here")
    parser.add_argument("--only", default="", help="read these packages, names with commas between them")
    options = parser.parse_args()
    begun, cpu = time.monotonic(), cpu_seconds()
    batches = chunks_of(code_of(options.packages, options.part, options.lines, options.only)) if options.lines else []
    chunked = time.monotonic()
    rows = findings_of_code(batches)
    code_minutes = (time.monotonic() - begun) / 60
    print(
        f"chunks {chunked - begun:.0f} s, findings {time.monotonic() - chunked:.0f} s; CPU {cpu_seconds() - cpu:.0f} s"
    )
    shown(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, default=str))
    begun = time.monotonic()
    for name in options.tables.split(",") if options.data else ():
        print(f"table {name}")
        source = read_source(options.data, options.data / name)
        if source is not None:
            shown(findings_of_table(chunks_of([source])))
    print(f"code_minutes={code_minutes:.1f} tables_minutes={(time.monotonic() - begun) / 60:.2f}")


if __name__ == "__main__":
    main()
