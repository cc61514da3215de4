"""`code_findings`: what stands out in the code of a slice, ranked over all sorts, each with the lines that show it.

Hot spots, code that is copied, dead or wrong, risky calls, and circles of imports. The code is read and never run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

import pyarrow as pa

from mesh_assets.insights.code_candidates import Candidate, Place, ranked
from mesh_assets.insights.code_copies import Copies
from mesh_assets.insights.code_files import CodeFile, code_files
from mesh_assets.insights.code_imports import Imports
from mesh_assets.insights.code_names import NameCounts
from mesh_assets.insights.code_risks import risks_of
from mesh_assets.insights.code_shapes import Complexities, Unmentioned, wrongs_of
from mesh_assets.insights.code_tools import FileReport, code_tools
from mesh_assets.insights.columns import column_of, equals, is_in, rows_where
from mesh_assets.insights.locators import CHUNK_COLUMNS
from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.wording import plural
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.insights import CODE_FINDINGS
from mesh_assets.schemas.outcome import Outcome

COLUMNS = CHUNK_COLUMNS
BATCH_ROWS = 4096
# Reads the chunks of the slice with these columns, as often as it is called.
Reading = Callable[[Sequence[str]], Iterable[pa.RecordBatch]]
# Of files that are no code, where names of it may be written too (settings, documents): so many characters.
_OTHER_TEXT = 50_000_000
_OTHERS = ("text", "structured")
# Of the code of a slice, so many characters are read by the tools, a million lines: two minutes or three of one core.
MAX_CHARACTERS = 40_000_000
# Where a finding is not worth a person's time, only the names count.
_NOT_READ = frozenset({"made", "test"})
# What is remembered of single files until all are read.
_MAX_CANDIDATES = 20_000


def code_finding_batches(
    read: Reading,
    *,
    dataset: str,
    slice_key: str,
    outcome: Outcome,
    is_whole: bool,
    commits: Mapping[str, int] | None = None,
    most: int = MAX_CHARACTERS,
) -> Iterator[pa.RecordBatch]:
    """One batch of `CODE_FINDINGS`, best first; none where the slice holds no code or nothing is to be said.

    `is_whole` says whether the slice holds all of its dataset: only then can it be told what nobody mentions.
    `commits` is how often each path was changed, where a history is known. `outcome` advances with the chunks. Code
    beyond `most` characters is not read by the tools, and that is said.
    """
    if not any(equals(column_of(batch, "kind"), "code").any() for batch in read(["kind"])):
        outcome.advance(outcome.total)
        return
    survey = _Survey(is_whole=is_whole, commits=commits or {}, most=most)
    survey.read(read(COLUMNS), outcome)
    found = ranked(survey.candidates(), survey.names)
    citations = _citations(read(COLUMNS), {place for _, each in found for place in each.places})
    insights = [_insight(score, each, citations) for score, each in found]
    rows = [each.row(dataset=dataset, slice_key=slice_key) for each in [*insights, *survey.told()]]
    distinct: dict[str, dict[str, object]] = {}
    for row in rows:
        distinct.setdefault(str(row["insight_id"]), row)  # the better of two comes first and keeps its place
    if distinct:
        yield CODE_FINDINGS.batch(list(distinct.values()))


class _Survey:
    """Reads the files of a slice and gathers what may be said of them."""

    def __init__(self, *, is_whole: bool, commits: Mapping[str, int], most: int) -> None:
        self.names = NameCounts()
        self._most = most
        self._is_whole = is_whole
        self._commits = commits
        self._single: list[Candidate] = []
        self._copies, self._complexities = Copies(), Complexities()
        self._unmentioned, self._imports = Unmentioned(), Imports()
        self._others = self._read = self._left = 0
        self._unread: list[str] = []
        self._missing: tuple[str, ...] = ()

    def read(self, chunks: Iterable[pa.RecordBatch], outcome: Outcome) -> None:
        """Take in all chunks."""
        with code_tools() as tools:
            for file in code_files(self._counted(chunks, outcome)):
                self.names.add(file.text)
                if file.origin in _NOT_READ:
                    continue
                if self._read > self._most:
                    self._left += 1
                    continue
                self._read += len(file.text)
                report = tools.read(file.path, file.text)
                if report is None or report.failed:
                    self._unread.append(file.path)
                if report is not None:
                    self._add(file, report)
            self._missing = tools.missing

    def _counted(self, chunks: Iterable[pa.RecordBatch], outcome: Outcome) -> Iterator[pa.RecordBatch]:
        for batch in chunks:
            yield batch
            for kind in _OTHERS:
                rows = rows_where(batch, equals(column_of(batch, "kind"), kind))
                if rows.num_rows and self._others < _OTHER_TEXT:
                    text = "\n".join(cast("list[str]", column_of(rows, "text").to_pylist()))
                    self._others += len(text)
                    self.names.add(text)
            outcome.advance(batch.num_rows)

    def _add(self, file: CodeFile, report: FileReport) -> None:
        if len(self._single) < _MAX_CANDIDATES:
            self._single += [*risks_of(file, report), *wrongs_of(file, report)]
        for name, *_ in report.functions:
            self.names.define(name)
        for part in (self._copies, self._complexities, self._unmentioned, self._imports):
            part.add(file, report)

    def candidates(self) -> Iterator[Candidate]:
        """Everything that may be said."""
        yield from self._single
        yield from self._copies.candidates()
        yield from self._complexities.candidates(self._commits, self.names)
        yield from self._imports.candidates()
        if self._is_whole:
            yield from self._unmentioned.candidates(self.names)

    def told(self) -> Iterator[Insight]:
        """What could not be looked at, and what was not told for a reason."""
        said: list[str] = []
        if self._missing:
            listed = " and ".join(self._missing)
            said.append(f"{listed} {'is' if len(self._missing) == 1 else 'are'} not installed, so that less is found")
        if self._unread:
            broken = plural(len(self._unread), "file")
            said.append(f"{broken} too long, too slow or too odd for the tools, as {self._unread[0]}")
        if self._left:
            said.append(f"{plural(self._left, 'file')} behind the first {self._most / 1e6:.0f} MB of code")
        if not self._is_whole:
            said.append("what nobody mentions is not told, because other slices of the dataset may")
        if said:
            yield Insight(
                kind="code",
                type="code_limits",
                title="What was not looked at in the code",
                statement="; ".join([said[0][:1].upper() + said[0][1:], *said[1:]]) + ".",
                score=0.1,
                value={"files": self._unread[:20], "tools": list(self._missing)},
            )


def _citations(chunks: Iterable[pa.RecordBatch], places: set[Place]) -> dict[Place, Citation]:
    """Citations of the places: the files that have one are read again."""
    by_path: dict[str, list[Place]] = {}
    for place in places:
        by_path.setdefault(place.path, []).append(place)
    paths = sorted(by_path)
    wanted = (rows_where(batch, is_in(column_of(batch, "path"), paths)) for batch in chunks)
    return {place: file.cite(place.first, place.last) for file in code_files(wanted) for place in by_path[file.path]}


def _insight(score: float, candidate: Candidate, citations: Mapping[Place, Citation]) -> Insight:
    return Insight(
        kind="code",
        type=f"code_{candidate.sort.replace(' ', '_')}",
        title=candidate.title,
        statement=candidate.statement,
        score=score,
        value=candidate.value,
        evidence=tuple(citations[place] for place in candidate.places if place in citations),
    )
