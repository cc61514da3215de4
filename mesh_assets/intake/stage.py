"""The two tables of intake: the manifest of a dataset, and the sources of a slice as they were read."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
from blake3 import blake3

from mesh_assets.errors import SourceError
from mesh_assets.intake.extents import ADDED, CHANGED, DELETED, Extent, manifest_batches, manifest_frame
from mesh_assets.intake.kinds import SAMPLE_BYTES, Detected, detect, is_appendable
from mesh_assets.intake.languages import Languages
from mesh_assets.intake.parts import WHOLE_FILES, Splitter
from mesh_assets.intake.planner import Plan, plan_slices
from mesh_assets.intake.sources import (
    PROBE_BYTES,
    Identity,
    check_identity,
    has_grown,
    identity,
    open_inside,
    probe,
    read_range,
)
from mesh_assets.intake.walk import Listing
from mesh_assets.schemas.extents import SOURCES
from mesh_assets.schemas.outcome import Outcome, Produced, in_batches
from mesh_assets.schemas.rejects import Reject, printable
from mesh_assets.slices import SliceKey


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest to be published, and its slices with the version at which each last changed."""

    produced: Produced
    slices: dict[str, int]


def next_manifest(
    dataset: str,
    previous: Iterable[pa.RecordBatch],
    footer: Mapping[str, Any],
    listing: Listing,
    *,
    target: int,
    retired: Collection[str] = (),
    splitter: Splitter = WHOLE_FILES,
) -> Manifest:
    """The manifest after the one with these batches of `EXTENTS` and this footer; both are empty for the first.

    Slices that are `retired` are left out. `version` counts the manifests in which a slice changed, and never goes
    down. It starts with the time in ms, so that a dataset whose state was deleted goes on above what the sensors
    remember of it.
    """
    gone = pl.Series("gone", [SliceKey.parse(key).number for key in retired], pl.Int32())
    plan = plan_slices(
        dataset,
        manifest_frame(previous).filter(~pl.col("number").is_in(gone.implode())),
        listing,
        version=footer.get("version", time.time_ns() // 1_000_000),
        target=target,
        last_slice=footer.get("last_slice", -1),
        splitter=splitter,
    )
    return Manifest(_produced(plan, listing), plan.slices)


def _produced(plan: Plan, listing: Listing) -> Produced:
    known = plan.frame.lazy().select("path").collect()["path"]
    waiting = len(listing.growing.keys() - set(known.filter(known.is_in(list(listing.growing))).to_list()))
    outcome = Outcome("files", total=plan.files + len(listing.rejects) + waiting, skipped=waiting)
    slices = plan.slices
    extra: dict[str, object] = {
        "version": plan.version,
        "digest": listing.digest,
        "slices": slices,
        "sizes": plan.sizes,
        # What retires the slices that hold nothing any more, and keeps their numbers from being used again.
        "emptied": plan.emptied,
        "last_slice": plan.last_slice,
        "growing": _growing(plan, listing),
    }
    shown: dict[str, object] = {
        **{change: plan.count(change) for change in (ADDED, CHANGED, DELETED)},
        "slices": len(slices),
        "manifest_version": plan.version,
        "waiting_until_quiet": waiting,
    }
    return Produced(_manifest_batches(plan, listing.rejects, outcome), outcome, listing.digest, extra, shown)


def _growing(plan: Plan, listing: Listing) -> dict[str, tuple[float, int]]:
    """When each growing file was looked at, and where it was taken to: what `Growth.taken` reads."""
    before = {path: last for path, last in listing.growth.taken.items() if path in listing.growing}
    return before | {path: (listing.now, stop) for path, stop in plan.taken.items()}


def _manifest_batches(plan: Plan, rejects: Iterable[Reject], outcome: Outcome) -> Iterator[pa.RecordBatch]:
    for reject in rejects:
        outcome.reject(reject)
    yield from manifest_batches(plan.frame, plan.dataset)
    # Each file has one extent that starts at 0; rows of slices emptied before stand for no file of this walk or the
    # last.
    outcome.advance(plan.done)


def slice_input_hash(extents: Sequence[Extent]) -> str:
    """Identifies the extents of a slice that are there, whatever happened to them since the manifest before.

    By its version, which tells every change of a file; not by what a file has become behind its extent.
    """
    facts = sorted((e.path, e.start, e.stop, e.unit, e.slice_version) for e in extents if e.is_live)
    return blake3(repr(facts).encode("utf-8", "surrogateescape")).hexdigest(length=16)


# What tells a file from what it was, for the stages behind.
_CONTENT = ("path", "start", "content_hash", "head_hash", "kind", "format", "encoding")


class SourceReader:
    """Streams each extent of a slice once: hash, kind, format, encoding, language. Keeps no copy."""

    def __init__(self, root: Path, extents: Sequence[Extent], outcome: Outcome) -> None:
        self._root = root
        self._extents = extents
        self._outcome = outcome
        self._digest = blake3()

    def batches(self, footer: dict[str, object]) -> Iterator[pa.RecordBatch]:
        """Batches of `SOURCES`, in the order of the extents; what cannot be read becomes a reject.

        At the end `footer` gets a `content_hash` of what was read by content alone, rejects included: a file that was
        only touched does not change it, so that the stages behind have nothing to do.
        """
        for rows in in_batches(self._rows()):
            yield SOURCES.batch(rows)
        footer["content_hash"] = self._digest.hexdigest(length=16)

    def _rows(self) -> Iterator[dict[str, object]]:
        languages = Languages()  # here, so that its model goes with the last row
        for extent in self._extents:
            try:
                row = self._read(extent, languages)
            except SourceError as error:
                self._outcome.reject(Reject(extent.path, error.reason, error.remedy, detail=error.message))
                self._digest.update(f"{extent.path}\0{extent.start}\0rejected\n".encode())
                continue
            facts = "\0".join(str(row[name]) for name in _CONTENT)
            self._digest.update(f"{facts}\n".encode())
            yield row
            self._outcome.advance(read=extent.length)

    def _read(self, extent: Extent, languages: Languages) -> dict[str, object]:
        hasher = blake3()
        path, start, stop = extent.path, extent.start, extent.stop
        with open_inside(self._root, path) as file:
            opened = identity(file)
            # The head of the file tells the kind of all its extents.
            head = b"".join(read_range(file, path, 0, min(SAMPLE_BYTES, opened.size))) if start else b""
            for block in read_range(file, path, start, stop):
                if not start and len(head) < SAMPLE_BYTES:
                    head += block[: SAMPLE_BYTES - len(head)]
                hasher.update(block)
            whole = not start and stop == extent.identity.size and stop <= len(head)
            found, language = _told(head, path, languages, whole=whole)
            content_hash = hasher.hexdigest(length=16)
            is_long = extent.length > 2 * PROBE_BYTES
            mark = probe(file, path, start, stop) if is_long else content_hash
            _check_read(file, extent, opened, found)
        row = {name: value for name, value in extent.row().items() if name not in ("slice", "slice_version", "change")}
        return row | {
            "content_hash": content_hash,
            "probe": mark,
            "head_hash": blake3(head).hexdigest(length=16) if start else None,
            "kind": found.kind,
            "format": found.format,
            "encoding": found.encoding,
            "language": language,
        }


def _told(head: bytes, path: str, languages: Languages, *, whole: bool) -> tuple[Detected, str | None]:
    """What a file is by its first bytes, and its language where it is text. SourceError where we fail at it."""
    try:
        found = detect(head, path, whole=whole)
        is_text = found.kind == "text" and found.encoding is not None
        return found, languages.of(head.decode(found.encoding or "utf-8", "ignore")) if is_text else None
    except Exception as error:  # a defect of ours that one file shows must not stop all others
        raise SourceError(
            "its kind cannot be told",
            f"{printable(path)} cannot be told by its first bytes: {type(error).__name__}: {error}.",
            remedy="This is a defect of the mesh; report it with the first 64 KiB of the file.",
        ) from error


def _check_read(file: BinaryIO, extent: Extent, opened: Identity, found: Detected) -> None:
    """SourceChangedError where the file is not what was listed, or changed while it was read.

    A file of records may have grown since, behind a complete one: the next walk takes what is new.
    """
    listed = extent.identity
    now = identity(file)
    if opened == now == listed:
        return
    grown = all(one == other or has_grown(one, other) for one, other in ((listed, opened), (opened, now)))
    last = b"".join(read_range(file, extent.path, extent.stop - 1, extent.stop))
    if not (grown and is_appendable(found) and last == b"\n"):
        reason = "changed while read" if opened == listed else "changed since it was listed"
        check_identity(file, extent.path, listed, reason=reason)
