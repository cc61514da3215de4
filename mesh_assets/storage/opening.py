"""Opens citations: the bytes that a statement rests on, and whether the file still has the content that was read.

Where bytes count in the reading of a file, or in a file inside an archive, it is read again, the same way as before.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, cast

from blake3 import blake3

from mesh_assets.chunks.confined import close_reader
from mesh_assets.chunks.members import INSIDE
from mesh_assets.chunks.protocol import LocalModels, Part, Piece, Source
from mesh_assets.chunks.registry import chunker_for, has_reading
from mesh_assets.chunks.sources import verified_sources
from mesh_assets.errors import CitationError, SourceError
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.intake.sources import open_inside, read_range
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.extents import SOURCES
from mesh_assets.storage.lake import Lake

# A reading is the same for any size of chunks.
OPENING_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Opened:
    """What a citation leads to now. `changed` says that the file is not the one that was cited.

    `place` says where that is in a file that is no plain text.
    """

    content: bytes
    encoding: str | None
    line_start: int
    changed: bool
    place: str | None = None


def open_citation(citation: Citation, lake: Lake, drops: DropArea) -> Opened:
    """The cited bytes, read from the source file. CitationError where they cannot be opened any more."""
    source, slice_key = _source(citation, lake)
    root = drops.folder_of(citation.dataset)
    if source["path"] != citation.path or has_reading(source["kind"], source["format"]):
        return _open_reading(citation, source, root, _models_of(lake, slice_key))
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


def _models_of(lake: Lake, slice_key: str) -> LocalModels:
    """The models that the readings of a slice were made with, which may not be those of today."""
    chunks = lake.find("chunk_sets", slice_key)
    return LocalModels.of(chunks.footer.extra.get("settings", {}) if chunks else {})


def _open_reading(citation: Citation, row: dict[str, Any], root: Path, models: LocalModels) -> Opened:
    """The cited bytes of what the chunker of a file makes of it, or of a file in it."""
    start, stop = citation.byte_start, citation.byte_stop
    blocks: list[bytes] = []
    line, place, encoding = 1, None, "utf-8"
    try:
        for inner, piece in _pieces(row, citation, root, models):
            if piece.byte_stop <= start or piece.byte_start >= stop:
                continue
            encoding = inner.encoding if not has_reading(inner.kind, inner.format) and inner.encoding else "utf-8"
            content = piece.text.encode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
            first = max(start - piece.byte_start, 0)
            if not blocks:
                line, place = piece.line_start + content.count(b"\n", 0, first), piece.place
            blocks.append(content[first : stop - piece.byte_start])
    except SourceError as error:
        raise CitationError(f"The citation cannot be opened: {error.message}", remedy=error.remedy) from error
    finally:
        close_reader()
    if not blocks:
        raise CitationError(
            f"{citation.dataset}/{citation.path} has nothing at that place.",
            remedy="Search again for what it said: it was read by another version, or is another file now.",
        )
    changed = not row["content_hash"].startswith(citation.source_hash)
    return Opened(b"".join(blocks), encoding, line, changed, place)


def _pieces(row: dict[str, Any], citation: Citation, root: Path, models: LocalModels) -> Iterator[tuple[Source, Piece]]:
    """The pieces of the cited file up to the end of what is cited, each with its source."""
    (outer,) = verified_sources(root, citation.dataset, [SOURCES.batch([row])], models=models)
    chunker = chunker_for(outer.kind, outer.format)
    current = outer
    if chunker is None:
        return
    with closing(cast("Generator[Part]", chunker.chunk(outer, chunk_tokens=OPENING_TOKENS))) as parts:
        for part in parts:
            if isinstance(part, Source):
                if current.path == citation.path:
                    return
                current = part
            elif isinstance(part, Piece) and current.path == citation.path:
                yield current, part
                if part.byte_stop >= citation.byte_stop:
                    return


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


def _source(citation: Citation, lake: Lake) -> tuple[dict[str, Any], str]:
    """The extent that holds what is cited, and its slice: of the file itself, or else of the one that it is in."""
    manifest = lake.read("drop_manifests", citation.dataset)
    parts = citation.path.split(INSIDE)
    for path in (INSIDE.join(parts[:count]) for count in range(len(parts), 0, -1)):
        for extent in manifest.rows(["slice"], where=("path", path)):
            sources = lake.find("raw_partitions", extent["slice"])
            for row in sources.rows(where=("path", path)) if sources else ():
                if path != citation.path or has_reading(row["kind"], row["format"]):
                    return row, extent["slice"]
                # The end of an extent is the start of the next, or the end of the file.
                if row["start"] <= citation.byte_start < max(row["stop"], row["start"] + 1):
                    return row, extent["slice"]
    raise CitationError(
        f"{citation.dataset}/{citation.path} is not in the lake.",
        remedy="It was deleted or moved since; search again for what it said.",
    )
