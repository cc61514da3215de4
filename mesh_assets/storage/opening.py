"""Opens citations: the bytes that a statement rests on, and whether the file still has the content that was read."""

from __future__ import annotations

from dataclasses import dataclass
from os import SEEK_END
from typing import Any, BinaryIO

from blake3 import blake3

from mesh_assets.errors import CitationError, SourceError
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.intake.sources import open_inside, read_range
from mesh_assets.schemas.citations import Citation
from mesh_assets.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class Opened:
    """What a citation leads to now. `changed` says that the file is not the one that was cited."""

    content: bytes
    encoding: str | None
    line_start: int
    changed: bool


def open_citation(citation: Citation, lake: Lake, drops: DropArea) -> Opened:
    """The cited bytes, read from the source file. CitationError where they cannot be opened any more."""
    source = _source(citation, lake)
    root = drops.folder_of(citation.dataset)
    try:
        with open_inside(root, citation.path) as file:
            _check_size(citation, file.seek(0, SEEK_END))
            content = b"".join(read_range(file, citation.path, citation.byte_start, citation.byte_stop))
            before = read_range(file, citation.path, source["start"], citation.byte_start)
            line = 1 + sum(block.count(b"\n") for block in before)
            changed = not _still_has(citation.source_hash, file, citation.path, source)
    except SourceError as error:
        raise CitationError(f"The citation cannot be opened: {error.message}", remedy=error.remedy) from error
    return Opened(content, source["encoding"], line, changed)


def _check_size(citation: Citation, size: int) -> None:
    if citation.byte_stop > size:
        raise CitationError(
            f"{citation.dataset}/{citation.path} has only {size:,} bytes now: the citation ends behind them.",
            remedy="If the file has changed, search again: the mesh reads it anew when it has been quiet for a while.",
        )


def _still_has(source_hash: str, file: BinaryIO, path: str, source: dict[str, Any]) -> bool:
    hasher = blake3()
    try:
        for block in read_range(file, path, source["start"], source["stop"]):
            hasher.update(block)
    except SourceError:
        return False  # it has become shorter
    return hasher.hexdigest(length=16).startswith(source_hash)


def _source(citation: Citation, lake: Lake) -> dict[str, Any]:
    manifest = lake.read("drop_manifests", citation.dataset)
    for extent in manifest.rows(["slice"], where=("path", citation.path)):
        sources = lake.find("raw_partitions", extent["slice"])
        for row in sources.rows(where=("path", citation.path)) if sources else ():
            # The end of an extent is the start of the next, or the end of the file.
            if row["start"] <= citation.byte_start < max(row["stop"], row["start"] + 1):
                return row
    raise CitationError(
        f"{citation.dataset}/{citation.path} is not in the lake.",
        remedy="It was deleted or moved since; search again for what it said.",
    )
