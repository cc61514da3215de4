"""The chunks of one slice as cases look for evidence in them: by what cites them, by their vectors, by their rows.

Tables are read a batch at a time, only the columns that are needed, and texts only from row groups that have
one of the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.analyses.evidence import Piece
from mesh_assets.embeddings.protocol import OFF
from mesh_assets.insights.locators import shorten
from mesh_assets.insights.secrets import mask
from mesh_assets.schemas.citations import Citation
from mesh_assets.storage.lake import LakeTable, opened
from mesh_assets.storage.vectors import vectors_of

_ROWS = 16_384
_PLACES = ("path", "byte_start", "byte_stop")
_PIECE = ("kind", "text", "dataset", *_PLACES, "line_start", "source_hash", "place")


class LakeTexts:
    """`SliceTexts` over `chunk_sets` and `chunk_embeddings` of a slice, whose rows lie side by side."""

    def __init__(self, chunks: LakeTable, embeddings: LakeTable) -> None:
        self._chunks = chunks
        is_off = embeddings.footer.extra.get("settings", {}).get("model") == OFF
        self._embeddings = None if is_off or embeddings.footer.rows != chunks.footer.rows else embeddings

    def cited(self, wanted: Mapping[int, Sequence[Citation]]) -> dict[int, list[int]]:
        """See `SliceTexts.cited`."""
        asked = pl.DataFrame(
            [
                {"key": key, "number": number, "path": each.path, "from": each.byte_start, "to": each.byte_stop}
                for key, citations in wanted.items()
                for number, each in enumerate(citations)
            ],
            schema={"key": pl.Int64, "number": pl.Int64, "path": pl.String, "from": pl.Int64, "to": pl.Int64},
        )
        hits: list[tuple[int, int, int]] = []
        for first, batch in self._numbered(self._chunks.batches(_PLACES, rows=_ROWS)):
            places = pl.DataFrame(batch).with_row_index("row", offset=first)  # type: ignore[arg-type]
            found = places.filter(pl.col("path").is_in(asked["path"].implode())).join(asked, on="path")
            touched = found.filter((pl.col("byte_start") < pl.col("to")) & (pl.col("byte_stop") > pl.col("from")))
            hits += touched.select("key", "number", "row").rows()
        rows: dict[int, list[int]] = {key: [] for key in wanted}
        for key, _, row in sorted(hits):
            if row not in rows[key]:
                rows[key].append(row)
        return rows

    def nearest(self, rows: Mapping[int, Sequence[int]], count: int) -> dict[int, list[int]]:
        """See `SliceTexts.nearest`."""
        keys = [key for key, own in rows.items() if own]
        if self._embeddings is None or not keys:
            return {}
        own = self._vectors(sorted({row for key in keys for row in rows[key]}))
        centres = np.stack([np.mean([own[row] for row in rows[key]], axis=0) for key in keys])
        best = [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in keys]
        for first, batch in self._numbered(self._embeddings.batches(["vector"], rows=_ROWS)):
            scores = centres @ vectors_of(batch).astype(np.float32).T
            numbers = np.arange(first, first + batch.num_rows)
            best = [_best(held, scores[at], numbers, count) for at, held in enumerate(best)]
        return {key: found[1].tolist() for key, found in zip(keys, best, strict=True)}

    def neighbours(self, rows: Sequence[int]) -> list[int]:
        """See `SliceTexts.neighbours`."""
        beside = sorted({near for row in rows for near in (row - 1, row + 1)} - set(rows))
        wanted = [row for row in (*beside, *rows) if 0 <= row < self._chunks.footer.rows]
        paths = {row: values["path"] for row, values in self._rows(wanted, ("path",))}
        return [row for row in beside if row in paths and {paths.get(row - 1), paths.get(row + 1)} & {paths[row]}]

    def pieces(self, rows: Sequence[int]) -> dict[int, Piece]:
        """See `SliceTexts.pieces`."""
        vectors = self._vectors(rows)
        return {row: _piece(row, values, vectors.get(row)) for row, values in self._rows(rows, _PIECE)}

    def files(self, paths: Sequence[str]) -> dict[str, list[Piece]]:
        """See `SliceTexts.files`."""
        found: dict[str, list[Piece]] = {path: [] for path in paths}
        if not paths:
            return found
        rows: list[int] = []
        for first, batch in self._numbered(self._chunks.batches(["path"], rows=_ROWS)):
            is_wanted = pl.DataFrame(batch)["path"].is_in(list(paths))  # type: ignore[arg-type]
            rows += (np.flatnonzero(is_wanted.to_numpy()) + first).tolist()
        for row, values in self._rows(rows, _PIECE):
            found[values["path"]].append(_piece(row, values, None))
        for pieces in found.values():
            pieces.sort(key=lambda piece: piece.citation.byte_start)
        return found

    @staticmethod
    def _numbered(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
        first = 0
        for batch in batches:
            yield first, batch
            first += batch.num_rows

    def _rows(self, rows: Sequence[int], columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Some rows of the chunks with some columns, in order."""
        for numbers, table in _taken(self._chunks, rows, columns):
            yield from zip(numbers, table.to_pylist(), strict=True)

    def _vectors(self, rows: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        if self._embeddings is None:
            return {}
        found: dict[int, NDArray[np.float32]] = {}
        for numbers, table in _taken(self._embeddings, rows, ["vector"]):
            for batch in table.combine_chunks().to_batches():
                found.update(zip(numbers, vectors_of(batch).astype(np.float32), strict=True))
        return found


def _taken(table: LakeTable, rows: Sequence[int], columns: Sequence[str]) -> Iterator[tuple[list[int], pa.Table]]:
    """The rows of a table that have these numbers, by row group: groups that have none are not read."""
    wanted = np.unique(np.array(rows, np.int64))
    first = 0
    with opened(table.path) as file:
        for group in range(file.metadata.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            here = wanted[(wanted >= first) & (wanted < first + count)]
            if len(here):
                yield here.tolist(), file.read_row_group(group, columns=list(columns)).take((here - first).tolist())
            first += count


def _best(
    held: tuple[NDArray[np.float32], NDArray[np.int64]],
    scores: NDArray[np.float32],
    rows: NDArray[np.int64],
    count: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The `count` best of what is held and of new scores, best first, lower rows before higher of the same score."""
    values, numbers = np.concatenate((held[0], scores)), np.concatenate((held[1], rows))
    order = np.lexsort((numbers, -values))[:count]
    return values[order], numbers[order]


def _piece(row: int, values: Mapping[str, Any], vector: NDArray[np.float32] | None) -> Piece:
    text = str(values["text"])
    citation = Citation(
        dataset=values["dataset"],
        path=values["path"],
        byte_start=values["byte_start"],
        byte_stop=values["byte_stop"],
        source_hash=values["source_hash"],
        line_start=values["line_start"],
        quote=shorten(mask(text)),
        place=values["place"],
    )
    return Piece(row, str(values["kind"]), text, citation, np.empty(0, np.float32) if vector is None else vector)
