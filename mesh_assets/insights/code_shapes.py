"""Functions that are more complex than the others of the slice, code that is never reached, and names nobody mentions.

What is usual is told by all functions of the slice, so that what stands out in one code base need not in another.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh_assets.insights.code_candidates import Candidate, Place
from mesh_assets.insights.code_files import CodeFile
from mesh_assets.insights.code_names import NameCounts, short_name
from mesh_assets.insights.code_tools import PYTHON, FileReport
from mesh_assets.insights.wording import amount, plural

# McCabe (1976) takes 10 for much; a function is worth a word from here on, where few others pass it.
_LEAST_COMPLEXITY, _SHARE, _FEW = 25, 0.005, 5
# Branches that lie in each other count more often than paths; where they do not, they stand in a row, as one `if` for
# each parameter, and are read one by one.
_LEAST_NESTING, _IN_A_ROW = 1.5, 0.4
_KEPT = 500
# Names that are gathered to be looked up when all is read.
_MAX_NAMES = 200_000
_SHOWN = 5
# Shorter definitions are not worth looking at.
_LEAST_DEAD = 6
# So many of one file are rather called from what the dataset does not hold, as a compiled module, than forgotten.
_CALLED_FROM_ELSEWHERE = 3
# Commits from which on a file counts as often changed, whatever the others are.
_LEAST_COMMITS = 5


def wrongs_of(file: CodeFile, report: FileReport) -> Iterator[Candidate]:
    """Mistakes that the syntax tree shows, and statements that are never reached."""
    for kind, said, first, last in report.mistakes:
        around = [name for name, start, stop, *_ in report.functions if start <= first <= stop]
        yield Candidate(
            sort="mistake",
            title=f"Mistake in {file.path}, line {first}",
            statement=f"{file.path}, line {first}{f', in {around[-1]}' if around else ''}: {said}.",
            severity=_MISTAKES.get(kind, 0.6),
            confidence=0.5 if kind == "same branches" else 0.9,
            worth=file.worth,
            places=(Place(file.path, first, last),),
            name=around[-1] if around else "",
            detail=kind,
            value={"mistake": kind},
        )
    lines = file.text.split("\n")
    for first, last, message in report.unreachable:
        opening = lines[first - 1].strip() if first <= len(lines) else ""
        # `return` before `yield` makes a generator that gives nothing, and `if True` or `if False` is there on purpose.
        if "condition" not in message and not opening.startswith(
            ("yield", "raise NotImplementedError", "assert False", "pass")
        ):
            yield Candidate(
                sort="dead",
                title=f"Never reached: {file.path}, line {first}",
                statement=f"{file.path}, lines {first} to {last}, are never reached: {message}.",
                severity=0.4 + 0.25 * min((last - first) / 10, 1.0),
                confidence=0.9,
                worth=file.worth,
                places=(Place(file.path, first, last),),
                detail="unreachable",
                value={"lines": last - first + 1},
            )


# How bad a mistake is: what is lost or breaks, before what only does nothing.
_MISTAKES = {
    **dict.fromkeys(("not raised", "format", "always true", "undefined", "not awaited", "no tuple"), 0.9),
    **dict.fromkeys(("lost value", "replaced", "dead branch", "dead handler", "joined", "evaluated once"), 0.75),
    **dict.fromkeys(("unfilled", "stripped", "wrong error"), 0.7),
    **dict.fromkeys(("no effect", "swallows errors", "said twice"), 0.65),
    **dict.fromkeys(("identity", "same branches"), 0.5),
}


@dataclass(frozen=True, slots=True, order=True)
class _Function:
    complexity: int
    size: int
    name: str
    place: tuple[str, int, int]
    worth: float
    depth: int  # branches, each with those around it; -1 where nothing tells


class Complexities:
    """Cyclomatic complexities of all functions, and the most complex of them."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._most: list[_Function] = []

    def add(self, file: CodeFile, report: FileReport) -> None:
        """The functions of one file."""
        depths = dict(report.depths)
        for name, first, last, complexity, size in report.functions:
            self._counts[complexity] += 1
            if complexity >= _LEAST_COMPLEXITY and file.origin in ("own", "vendored"):
                place = file.path, first, last
                heapq.heappush(self._most, _Function(complexity, size, name, place, file.worth, depths.get(first, -1)))
                if len(self._most) > _KEPT:
                    heapq.heappop(self._most)

    def _passed_by(self, count: float) -> int:
        """The least complexity that no more than so many functions pass."""
        left = count
        for complexity in sorted(self._counts, reverse=True):
            left -= self._counts[complexity]
            if left < 0:
                return complexity
        return 0

    def candidates(self, commits: Mapping[str, int], names: NameCounts) -> Iterator[Candidate]:
        """Functions that stand out; `commits` says how often files were changed, where a history is known."""
        total = self._counts.total()
        usual = self._passed_by(total / 2)
        high = max(self._passed_by(max(_SHARE * total, _FEW)), _LEAST_COMPLEXITY)
        above = sum(count for complexity, count in self._counts.items() if complexity > high)
        busy = max(sorted(commits.values())[int(0.9 * len(commits))], _LEAST_COMMITS) if commits else 0
        for each in self._most:
            if each.complexity <= high:
                continue
            path, first, last = each.place
            changes = commits.get(path, 0)
            users = names.users(each.name)
            said = f" {plural(users, 'other file')} mention{'s' if users == 1 else ''} its name." if users else ""
            changed = f" The file was changed in {plural(changes, 'commit')}." if changes else ""
            is_busy = bool(busy) and changes >= busy
            yield Candidate(
                sort="hot spot",
                title=f"Complex: {each.name} in {path}",
                statement=f"{each.name} in {path} has {amount(each.complexity)} paths through {amount(each.size)} "
                f"lines of code; half of the {plural(total, 'function')} have no more than {amount(usual)}, and "
                f"{plural(above, 'function')} more than {amount(high)}.{said}{changed}",
                severity=0.35 + 0.35 * min(math.log2(each.complexity / high) / 2, 1.0) + 0.2 * is_busy,
                confidence=_IN_A_ROW if 0 <= each.depth < _LEAST_NESTING * each.complexity else 0.9,
                worth=each.worth,
                places=(Place(path, first, last),),
                name=each.name,
                value={
                    **dict[str, object](complexity=each.complexity, lines=each.size, median=usual, high=high),
                    **({"commits": changes} if changes else {}),
                },
            )


