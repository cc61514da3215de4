"""Files of code, put together again from their chunks: the text with its lines where they are in the file.

Also what a path says of code: whether it is the owner's own, a test, a copy of somebody else's, or made by a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

import pyarrow as pa

from mesh_assets.insights.columns import column_of, equals, rows_where
from mesh_assets.insights.locators import ChunkText, chunk_texts
from mesh_assets.schemas.citations import Citation

_WORDS = re.compile(r"[^\W_]+")
_TESTS = frozenset({"test", "tests", "testing", "conftest", "spec", "specs", "fixtures", "testdata", "unittest"})
_VENDORED = frozenset({"vendor", "vendored", "thirdparty", "extern", "externals", "modules", "bower", "deps", "dist"})
_ASIDE = frozenset({"example", "examples", "benchmark", "benchmarks", "demo", "demos", "docs", "samples", "tutorials"})
_MADE = re.compile(r"(?i)do not edit|@generated|(?:auto(?:matically)?[- ]?|code )generated|generated (?:by|from|using)")
_MADE_NAMES = re.compile(r"(?:_pb2(?:_grpc)?\.py|\.pyi|\.d\.ts|\.min\.\w+|[-_.]bundle\.js)$")
_PACKED = 200  # characters a line
_HEAD = 3000  # characters in which a generator says that it was it
# Of what a finding is worth in the owner's own code.
_WORTH = {"made": 0.1, "test": 0.1, "vendored": 0.4, "aside": 0.4, "own": 1.0}


@dataclass(slots=True)
class CodeFile:
    """One file. `text` has the lines of the file, empty ones where no chunk lies."""

    path: str
    chunks: list[ChunkText]
    text: str = field(init=False)

    def __post_init__(self) -> None:
        parts: list[str] = []
        line, at = 1, -1
        for chunk in self.chunks:
            if chunk.byte_start < at:
                continue  # it overlaps the one before
            missing = chunk.line_start - line
            parts.append("\n" * missing)
            parts.append(chunk.text)
            line += max(missing, 0) + chunk.text.count("\n")
            at = chunk.byte_stop
        self.text = "".join(parts)

    @property
    def lines(self) -> int:
        """How many lines the file has, as far as chunks hold it."""
        return self.text.count("\n") + (not self.text.endswith("\n"))

    @property
    def origin(self) -> str:
        """own, test, vendored, aside (examples and the like) or made: by a program, or only to describe other code."""
        words = {word.lower() for word in _WORDS.findall(self.path)}
        is_packed = len(self.text) > _PACKED * self.lines  # no person writes such lines
        if is_packed or _MADE_NAMES.search(self.path) or _MADE.search(self.text[:_HEAD]):
            return "made"
        if words & _TESTS:
            return "test"
        if words & _VENDORED:
            return "vendored"
        return "aside" if words & _ASIDE else "own"

    @property
    def worth(self) -> float:
        """What a finding in the file is worth, of one in the owner's own code."""
        return _WORTH[self.origin]

    def cite(self, first: int, last: int) -> Citation:
        """A citation of lines that quotes the first of them; of their part in one chunk."""
        chunk = next((c for c in reversed(self.chunks) if c.line_start <= first), self.chunks[0])
        starts = [0, *(match.end() for match in re.finditer("\n", chunk.text)), len(chunk.text)]
        from_line = min(max(first - chunk.line_start, 0), len(starts) - 2)
        to_line = min(max(last - chunk.line_start + 1, from_line + 1), len(starts) - 1)
        return chunk.cite(starts[from_line], max(starts[to_line], starts[from_line]))


def code_files(chunks: Iterable[pa.RecordBatch]) -> Iterator[CodeFile]:
    """The files of code in a stream of chunks; those of one file come together."""
    for path, rows in groupby(_rows(chunks), key=lambda chunk: chunk.path):
        yield CodeFile(path, list(rows))


def _rows(chunks: Iterable[pa.RecordBatch]) -> Iterator[ChunkText]:
    for batch in chunks:
        yield from chunk_texts(rows_where(batch, equals(column_of(batch, "kind"), "code")))
