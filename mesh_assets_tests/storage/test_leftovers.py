"""What killed processes left goes, what living ones hold stays, whatever the clock says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_assets.atomic import replacing, staging, sweep
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.intake.incoming import bring_in
from mesh_assets.storage.leftovers import sweep_leftovers

# Holds one of everything that a process may leave, says so, and waits to be killed.
_HOLD = """
import sys
from pathlib import Path
from mesh_assets.atomic import replacing, staging
from mesh_assets.storage.run_locks import run_lock
root, name = Path(sys.argv[1]), sys.argv[2]
with (
    replacing(root / "state" / "lake" / "chunk_sets" / "d" / f"{name}.parquet", "run") as a,
    replacing(root / "state" / "indexes" / "vectors" / "m" / "d" / f"{name}.vectors", "run") as b,
    replacing(root / "state" / "walks" / f"{name}.json", "run") as c,
    staging(root / "drops" / ".incoming" / name) as d,
    staging(root / "state" / "indexes" / "words" / ".new" / name) as e,
    run_lock(root / "state" / "locks", name),
):
    for path in (a, b, c, d / "file", e / "meta.json"):
        path.write_text("half of it")
    print("held", flush=True)
    sys.stdin.read()
"""


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def _holding(root: Path, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _HOLD, str(root), name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.fixture
def living(tmp_path: Path) -> Iterator[set[str]]:
    process = _holding(tmp_path, "living")
    yield _files(tmp_path)
    process.kill()
    process.wait()


def test_what_killed_processes_left_goes_and_what_others_hold_stays(tmp_path: Path, living: set[str]) -> None:
    killed = _holding(tmp_path, "killed")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    left = _files(tmp_path) - living
    assert len(left) == 8, left  # three temporaries, two staged files with their locks, the lock of the run
    # As if the clock had been set forward a year since, and back.
    for number, name in enumerate(sorted(left | living)):
        os.utime(tmp_path / name, (0, 0) if number % 2 else (4e9, 4e9))
    swept = sweep_leftovers(tmp_path / "state", tmp_path / "drops")
    assert {path.name for path in swept if "killed" in path.name}
    assert _files(tmp_path) == living
    assert not (tmp_path / "drops" / ".incoming" / "killed").exists()


def test_a_file_that_is_written_again_sweeps_what_was_left_of_it(tmp_path: Path) -> None:
    target = tmp_path / "state" / "walks" / "killed.json"
    killed = _holding(tmp_path, "killed")
    killed.kill()
    killed.wait()
    with replacing(target, "next") as temporary:
        assert [path.name for path in target.parent.iterdir()] == [temporary.name]
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["killed.json"]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target, "run") as temporary:
        temporary.write_text("half")
        assert not sweep([temporary]), "it is being written"
        raise RuntimeError("stop")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_a_staging_folder_goes_with_its_lock(tmp_path: Path) -> None:
    with staging(tmp_path / "s") as folder:
        (folder / "file").write_text("x")
    assert not list(tmp_path.iterdir())


def test_temporaries_of_the_fulltext_engine_go_unless_it_writes(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path / "state" / "indexes" / "words")
    index.replace_slice("d.000000", [])
    (folder,) = (tmp_path / "state" / "indexes" / "words").glob("words-*")
    left = folder / ".tmpAbC123"
    left.write_text("half")

    def writing() -> Iterator[None]:
        sweep_leftovers(tmp_path / "state", tmp_path / "drops")
        assert left.exists()
        yield from ()

    index.replace_slice("d.000000", (document for _ in writing() for document in ()))
    sweep_leftovers(tmp_path / "state", tmp_path / "drops")
    assert not left.exists()
    assert index.held("d.000000") == 0


_INGEST = """
import os, signal, sys
from pathlib import Path
from mesh_assets.intake.incoming import bring_in
bring_in(
    Path(sys.argv[1]), "notes", Path(sys.argv[2]),
    progress=lambda copied: os.kill(os.getpid(), signal.SIGKILL) if copied.copied == 2 else None,
)
"""


def test_an_ingestion_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    source, drops = tmp_path / "source", tmp_path / "drops"
    source.mkdir()
    for number in range(5):
        (source / f"{number}.txt").write_text(f"{number}\n" * 1000)
    killed = subprocess.run([sys.executable, "-c", _INGEST, str(source), str(drops)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((drops / ".incoming").iterdir())) == 2, "the folder and its lock"
    copied = bring_in(source, "notes", drops, progress=lambda _: None)
    assert (copied.copied, copied.present) == (3, 2)
    assert not list((drops / ".incoming").iterdir())
    assert {path.name: path.read_text() for path in (drops / "notes").iterdir()} == {
        path.name: path.read_text() for path in source.iterdir()
    }
