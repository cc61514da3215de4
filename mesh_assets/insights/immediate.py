"""What is in a drop, told in seconds from a sample, before any of it is read: kinds, languages, what looks wrong.

Two samples of files, each taken at even steps through the files in the order of ending and folder, so that every part
of the drop is in them in proportion (systematic sampling, Madow 1949): in one a file's chance is its size, which tells
shares of the bytes; in the other all files have the same chance, which tells how many are wrong. Shares come with the
interval of Wilson (1927). How long the rest will take is in `expected_time`.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.errors import SourceError
from mesh_assets.insights.secrets import find_secrets
from mesh_assets.insights.wording import plural, share
from mesh_assets.intake.kinds import SAMPLE_BYTES, Detected, detect
from mesh_assets.intake.languages import Languages
from mesh_assets.intake.sources import open_inside
from mesh_assets.intake.walk import Listing
from mesh_assets.schemas.rejects import printable
from mesh_assets.wording import size

# Files drawn by size, and by number: shares are within 5% of the truth nineteen times of twenty.
DRAWN = 400
# For the walk and for the reading, in seconds.
WALK_SECONDS, READ_SECONDS = 6.0, 6.0
_TAIL_BYTES = 4096
_SECRET_CHARACTERS = 16_384
_NORMAL_95 = 1.96
# Files of one sort stand together, and among them those of one folder.
_BY_ENDING = [pl.col("path").str.extract(r"(\.[^./]+)$"), pl.col("path").str.extract(r"^(.*)/"), pl.col("path")]
# Endings of formats that are told by their first bytes: a file that is called so and is text is damaged, or misnamed.
_TOLD_BY_BYTES = frozenset(
    ".pdf .png .jpg .jpeg .gif .webp .tif .tiff .zip .gz .zst .parquet .docx .xlsx .pptx .epub .mp3 .mp4 .wav .flac "
    ".ogg .mkv .avi .mov .sqlite .db .arrow .feather".split()
)
_ARCHIVES = frozenset(("zip", "tar", "gzip", "bzip2", "xz", "zstd"))
_ENCRYPTED_PDF = re.compile(rb"/Encrypt\s+\d+\s+\d+\s+R")
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a drop, 0..1, with the interval in which the true one lies nineteen times of twenty."""

    likely: float
    low: float
    high: float

    def __str__(self) -> str:
        return share(self.likely, 1.0)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that looks wrong: how many files, as a share of them where they were drawn, and one of them."""

    what: str
    files: Share | int
    example: str

    @property
    def statement(self) -> str:
        """One sentence."""
        if isinstance(self.files, int):
            many = plural(self.files, "file or folder", "files or folders")
            return f"{many}: {self.what}, as {self.example}."
        low, high = share(self.files.low, 1.0), share(self.files.high, 1.0)
        return f"About {self.files} of the files ({low} to {high}): {self.what}, as {self.example}."


@dataclass(frozen=True, slots=True)
class Immediate:
    """What a look into a folder told. `is_whole` says whether all of it was listed in the time: else `files` and
    `bytes` are what was met until then. Shares in `kinds` and `formats` are of bytes, in `languages` of texts drawn.
    """

    files: int
    bytes: int
    is_whole: bool
    drawn: int
    kinds: Mapping[str, Share] = field(default_factory=dict[str, Share])
    formats: Mapping[str, Share] = field(default_factory=dict[str, Share])
    languages: Mapping[str, Share] = field(default_factory=dict[str, Share])
    problems: tuple[Problem, ...] = ()

    @property
    def bytes_by_kind(self) -> dict[str, float]:
        """The bytes that each kind is likely to have."""
        return {kind: found.likely * self.bytes for kind, found in self.kinds.items()}

    def statements(self) -> Iterator[str]:
        """What a person reads: what is in there, then what looks wrong."""
        yield from self._content()
        yield from (problem.statement for problem in self.problems)

    def rows(self, dataset: str) -> Iterator[dict[str, object]]:
        """The same as rows of `IMMEDIATE_INSIGHTS`."""
        said: list[dict[str, object]] = [{"type": "content", "statement": each} for each in self._content()]
        for kind, found in self.kinds.items():
            statement = f"{kind} is {found} of the bytes."
            said.append(
                {
                    "type": "kind",
                    "statement": statement,
                    "kind": kind,
                    "bytes": found.likely * self.bytes,
                    **asdict(found),
                }
            )
        for problem in self.problems:
            found = problem.files
            numbers = {"files": found} if isinstance(found, int) else asdict(found)
            said.append({"type": "problem", "statement": problem.statement, "example": problem.example, **numbers})
        yield from ({"dataset": dataset, "number": number, **row} for number, row in enumerate(said))

    def _content(self) -> Iterator[str]:
        least = "" if self.is_whole else "At least "
        yield f"{least}{plural(self.files, 'file')}, {size(self.bytes)}."
        if self.kinds:
            listed = ", ".join(f"{kind} {found}" for kind, found in self.kinds.items())
            yield f"Of the bytes: {listed} ({plural(self.drawn, 'file')} looked at)."
        if self.formats:
            yield "Formats: " + ", ".join(f"{form} {found}" for form, found in list(self.formats.items())[:8]) + "."
        if self.languages:
            yield "Languages of texts: " + ", ".join(f"{name} {found}" for name, found in self.languages.items()) + "."


def told(root: Path, listing: Listing) -> Immediate:
    """What a listing of `root` and a sample of its files tell, within `READ_SECONDS`."""
    until = time.monotonic() + READ_SECONDS
    files = listing.files.select("path", "size").sort(_BY_ENDING)
    sizes = files["size"].to_numpy()
    paths = files["path"]
    seen = _Seen(root)
    by_size = [kept for row in _at_even_steps(sizes.astype(np.float64)) if (kept := seen.of(paths[row], until))]
    by_file = [kept for row in _at_even_steps(np.ones(len(sizes))) if (kept := seen.of(paths[row], until))]
    return Immediate(
        files=len(sizes),
        bytes=int(sizes.sum()),
        is_whole=listing.is_whole,
        drawn=len(seen.files),
        kinds=_shares(Counter(_kind(each.found) for each in by_size)),
        formats=_shares(Counter(each.found.format for each in by_size)),
        languages=_shares(Counter(each.language for each in by_file if each.language)),
        problems=(*_met(listing), *_drawn(by_file)),
    )


def _at_even_steps(weights: NDArray[np.float64]) -> list[int]:
    """Rows at even steps through the sum of the weights: all of them where there are no more than are drawn."""
    if len(weights) <= DRAWN and (not len(weights) or weights.min() == weights.max()):
        return list(range(len(weights)))
    total = np.cumsum(weights)
    steps = (np.arange(DRAWN) + 0.5) * (total[-1] / DRAWN)
    rows = cast("NDArray[np.int64]", np.searchsorted(total, steps))
    return np.minimum(rows, len(weights) - 1).tolist()


def _shares(counts: Counter[str]) -> dict[str, Share]:
    """Each count as a share of all, the largest first."""
    total = sum(counts.values())
    return {name: wilson(count, total) for name, count in counts.most_common()}


def wilson(count: int, total: int) -> Share:
    """`count` of `total` drawn, as a share with the score interval of Wilson (1927)."""
    z2 = _NORMAL_95**2
    likely = count / total
    centre = (count + z2 / 2) / (total + z2)
    reach = _NORMAL_95 * math.sqrt(likely * (1 - likely) * total + z2 / 4) / (total + z2)
    return Share(likely, min(likely, max(0.0, centre - reach)), max(likely, min(1.0, centre + reach)))


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    found: Detected
    language: str | None
    faults: tuple[str, ...]


class _Seen:
    """The files that were looked at, each once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._languages = Languages()
        self.files: dict[str, _File] = {}

    def of(self, path: str, until: float) -> _File | None:
        """What a file is by its first and last bytes; None once the time is up."""
        if path not in self.files:
            if time.monotonic() >= until:
                return None
            self.files[path] = self._look(path)
        return self.files[path]

    def _look(self, path: str) -> _File:
        try:
            with open_inside(self._root, path) as file:
                head = file.read(SAMPLE_BYTES) or b""
                length = file.seek(0, 2)
                file.seek(max(length - _TAIL_BYTES, 0))
                tail = file.read(_TAIL_BYTES) or b""
        except (SourceError, OSError) as error:
            reason = error.reason if isinstance(error, SourceError) else "unreadable"
            return _File(path, Detected("unknown", "unreadable"), None, (reason,))
        found = detect(head, path, whole=length <= len(head))
        text = head.decode(found.encoding, "replace") if found.encoding else ""
        language = self._languages.of(text) if found.kind == "text" and text else None
        return _File(path, found, language, tuple(_faults(path, found, head, tail, text)))


