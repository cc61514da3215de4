"""Functions that stand in several places word for word, told folder by folder: a copied package is one thing to say."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from blake3 import blake3

from mesh_assets.insights.code_candidates import Candidate, Place
from mesh_assets.insights.code_files import CodeFile
from mesh_assets.insights.code_tools import FileReport
from mesh_assets.insights.wording import amount, plural

# Shorter functions are alike by chance. Functions that are remembered: about 100 MB.
_LEAST_LINES, _MAX_FUNCTIONS = 12, 400_000
# Lines that must be copied to be said, within a file and across files: what is less is quicker read than told.
_LEAST_WITHIN, _LEAST_ACROSS = 60, 40
_MAX_COPIES = 20  # of one function
_ASYNC = re.compile(r"(?i)_?a?sync(?:io|hronous)?_?")
_IGNORED = re.compile(r"\s*(?:#|//|\*|/\*).*")


@dataclass(slots=True)
class _Copied:
    """What two folders, or two files, have in common."""

    functions: int = 0
    lines: int = 0
    files: set[str] = field(default_factory=set[str])
    longest: tuple[int, str, Place, Place] | None = None
    worth: float = 0.0


class Copies:
    """Gathers functions file by file."""

    def __init__(self) -> None:
        self._seen: dict[bytes, list[tuple[Place, str, int, float]]] = defaultdict(list)
        self.functions = 0
        self.copied = 0

    def add(self, file: CodeFile, report: FileReport) -> None:
        """The functions of one file."""
        lines = file.text.split("\n")
        for name, first, last, _, size in report.functions:
            if size < _LEAST_LINES or self.functions >= _MAX_FUNCTIONS:
                continue
            kept = [line.strip() for line in lines[first:last] if line.strip() and not _IGNORED.fullmatch(line)]
            if len(kept) >= _LEAST_LINES - 1:
                self.functions += 1
                digest = blake3("\n".join(kept).encode("utf-8", "surrogatepass")).digest(length=12)
                self._seen[digest].append((Place(file.path, first, last), name, len(kept), file.worth))

    def candidates(self) -> Iterator[Candidate]:
        """What is copied, folder by folder."""
        found: dict[tuple[str, str], _Copied] = defaultdict(_Copied)
        for places in self._seen.values():
            self.copied += len(places) - 1
            origin = places[0]
            for other in places[1:_MAX_COPIES]:
                copied = found[_folders(origin[0].path, other[0].path)]
                copied.functions += 1
                copied.lines += origin[2]
                copied.files.add(other[0].path)
                copied.worth = max(copied.worth, min(origin[3], other[3]))
                if copied.longest is None or copied.longest[0] < origin[2]:
                    copied.longest = origin[2], origin[1], origin[0], other[0]
        for (one, other), copied in found.items():
            yield from self._candidate(one, other, copied)

    def _candidate(self, one: str, other: str, copied: _Copied) -> Iterator[Candidate]:
        if copied.longest is None or copied.lines < (_LEAST_WITHIN if one == other else _LEAST_ACROSS):
            return
        size, name, place, copy = copied.longest
        # Twins for waiting and not waiting are made from one source, or cannot be one.
        is_twin = _ASYNC.sub("", one) == _ASYNC.sub("", other)
        where = f"{one} itself" if one == other else f"{other}"
        many = f" in {plural(len(copied.files), 'file')}" if len(copied.files) > 1 else ""
        what = "stands" if copied.functions == 1 else "stand"
        yield Candidate(
            sort="copies",
            title=f"Copied code: {one} and {other}" if one != other else f"Copied code within {one}",
            statement=f"{plural(copied.functions, 'function')} of {one} ({amount(copied.lines)} lines) {what} word for "
            f"word in {where} too{many}; the longest is {name}, {amount(size)} lines.",
            severity=0.4 + 0.35 * min(math.log10(max(copied.lines, 12) / 12) / 2.2, 1.0),
            confidence=0.95,
            worth=copied.worth * (0.4 if is_twin else 1.0),
            places=(place, copy),
            name=name,
            value={"functions": copied.functions, "lines": copied.lines, "all_functions": self.functions},
        )


def _folders(one: str, other: str) -> tuple[str, str]:
    """The two paths without the part at their ends that is the same; whole paths where only the file's name is."""
    own, others = list(PurePosixPath(one).parts), list(PurePosixPath(other).parts)
    if own == others or own[-1] != others[-1] or (own[-2:] != others[-2:] and own[-1] == "__init__.py"):
        return one, other
    same = 0
    while same < min(len(own), len(others)) and own[-1 - same] == others[-1 - same]:
        same += 1
    same -= same == min(len(own), len(others))  # one is the whole of the other: say the folder that was copied
    return "/".join(own[: len(own) - same]), "/".join(others[: len(others) - same])
