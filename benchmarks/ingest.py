"""How fast a slice run reads, and in how much memory: `python benchmarks/ingest.py --data FOLDER --bytes 2e9`.

Makes an input of that size (see `varied_input`), runs the real `slice_job` of each slice in a process of its own (see
`slice_run`), and again with a twentieth of the input. Rates are bytes of the input that became chunks, in MB per
CPU-second of the whole process, interpreter and imports included; bytes of rejected files count for nothing. The text
chunker is measured alone, on the Markdown and plain text of the folder as it is. With `--kind` the last line also has
what reading, telling the kind, chunking and writing make together: the stages `raw_partitions` and `chunk_sets`, the
child process included. With `--kind pdf` that is in pages, of the files that were read.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from listing import scan_against_rglob
from text_chunks import measure_texts
from varied_input import VariedInput, write_input

from mesh_assets.schemas.rejects import CUT_ANYWAY
from mesh_assets.slices import dataset_key
from mesh_assets.storage.lake import Lake

HERE = Path(__file__).resolve().parent
DATASET = "input"
SAMPLE_SECONDS = 0.02
KINDS = ("text", "code", "log", "structured", "metric", "markdown", "html", "pdf", "csv", "jsonl")
# The input, the lake and the index, with room for merges.
DISK_FACTOR = 3.5


@dataclass
class Run:
    """One process: its CPU seconds with all children, the largest sum of resident memory in bytes, what it reports."""

    cpu: float = 0.0
    wall: float = 0.0
    peak: int = 0
    figures: dict[str, object] = field(default_factory=dict)


@dataclass
class Ingest:
    """All slice runs of one input."""

    folder: Path
    size: int
    runs: list[Run]
    manifest: Run
    read: int = 0
    rejected: int = 0
    files: int = 0
    chunks: int = 0
    equal: int = 0
    equal_bytes: int = 0
    pages: int = 0

    @property
    def cpu(self) -> float:
        return sum(run.cpu for run in self.runs)

    @property
    def peak(self) -> int:
        return max(run.peak for run in self.runs)

    def stages(self) -> dict[str, float]:
        """CPU seconds by asset, over all slices."""
        found: dict[str, float] = {}
        for run in self.runs:
            stages = run.figures["stages"]
            assert isinstance(stages, dict)
            for name, seconds in stages.items():
                found[name] = found.get(name, 0.0) + seconds
        return found

    def peaks(self) -> dict[str, tuple[float, float]]:
        """The largest resident memory by asset over all slices, in MB: in all, and without mapped files."""
        found: dict[str, tuple[float, float]] = {}
        for run in self.runs:
            peaks = run.figures["peaks"]
            assert isinstance(peaks, dict)
            for name, (whole, anonymous) in peaks.items():
                before = found.get(name, (0.0, 0.0))
                found[name] = (max(before[0], whole / 1e6), max(before[1], anonymous / 1e6))
        return found

    def mean(self, name: str) -> float:
        return float(np.mean([float(str(run.figures[name])) for run in self.runs]))


def run_job(job: str, partition: str, environment: dict[str, str], folder: Path) -> Run:
    """The job in a fresh process, its memory sampled all the time; SystemExit with its log where it fails."""
    result, log = folder / "figures.json", folder / "run.log"
    result.unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "slice_run.py"), job, partition, str(result)],
            env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        run = Run()
        watcher = threading.Thread(target=_watch, args=(process.pid, run), daemon=True)
        watcher.start()
        code = process.wait()
    run.wall = time.monotonic() - started
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if code or not result.exists():
        raise SystemExit(f"{job} of {partition} failed:\n{log.read_text(errors='replace')[-6000:]}")
    run.figures = json.loads(result.read_text())
    return run


def _watch(pid: int, run: Run) -> None:
    """Keeps the largest sum of resident memory of the process and its children."""
    try:
        process = psutil.Process(pid)
        rounds = 0
        family = [process]
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if rounds % 25 == 0:
                family = [process, *process.children(recursive=True)]
            run.peak = max(run.peak, sum(_resident(each) for each in family))
            rounds += 1
            time.sleep(SAMPLE_SECONDS)
    except psutil.NoSuchProcess:
        return


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def ingest(varied: VariedInput, folder: Path, size: int, *, embeddings: bool) -> Ingest:
    """An input of `size` bytes through manifest and slice runs."""
    drops, state, home = folder / "drops", folder / "state", folder / "dagster"
    for each in (drops, state, home):
        each.mkdir(parents=True)
    written = write_input(varied, drops / DATASET, size)
    shutil.copy(HERE.parent / "dagster.yaml", home)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")} | {
        "MESH_STATE": str(state), "MESH_DROPS": str(drops), "MESH_QUIET_SECONDS": "0", "MESH_SLICE_MIB": "1024",
        "DAGSTER_HOME": str(home), "PYTHONPATH": str(HERE.parent), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if not embeddings:
        environment["MESH_EMBEDDING_MODEL"] = "off"
    dataset = dataset_key(DATASET)
    manifest = run_job("manifest_job", dataset, environment, folder)
    lake = Lake(state / "lake")
    keys = sorted(lake.read("drop_manifests", dataset).footer.extra["slices"])
    done = Ingest(folder, written, [run_job("slice_job", key, environment, folder) for key in keys], manifest)
    for key in keys:
        sources, chunks = lake.read("raw_partitions", key).footer, lake.read("chunk_sets", key).footer
        done.files += sources.rows_in
        done.read += chunks.bytes_in - _rejected_parts(lake, key)
        done.chunks += chunks.rows
    done.rejected = written - done.read
    done.pages = _pages(drops / DATASET, [lake.path("chunk_sets", key) for key in keys])
    done.equal, done.equal_bytes = _equal_texts([lake.path("chunk_sets", key) for key in keys])
    done.read -= done.equal_bytes
    return done


def _rejected_parts(lake: Lake, key: str) -> int:
    parts = 0
    for batch in lake.rejects("chunk_sets", key):
        for row in batch.to_pylist():
            if row["byte_start"] is not None and not row["reason"].endswith(CUT_ANYWAY):
                parts += row["byte_stop"] - row["byte_start"]
    return parts


def _pages(folder: Path, chunks: list[Path]) -> int:
    """Pages of the PDFs that have chunks; one is counted once however often it was copied."""
    import pypdfium2

    pages: dict[str, int] = {}
    total = 0
    for path in pl.concat([pl.scan_parquet(p).filter(format="pdf").select("path").unique() for p in chunks]).collect()[
        "path"
    ]:
        original = path.partition("/")[2]
        if original not in pages:
            pages[original] = len(pypdfium2.PdfDocument(folder / path))
        total += pages[original]
    return total


def _equal_texts(paths: list[Path]) -> tuple[int, int]:
    """How many chunks have the text of another one, by 64-bit hashes of all of them, and their bytes."""
    wanted = (pl.col("text").hash(seed=1), (pl.col("byte_stop") - pl.col("byte_start")).alias("size"))
    frame = pl.concat([pl.scan_parquet(path).select(wanted).collect(engine="streaming") for path in paths])
    _, first = np.unique(frame["text"].to_numpy(), return_index=True)
    return len(frame) - len(first), int(frame["size"].sum() - frame["size"].to_numpy()[first].sum())


def show(title: str, done: Ingest) -> None:
    """The table of one input."""
    megabytes = done.read / 1e6
    print(
        f"\n{title}: {done.size / 1e6:,.1f} MB in {done.files:,} files, {len(done.runs)} slices, {done.chunks:,} chunks"
    )
    print(f"  read {megabytes:,.1f} MB; rejected {done.rejected / 1e6:,.1f} MB, which count for nothing")
    print(f"  chunks with the text of another one: {done.equal:,} ({done.equal_bytes:,} B, which count for nothing)")
    print(f"  {'stage':<20}{'CPU-s':>10}{'MB per CPU-s':>14}{'share':>8}{'resident':>10}{'anonymous':>11}")
    rows = {**done.stages(), "Dagster": len(done.runs) * done.mean("orchestration")}
    rows["start and imports"] = done.cpu - sum(rows.values())
    peaks = done.peaks()
    for name, seconds in rows.items():
        whole, anonymous = peaks.get(name, (0.0, 0.0))
        rate = f"{megabytes / seconds:,.1f}" if seconds > 0.005 else "-"
        print(f"  {name:<20}{seconds:>10.2f}{rate:>14}{seconds / done.cpu:>8.1%}{whole:>10,.0f}{anonymous:>11,.0f}")
    print(f"  {'all':<20}{done.cpu:>10.2f}{megabytes / done.cpu:>14.2f}{1:>8.0%}")
    print(f"  wall {sum(run.wall for run in done.runs):,.1f} s; resident at most {done.peak / 1e6:,.0f} MB", end="")
    print(f"; manifest {done.manifest.cpu:.1f} CPU-s, resident {done.manifest.peak / 1e6:,.0f} MB")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of real files; by default Python's library and documentation")
    parser.add_argument("--bytes", type=float, default=2e8, help="size of the input; the goals are for 2e9")
    parser.add_argument("--kind", choices=KINDS, help="only files of this kind or format")
    parser.add_argument("--embeddings", choices=("on", "off"), default="off")
    parser.add_argument("--work", type=Path, help="folder for the work, on a disk; by default the temporary folder")
    parser.add_argument("--keep", action="store_true", help="leave the work where it is")
    return parser.parse_args()


def main() -> None:
    options = _arguments()
    size = int(options.bytes)
    folder = Path(tempfile.mkdtemp(prefix="ingest-", dir=options.work))
    try:
        free = shutil.disk_usage(folder).free
        if free < DISK_FACTOR * size:
            raise SystemExit(f"{folder} has {free / 1e9:.1f} GB free; {DISK_FACTOR * size / 1e9:.1f} GB are needed.")
        _measure(options, folder, size)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _measure(options: argparse.Namespace, folder: Path, size: int) -> None:
    varied = VariedInput(options.data, options.kind)
    texts = measure_texts(varied.texts())
    is_on = options.embeddings == "on"
    small = ingest(varied, folder / "twentieth", size // 20, embeddings=is_on)
    show("a twentieth", small)
    if not options.keep:
        shutil.rmtree(small.folder)
    whole = ingest(varied, folder / "whole", size, embeddings=is_on)
    show("whole", whole)
    if not options.keep:
        shutil.rmtree(whole.folder)
    listing = scan_against_rglob(folder / "tree")
    print(f"\n{texts.table()}\n\n{listing.table()}\n")
    stages = whole.stages()
    seconds = stages["raw_partitions"] + stages["chunk_sets"]
    chunking = f" stage_mb_per_cpu_s={whole.read / 1e6 / seconds:.1f}" if options.kind else ""
    if options.kind == "pdf":
        chunking = f" pages_per_cpu_s={whole.pages / seconds:.0f}"
    print(
        f"ingest_mb_per_cpu_s={whole.read / 1e6 / whole.cpu:.2f} chunk_mb_per_cpu_s={texts.rate:.1f} "
        f"boundary_pct={texts.boundary_pct:.1f} over_pct={texts.over_pct:.1f} scan_vs_rglob={listing.ratio:.2f} "
        f"peak_rss_mb={whole.peak / 1e6:.0f} rss_ratio={whole.peak / small.peak:.2f} "
        f"orchestration_cpu_s={whole.mean('orchestration'):.2f}" + chunking
    )


if __name__ == "__main__":
    main()