def _kind(found: Detected) -> str:
    return "archive" if found.format in _ARCHIVES else found.kind


def _faults(path: str, found: Detected, head: bytes, tail: bytes, text: str) -> Iterator[str]:
    ending = Path(path).suffix.lower()
    if found.encoding not in (None, "utf-8"):
        yield f"text in {found.encoding}, not UTF-8"
    if _is_encrypted(head, tail):
        yield "encrypted: it cannot be read without its password"
    elif found.kind == "unknown" and found.format not in _ARCHIVES:
        yield "of no kind that is read"
    elif ending in _TOLD_BY_BYTES and found.encoding is not None:
        yield f"called {ending} and no such file inside"
    if text and find_secrets(text[:_SECRET_CHARACTERS]):
        yield "what looks like passwords or keys in it"


def _is_encrypted(head: bytes, tail: bytes) -> bool:
    if head.startswith(b"%PDF"):
        return _ENCRYPTED_PDF.search(tail) is not None or _ENCRYPTED_PDF.search(head) is not None
    if head.startswith(b"PK\x03\x04"):
        return bool(int.from_bytes(head[6:8], "little") & 1)
    return head.startswith(b"\xd0\xcf\x11\xe0") and _ENCRYPTED_OFFICE in head


def _met(listing: Listing) -> Iterator[Problem]:
    """What the walk could not take, all of it."""
    reasons = Counter(reject.reason for reject in listing.rejects)
    for reason, count in reasons.most_common():
        path = next(each.path for each in listing.rejects if each.reason == reason)
        yield Problem(reason, count, printable(path))


def _drawn(files: list[_File]) -> Iterator[Problem]:
    """What is wrong with the files drawn, each with the same chance."""
    faults = Counter(fault for each in files for fault in each.faults)
    for fault, count in faults.most_common():
        path = next(each.path for each in files if fault in each.faults)
        yield Problem(fault, wilson(count, len(files)), printable(path))
