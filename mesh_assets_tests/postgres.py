"""A PostgreSQL server of the tests' own: a cluster in a temporary folder, on a socket there and a port of loopback.

No cluster of the machine is touched. The server refuses root, so root starts it as the user `postgres`.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

PASSWORD = "p@ss/word%41"
_USER = "postgres" if os.getuid() == 0 else getpass.getuser()
# Debian keeps each version's programs in a folder of its own, and none of them in PATH.
_PROGRAMS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)]


def programs() -> Path | None:
    """Folder of `initdb` and `pg_ctl`; None where there is no PostgreSQL."""
    found = shutil.which("initdb")
    return Path(found).parent if found else next((p for p in _PROGRAMS if (p / "initdb").exists()), None)


@dataclass(frozen=True)
class Server:
    """A server that runs. `url` needs no password, `tcp_url` does."""

    folder: Path
    port: int
    options: str

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}@/postgres?host={self.folder}&port={self.port}"

    @property
    def tcp_url(self) -> str:
        word = PASSWORD.replace("%", "%25").replace("@", "%40").replace("/", "%2F")
        return f"postgresql://{_USER}:{word}@127.0.0.1:{self.port}/postgres"

    def schema(self) -> str:
        """A name that no other test uses."""
        return f"mesh_{uuid4().hex[:12]}"

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 {self.options}"
        self._control("-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self, how: str = "fast") -> None:
        """`immediate` is a crash: what was not written is lost."""
        self._control("-m", how, "stop")

    def _control(self, *arguments: str) -> None:
        run("pg_ctl", "-D", str(self.folder / "cluster"), *arguments)


def run(program: str, *arguments: str) -> None:
    found = programs()
    assert found is not None
    other: dict[str, Any] = {"user": _USER, "group": _USER, "extra_groups": []} if os.getuid() == 0 else {}
    # What the server inherits of a pipe would stay open for as long as it runs.
    command = [str(found / program), *arguments]
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **other)


@contextmanager
def server(options: str = "") -> Generator[Server]:
    """A new cluster, gone at the end; `options` as `postgres` takes them."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-pg-"))
    try:
        (folder / "password").write_text(PASSWORD)
        if os.getuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, _USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        how = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={folder / 'password'}"]
        run("initdb", "-D", str(folder / "cluster"), "-U", _USER, "-N", "--locale=C", "-E", "UTF8", *how)
        made = Server(folder, port, options)
        made.start()
        try:
            yield made
        finally:
            with suppress(subprocess.CalledProcessError):  # a test may have stopped it
                made.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
