"""Published DuckDB files: whoever holds one open keeps nobody out, and a change appears whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pytest

from mesh_assets.errors import CorruptTableError, LakeError
from mesh_assets.storage.duckdb_files import _open_copy, rewriting, snapshot  # pyright: ignore[reportPrivateUsage]

_HOLD = (
    "import duckdb, sys\n"
    "connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'read')\n"
    "if sys.argv[2] == 'write': connection.execute('CREATE TABLE mine AS SELECT 1 AS i')\n"
    "print('open', flush=True)\n"
    "sys.stdin.readline()\n"
    "print(connection.execute('SELECT count(*) FROM t').fetchall()[0][0], flush=True)\n"
)
_ADD = (
    "import sys; from pathlib import Path; from mesh_assets.storage.duckdb_files import rewriting\n"
    "path = Path(sys.argv[1])\n"
    "for n in range(int(sys.argv[2]), int(sys.argv[2]) + 6):\n"
    "    with rewriting(path, f'run-{n}', start=path) as c: c.execute('INSERT INTO t VALUES (?)', [n])\n"
)
_DIE = (
    "import os, signal, sys; from pathlib import Path; from mesh_assets.storage.duckdb_files import rewriting\n"
    "path = Path(sys.argv[1])\n"
    "with rewriting(path, 'dead', start=path) as c:\n"
    "    c.execute('INSERT INTO t FROM range(1000)')\n"
    "    if sys.argv[2] == 'closed': c.execute('checkpoint'); c.close()\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "small.duckdb"
    with rewriting(path, "first", start=path) as connection:
        connection.execute("CREATE TABLE t (i BIGINT)")
    return path


@contextmanager
def held(path: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """Another process with the file open; it ends with the block, and must still see what it saw."""
    command = [sys.executable, "-c", _HOLD, str(path), how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    try:
        yield process
        count, _ = process.communicate("\n", timeout=30)
        assert count == "0\n"
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def _values(path: Path) -> list[int]:
    with snapshot(path) as connection:
        return [row[0] for row in connection.execute("SELECT i FROM t ORDER BY i").fetchall()]


@pytest.mark.parametrize("how", ["read", "write"])
def test_a_file_that_is_held_open_is_changed_and_read_all_the_same(path: Path, how: str) -> None:
    with held(path, how):
        with rewriting(path, "second", start=path) as connection:
            connection.execute("INSERT INTO t VALUES (7)")
        assert _values(path) == [7]
        with duckdb.connect(str(path), read_only=True) as connection:
            assert connection.execute("SELECT i FROM t").fetchall() == [(7,)]


def test_the_log_of_a_notebook_that_was_killed_keeps_nobody_out(path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(path), "write"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    process.kill()
    process.wait()
    assert path.with_name(f"{path.name}.wal").exists()
    with rewriting(path, "second", start=path) as connection:
        connection.execute("INSERT INTO t VALUES (7)")
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT i FROM t").fetchall() == [(7,)]


def test_processes_that_change_one_file_take_turns_and_lose_nothing(path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", _ADD, str(path), str(n)]) for n in (0, 100)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    assert _values(path) == [*range(6), *range(100, 106)]


@pytest.mark.parametrize("when", ["open", "closed"])
def test_a_kill_leaves_the_old_file_and_what_it_left_is_swept(path: Path, when: str) -> None:
    killed = subprocess.run([sys.executable, "-c", _DIE, str(path), when], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert _values(path) == []
    assert [file for file in path.parent.iterdir() if ".dead." in file.name]
    with rewriting(path, "next", start=path) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    assert _values(path) == [1]
    assert sorted(file.name for file in path.parent.iterdir()) == [".small.duckdb.lock", "small.duckdb"]


@pytest.mark.parametrize("start", ["small.duckdb", "nothing.duckdb"])
def test_a_copy_is_filled_where_its_writer_has_made_and_locked_it(path: Path, start: str) -> None:
    temporary = path.with_name("made.tmp")
    temporary.touch()
    inode = temporary.stat().st_ino
    with closing(_open_copy(path.with_name(start), temporary)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (i BIGINT)")
    assert temporary.stat().st_ino == inode
    assert _values(temporary) == []


def test_a_failure_leaves_everything_as_it_was(path: Path) -> None:
    before = path.read_bytes()

    def fail() -> None:
        with rewriting(path, "second", start=path) as connection:
            connection.execute("INSERT INTO t VALUES (7)")
            raise RuntimeError("the stage failed")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == [".small.duckdb.lock", "small.duckdb"]


def test_a_disk_that_refuses_is_an_error_with_a_remedy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(LakeError, match="No space left"), rewriting(path, "second", start=path):
        pass
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"nonsense" * 4096)
    with pytest.raises(CorruptTableError, match=r"small\.duckdb cannot be read.*materialize"), snapshot(path):
        pass
    with pytest.raises(CorruptTableError), rewriting(path, "second", start=path):
        pass
    assert path.read_bytes() == b"nonsense" * 4096