class Unmentioned:
    """Definitions whose names are written nowhere but where they are defined.

    Told of a whole dataset only: what one slice does not mention another may. What is called by a name that is put
    together at run time looks dead; names of which a beginning stands somewhere are left out for that.
    """

    def __init__(self) -> None:
        self._defined: list[tuple[str, str, int, int, str, float]] = []
        self._times: Counter[str] = Counter()

    def add(self, file: CodeFile, report: FileReport) -> None:
        """What one file defines."""
        if len(self._defined) > _MAX_NAMES:
            return
        rows = report.defined
        if not file.path.endswith(PYTHON):  # in Python what a decorator hands over is not among those that are defined
            rows = [(name, "function", first, last) for name, first, last, *_ in report.functions]
        for name, kind, first, last in rows:
            short = short_name(name)
            self._times[short] += 1
            if not short.startswith("__") and short.isidentifier():
                inherited = kind == "method" and any(start < first <= stop for start, stop in report.inheriting)
                if not inherited:  # else a base class may call it
                    self._defined.append((file.path, short, first, last, kind, file.worth))

    def candidates(self, names: NameCounts) -> Iterator[Candidate]:
        """By file, what nobody mentions: what is private, and the rest with less confidence."""
        found: dict[tuple[str, bool], list[tuple[str, str, int, int, str, float]]] = {}
        for row in self._defined:
            name, is_private = row[1], row[1].startswith("_")
            if names.times(name) <= self._times[name] and not names.may_be_put_together(name):
                found.setdefault((row[0], is_private), []).append(row)
        for (path, is_private), rows in found.items():
            rows.sort(key=lambda row: row[3] - row[2], reverse=True)
            lines = sum(row[3] - row[2] + 1 for row in rows)
            if lines < _LEAST_DEAD:
                continue
            listed = ", ".join(row[1] for row in rows[:_SHOWN]) + (" ..." if len(rows) > _SHOWN else "")
            verb = "is" if len(rows) == 1 else "are"
            told = f"{verb} private and" if is_private else verb
            others = "" if is_private else "; who uses the dataset from outside may need it"
            yield Candidate(
                sort="dead",
                title=f"Nobody mentions: {rows[0][1]} in {path}",
                statement=f"{path} defines {listed} ({amount(lines)} lines), which {told} mentioned nowhere else in "
                f"the dataset{others}.",
                severity=0.5 + 0.2 * min(lines / 100, 1.0),
                confidence=0.85 if is_private and len(rows) < _CALLED_FROM_ELSEWHERE else 0.4,
                worth=rows[0][5],
                places=tuple(Place(path, row[2], row[3]) for row in rows[:_SHOWN]),
                detail="unmentioned",
                value={"names": [row[1] for row in rows[:50]], "lines": lines},
            )
