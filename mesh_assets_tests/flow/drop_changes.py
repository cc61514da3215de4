"""What people do to drops: files of several kinds come, grow, change, change back, move and go. Expects nothing."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

WORDS = (
    "ferry harbour fog engine invoice customer timeout retry ledger museum bridge carbon orbit kernel socket "
    "parser margin winter garden signal tunnel copper violin desert ocean planet budget ticket driver memory"
).split()
FOLDERS = ("", "a", "a/b", "c d", "\u00fcber")
NASTY_NAMES = (
    "plain",
    "two words",
    "\u65e5\u672c\u8a9e",
    "<img src=x onerror=alert(1)>",
    "[link](javascript:alert)",
    "new\nline",
    "quote'\"`",
    "-rf",
    "per%2Fcent",
    "back\\slash",
    ".hidden",
    "comma,semi;colon",
    "x" * 200,
    "not-utf8-\udce9",
    "a.b.c",
)


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(4, 12))).capitalize() + "."


def _markdown(rng: random.Random) -> str:
    sentences = " ".join(_sentence(rng) for _ in range(rng.randint(1, 12)))
    return f"## {_sentence(rng)}\n\n{sentences}\n\n"


def _moment(rng: random.Random) -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=rng.randint(0, 500_000))


def _log(rng: random.Random) -> str:
    level = rng.choice(("INFO", "INFO", "WARNING", "ERROR"))
    return f"{_moment(rng):%Y-%m-%d %H:%M:%S},{rng.randint(0, 999):03d} {level} {rng.choice(WORDS)}: {_sentence(rng)}\n"


def _syslog(rng: random.Random) -> str:
    return f"{_moment(rng):%b %e %H:%M:%S} host {rng.choice(WORDS)}[{rng.randint(1, 99)}]: {_sentence(rng)}\n"


def _csv(rng: random.Random) -> str:
    return f"{rng.randint(1, 999)},{rng.choice(WORDS)},{rng.random():.3f}\n"


def _jsonl(rng: random.Random) -> str:
    return f'{{"id": {rng.randint(1, 999)}, "name": "{rng.choice(WORDS)}", "note": "{_sentence(rng)}"}}\n'


def _python(rng: random.Random) -> str:
    name, other = rng.sample(WORDS, 2)
    return f'def {name}_{rng.randint(1, 99)}({other}):\n    """{_sentence(rng)}"""\n    return {other} + 1\n\n\n'


def _junk(rng: random.Random) -> str:
    return rng.randbytes(40).decode("latin-1")


# Kind: (suffix, how the file begins, one piece of it).
KINDS: dict[str, tuple[str, str, Callable[[random.Random], str]]] = {
    "markdown": (".md", "# Notes\n\n", _markdown),
    "text": (".txt", "", lambda rng: f"{_sentence(rng)} {_sentence(rng)}\n\n"),
    "log": (".log", "", _log),
    "syslog": (".syslog", "", _syslog),
    "csv": (".csv", "id,name,value\n", _csv),
    "jsonl": (".jsonl", "", _jsonl),
    "python": (".py", "import os\n\n\n", _python),
    "junk": (".bin", "", _junk),
}


class Drops:
    """The drop area of a test and what was done to it. Each choice comes from numbers, so that it can be repeated."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._former: dict[Path, list[bytes]] = {}

    def files(self) -> list[Path]:
        """Every file of every dataset, in order."""
        return sorted(path for path in self.root.rglob("*") if path.is_file())

    def pick(self, number: int) -> Path:
        """One of the files."""
        files = self.files()
        return files[number % len(files)]

    def add(self, dataset: str, folder: str, name: str, kind: str, pieces: int, seed: int) -> None:
        """A new file, or other content in the place of one that is there."""
        suffix, head, piece = KINDS[kind]
        path = self.root / dataset / folder / f"{name}{suffix}"
        rng = random.Random(seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, (head + "".join(piece(rng) for _ in range(pieces))).encode("utf-8", "surrogateescape"))

    def append(self, path: Path, pieces: int, seed: int) -> None:
        """More of the same at the end."""
        rng = random.Random(seed)
        piece = next((piece for suffix, _, piece in KINDS.values() if path.name.endswith(suffix)), _log)
        self._remember(path)
        with path.open("ab") as file:
            file.write("".join(piece(rng) for _ in range(pieces)).encode())

    def edit(self, path: Path, seed: int, *, in_place: bool) -> None:
        """A line more, a line less or another line, somewhere."""
        rng = random.Random(seed)
        lines = path.read_bytes().splitlines(keepends=True)
        at = rng.randrange(len(lines) + 1)
        gone = rng.randint(0, 1)
        new = [f"{_sentence(rng)}\n".encode()] if rng.random() < 0.7 or not gone else []
        lines[at : at + gone] = new
        self._write(path, b"".join(lines), in_place=in_place)

    def edit_back(self, path: Path) -> None:
        """What it was before its last change."""
        former = self._former.get(path)
        if former:
            path.write_bytes(former.pop())

    def move(self, path: Path, target: Path) -> None:
        """Rename; whatever was there is replaced."""
        if path != target and not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            self._former.pop(path, None)

    def touch(self, path: Path, *, year: int | None) -> None:
        """Another modification time, now or in a year long ago."""
        moment = datetime(year, 6, 1, tzinfo=UTC).timestamp() if year else None
        os.utime(path, None if moment is None else (moment, moment))

    def delete(self, path: Path) -> None:
        """Gone, and its folder with it where that is empty (but never the dataset)."""
        path.unlink()
        parent = path.parent
        while len(parent.relative_to(self.root).parts) > 1 and not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent

    def delete_folder(self, folder: Path) -> None:
        """Gone with everything in it; a dataset stays as an empty folder."""
        shutil.rmtree(folder)
        if folder.parent == self.root:
            folder.mkdir()

    def _remember(self, path: Path) -> None:
        if path.is_file():
            self._former.setdefault(path, []).append(path.read_bytes())

    def _write(self, path: Path, content: bytes, *, in_place: bool = True) -> None:
        self._remember(path)
        if in_place:
            path.write_bytes(content)
        else:  # as editors do: another inode
            beside = self.root.parent / "being-written"
            beside.write_bytes(content)
            beside.replace(path)
