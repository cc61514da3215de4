"""The two tables of intake: the manifest of a dataset, and the sources of a slice as they were read."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from blake3 import blake3

from mesh_assets.errors import SourceError
from mesh_assets.intake.kinds import SAMPLE_BYTES, detect
from mesh_assets.intake.languages import language_of
from mesh_assets.intake.planner import ADDED, CHANGED, DELETED, Extent, Plan, plan_slices
from mesh_assets.intake.sources import check_identity, open_inside, read_range
from mesh_assets.intake.walk import Listing
from mesh_assets.schemas.extents import EXTENTS, SOURCES
from mesh_assets.schemas.outcome import Outcome, Produced, in_batches
from mesh_assets.schemas.rejects import Reject
from mesh_assets.slices import SliceKey


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest to be published, and its slices with the version at which each last changed."""

    produced: Produced
    slices: dict[str, int]


def next_manifest(
    dataset: str,
    rows: Sequence[Mapping[str, object]],
    footer: Mapping[str, Any],
    listing: Listing,
    *,
    target: int,
) -> Manifest:
    """The manifest after the one with these `rows` of `EXTENTS` and this footer; both are empty for the first.

    `version` counts those in which a slice changed. It starts with the time in ms, so that a dataset whose state was
    deleted goes on above what the sensors remember of it.
    """
    previous = [Extent.of_row(row) for row in rows]
    start = time.time_ns() // 1_000_000
    last = footer.get("last_slice", -1)
    version = footer.get("version", start)
    plan = plan_slices(dataset, previous, listing, version=version, target=target, last_slice=last)
    known = {extent.path for extent in previous if extent.is_live}
    listed = {file.path for file in listing.files}
    waiting = len(listing.growing - known)
    total = len(listed | known) + len(listing.rejects) + waiting
    outcome = Outcome("extents", total=total, skipped=waiting)
    extra: dict[str, object] = {
        "version": plan.version,
        "digest": listing.digest,
        "slices": plan.slices,
        # What retires the slices that hold nothing any more, and keeps their numbers from being used again.
        "emptied": sorted(set(plan.slices) - {extent.slice for extent in plan.extents if extent.is_live}),
        "last_slice": max([last, *(SliceKey.parse(key).number for key in plan.slices)]),
    }
    shown: dict[str, object] = {
        **{change: plan.count(change) for change in (ADDED, CHANGED, DELETED)},
        "slices": len(plan.slices),
        "manifest_version": plan.version,
        "waiting_until_quiet": waiting,
    }
    batches = _manifest_batches(plan, known | listed, listing.rejects, outcome)
    produced = Produced(batches, outcome, listing.digest, extra, shown)
    return Manifest(produced, plan.slices)


def _manifest_batches(
    plan: Plan, paths: Collection[str], rejects: Iterable[Reject], outcome: Outcome
) -> Iterator[pa.RecordBatch]:
    for reject in rejects:
        outcome.reject(reject)
    for rows in in_batches(extent.row() for extent in plan.extents):
        yield EXTENTS.batch(rows)
        # Rows of emptied slices stand for no file of this walk or the last.
        outcome.advance(sum(row["path"] in paths for row in rows))


def slice_input_hash(extents: Sequence[Extent]) -> str:
    """Identifies the extents of a slice as the manifest has them."""
    return blake3(repr(sorted(map(repr, extents))).encode("utf-8", "surrogateescape")).hexdigest(length=16)


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
        for extent in self._extents:
            try:
                row = self._read(extent)
            except SourceError as error:
                self._outcome.reject(Reject(extent.path, error.reason, error.remedy, detail=error.message))
                self._digest.update(f"{extent.path}\0{extent.start}\0rejected\n".encode())
                continue
            facts = "\0".join(
                str(row[name]) for name in ("path", "start", "content_hash", "kind", "format", "encoding")
            )
            self._digest.update(f"{facts}\n".encode())
            yield row
            self._outcome.advance(read=extent.stop - extent.start)

    def _read(self, extent: Extent) -> dict[str, object]:
        hasher = blake3()
        sample = b""
        with open_inside(self._root, extent.path) as file:
            check_identity(file, extent.path, extent.identity, reason="changed since it was listed")
            for block in read_range(file, extent.path, extent.start, extent.stop):
                if len(sample) < SAMPLE_BYTES:
                    sample += block[: SAMPLE_BYTES - len(sample)]
                hasher.update(block)
            check_identity(file, extent.path, extent.identity, reason="changed while read")
        found = detect(sample, extent.path, whole=extent.stop - extent.start <= len(sample))
        language = (
            language_of(sample.decode(found.encoding, "ignore")) if found.kind == "text" and found.encoding else None
        )
        facts = {"kind": found.kind, "format": found.format, "encoding": found.encoding, "language": language}
        return {
            name: value for name, value in extent.row().items() if name not in ("slice", "slice_version", "change")
        } | {"content_hash": hasher.hexdigest(length=16), **facts}
