"""DuckDB files that many processes use: changed as a copy, which is then renamed over the old file.

DuckDB lets either one process write a file or several read it, and makes the others fail or wait. A notebook that was
left open would stop every run. So a published file is never opened to be changed: whoever changes it works on a copy
beside, and renames. A notebook keeps the file that it opened; a kill leaves the old file.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb

from mesh_assets.errors import CorruptTableError, LakeError
from mesh_assets.storage.files import publishing


def dataset_database(lake_root: Path) -> Path:
    """Where the tables of datasets lie."""
    return lake_root / "datasets.duckdb"


def views_database(lake_root: Path) -> Path:
    """Where the views over a lake lie, for people: beside the lake, not in it."""
    return lake_root.with_name(f"{lake_root.name}.duckdb")


@contextmanager
def rewriting(path: Path, run_id: str, *, start: Path) -> Generator[duckdb.DuckDBPyConnection]:
    """A connection to a copy of the database `start`, empty where there is none; it becomes `path` when the block ends.

    Processes that change one file take turns. LakeError where the disk refuses; `path` then is as it was, as it is
    after any other exception of the block.
    """
    with _turn(path), publishing(path, run_id) as temporary:
        _sweep(path, keep=temporary)
        try:
            with closing(_open_copy(start, temporary)) as connection:
                yield connection
                connection.execute("checkpoint")
        except duckdb.IOException as error:
            raise LakeError(
                f"{path} cannot be written: {error}",
                remedy="Make room or allow writing there (`df -h`, `ls -ld`), then run it again: nothing was changed.",
            ) from error
        finally:
            _log_of(temporary).unlink(missing_ok=True)
        # Of a notebook that changed the old file itself. Beside the new file it would keep everybody from opening that.
        _log_of(path).unlink(missing_ok=True)
    _log_of(path).unlink(missing_ok=True)


@contextmanager
def snapshot(path: Path) -> Generator[duckdb.DuckDBPyConnection]:
    """A connection to a private copy of the published database: no lock of anybody keeps it out. Empty where none is.

    CorruptTableError where the file is no database.
    """
    with (
        tempfile.TemporaryDirectory(prefix="mesh-") as folder,
        closing(_open_copy(path, Path(folder, "copy.duckdb"))) as connection,
    ):
        yield connection


def _open_copy(start: Path, copy: Path) -> duckdb.DuckDBPyConnection:
    """A connection to `copy`, filled from `start`, or as an empty database where that is not there.

    A file that lies at `copy` already is filled and not replaced: its writer may hold a lock on it. The log of a
    notebook is not copied.
    """
    try:
        shutil.copyfile(start, copy)
    except FileNotFoundError:
        # DuckDB takes no file that is there and empty, so the empty database is made elsewhere.
        with tempfile.TemporaryDirectory(prefix="mesh-") as folder:
            empty = Path(folder, "empty.duckdb")
            duckdb.connect(str(empty)).close()
            shutil.copyfile(empty, copy)
    try:
        return duckdb.connect(str(copy))
    except duckdb.Error as error:
        raise CorruptTableError(
            f"{start} cannot be read: {error}",
            remedy="Move it away and materialize dataset_statistics of each dataset again: nothing else is in it.",
        ) from error


@contextmanager
def _turn(path: Path) -> Generator[None]:
    """Wait until no other process changes `path`. A turn takes as long as copying a small file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LakeError(
            f"{path.parent} cannot be written: {error.strerror or error}.",
            remedy="Make room or allow writing there (`df -h`, `ls -ld`), then run it again: nothing was changed.",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(path: Path, *, keep: Path) -> None:
    """Remove copies of killed processes: whoever has the turn is the only one with a copy, which is `keep`."""
    for left in path.parent.iterdir():
        if left != keep and left.name.startswith(f".{path.name}.") and left.name.endswith((".tmp", ".tmp.wal")):
            left.unlink(missing_ok=True)


def _log_of(path: Path) -> Path:
    """DuckDB's write-ahead log of a database."""
    return path.with_name(f"{path.name}.wal")
