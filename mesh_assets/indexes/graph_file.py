"""The file that answers questions about the graph of one slice: vertices by id, key and name, edges by both ends.

Parts, one behind the other, each an Arrow file of one row whose columns are lists of different lengths; where they
begin and end is said at the end of the file. A part is to a question what a slice of its own would be. The file is
mapped, not read: a question touches the pages of what it asks for, however large the slice. Tables of the lake cannot
do that, as Parquet is read by row group and what stands at random places costs a scan. It holds nothing that `VERTICES`
and `EDGES` of the slice do not hold.

    id_high, id_low           ids of vertices in their order, as two numbers of 64 bits; the next columns go with them
    key_high ... time         what else is known of each; no chunk is 0
    named, named_rows         keys other than the id, in order, with rows of vertices
    words, word_rows          ends of names in order (see `ends_of_names`), where each one's rows begin, those rows
    end_high, end_low         ids and keys that edges start and end at, in order
    out_start, in_start       where the edges of each begin, in order of sources, and in `by_target`
    source, target ...        edges by source, as rows of ends; `by_target` has their rows by target

How a question is asked belongs to `storage.graph_files`.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from mesh_assets.errors import IndexDownError
from mesh_assets.schemas.graph import EDGES, VERTICES

SUFFIX = ".graph"
# At the end of each file. Another layout has another; a file without it is told as damaged, and made anew.
_MAGIC = b"MESHGR02"
# Vertices or edges of a part: 100 MB while it is written.
PART_ROWS = 1 << 18
_ALIGNED = 64
_TOLD = ("type", "name", "path", "detail", "time")
_REPEATED = ("type", "path", "detail", "written", "weight")
_IDS = ("vertex_id", "key", "chunk_id", "source", "target")
_DIGITS = 32
_HELD_ID = pa.binary(_DIGITS // 2)
_ID = re.compile(f"[0-9a-f]{{{_DIGITS}}}")
_LAST = r"(?P<word>\w+)\W*$"
_LAST_TWO = r"(?P<word>\w+\W+\w+)\W*$"

# Its stubs know neither scalars as arguments nor what comes out.
_compute: Any = pyarrow.compute

Numbers = NDArray[np.uint64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Ids:
    """Ids of 32 hex digits as two numbers each, in any order."""

    high: Numbers
    low: Numbers

    @classmethod
    def of(cls, ids: Iterable[str]) -> Ids:
        """Those of `ids` that have 32 hex digits: nothing in a graph is called otherwise."""
        return cls._read(unhexlify("".join(filter(_ID.fullmatch, ids))))

    @classmethod
    def of_column(cls, column: pa.ChunkedArray[Any]) -> Ids:
        """Those of a column that is held, row by row, 0 for none."""
        ids: Any = column.combine_chunks()
        return cls._read(memoryview(ids.buffers()[1])[ids.offset * 16 :][: len(ids) * 16] if len(ids) else b"")

    @classmethod
    def _read(cls, held: bytes | memoryview) -> Ids:
        pairs = np.frombuffer(held, ">u8").astype(np.uint64).reshape(-1, 2)
        return cls(np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]))

    def texts(self, rows: Rows) -> list[str]:
        """The ids at `rows` as hex digits."""
        pairs = zip(self.high[rows].tolist(), self.low[rows].tolist(), strict=True)
        return [f"{high:016x}{low:016x}" for high, low in pairs]

    def find(self, asked: Ids) -> Rows:
        """Rows of those that are among `asked`; the ids are in order."""
        rows = ranges(np.searchsorted(self.high, asked.high), np.searchsorted(self.high, asked.high, "right"))
        if not rows.size:
            return rows
        # Equal first halves of different ids are as good as impossible, and yet no reason for a wrong answer.
        wanted = set(zip(asked.high.tolist(), asked.low.tolist(), strict=True))
        found = zip(rows.tolist(), self.high[rows].tolist(), self.low[rows].tolist(), strict=True)
        return np.array([row for row, high, low in found if (high, low) in wanted], np.int64)


def ranges(starts: NDArray[Any], stops: NDArray[Any]) -> Rows:
    """All numbers from each start to before its stop."""
    starts, stops = starts.astype(np.int64), stops.astype(np.int64)
    counts = stops - starts
    if not counts.any():
        return counts[:0]
    firsts = starts - np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.repeat(firsts, counts) + np.arange(counts.sum(), dtype=np.int64)


def end_of_name(name: str) -> str | None:
    """The end by which `GraphPart.called` finds whatever a name or the last part of one is; None where it has no word.

    >>> end_of_name("shop.Till.sell"), end_of_name("Sell()"), end_of_name("()")
    ('till.sell', 'sell', None)
    """
    found = re.search(_LAST_TWO, name.lower(), re.ASCII) or re.search(_LAST, name.lower(), re.ASCII)
    return found["word"] if found else None


def ends_of_names(names: pa.Array[Any]) -> tuple[Any, Rows]:
    """The last word and the last two words of names in lower case, with and without a suffix, and whose they are.

    A name is found by two words where the question has two, so that `till.py` is not looked for among all of Python.
    """
    lowered = _compute.utf8_lower(names)
    bare = _compute.replace_substring_regex(lowered, r"\.\w+$", "")
    parts: list[Any] = []
    rows: list[Rows] = []
    for texts, chosen in ((lowered, None), (bare, _compute.not_equal(bare, lowered))):
        for pattern in (_LAST, _LAST_TWO):
            words = _compute.struct_field(_compute.extract_regex(texts, pattern), "word")
            has = _compute.is_valid(words) if chosen is None else _compute.and_(_compute.is_valid(words), chosen)
            rows.append(np.flatnonzero(has.to_numpy(zero_copy_only=False)).astype(np.int64))
            parts.append(words.filter(has))
    return pa.concat_arrays(parts), np.concatenate(rows)


def _held(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of `VERTICES` or `EDGES` as they are held for a part: what a file has of them, in a quarter of the room."""
    columns: dict[str, Any] = {}
    for name in rows.schema.names:
        column = cast("pa.Array[Any]", rows.column(name))
        if name in _IDS:
            columns[name] = _held_ids(column)
        elif name in _REPEATED:
            columns[name] = column.dictionary_encode()
        elif name in _TOLD:
            columns[name] = column
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _held_ids(texts: pa.Array[Any]) -> pa.Array[Any]:
    ids: Any = _compute.fill_null(texts, "0" * _DIGITS)
    _, places, digits = ids.buffers()
    starts = np.frombuffer(places, np.int32)[ids.offset : ids.offset + len(ids) + 1] if len(ids) else np.zeros(1, int)
    if not (np.diff(starts) == _DIGITS).all():
        raise ValueError("an id has 32 hex digits")
    read = unhexlify(memoryview(digits)[starts[0] : starts[-1]]) if len(ids) else b""
    return pa.FixedSizeBinaryArray.from_buffers(_HELD_ID, len(ids), [None, pa.py_buffer(read)])


class GraphWriter:
    """Writes the graph of a slice to the new file `path`, in parts, so that memory does not grow with the slice.

    A context manager; the file is whole after it. Whoever calls makes it durable and visible.
    """

    def __init__(self, path: Path, *, part_rows: int = PART_ROWS) -> None:
        self._path, self._part_rows = path, part_rows
        self._held: dict[str, list[pa.RecordBatch]] = {"vertices": [], "edges": []}
        self._bounds: list[int] = []

    def __enter__(self) -> GraphWriter:
        self._file = self._path.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if kind is None:
                if not self._bounds or any(self._held.values()):
                    self._write_part()
                self._file.write(np.array([*self._bounds, len(self._bounds)], "<u8").tobytes() + _MAGIC)

    def add_vertices(self, rows: pa.RecordBatch) -> None:
        """Rows of `VERTICES`, by id over all calls. ValueError where an id has no 32 hex digits."""
        self._add("vertices", rows)

    def add_edges(self, rows: pa.RecordBatch) -> None:
        """Rows of `EDGES`, by source over all calls. ValueError where an id has no 32 hex digits."""
        self._add("edges", rows)

    def _add(self, table: str, rows: pa.RecordBatch) -> None:
        self._held[table].append(_held(rows))
        if sum(batch.num_rows for batch in self._held[table]) >= self._part_rows:
            self._write_part()

    def _write_part(self) -> None:
        empty = {"vertices": VERTICES.batch([]), "edges": EDGES.batch([])}
        vertices, edges = (pa.Table.from_batches([_held(empty[name]), *rows]) for name, rows in self._held.items())
        columns: dict[str, Any] = {**_vertex_columns(vertices), **_edge_columns(edges)}
        lists = {name: pa.ListArray.from_arrays(pa.array([0, len(at)], pa.int32()), at) for name, at in columns.items()}
        batch = pa.RecordBatch.from_arrays(list(lists.values()), names=list(lists))
        part = pa.BufferOutputStream()
        with pa.ipc.new_file(part, batch.schema) as writer:
            writer.write_batch(batch)
        self._file.write(bytes(-self._file.tell() % _ALIGNED))
        self._bounds.append(self._file.tell())
        self._file.write(part.getvalue())
        self._bounds.append(self._file.tell())
        self._held = {"vertices": [], "edges": []}


def _vertex_columns(vertices: pa.Table) -> dict[str, Any]:
    ids, keys = Ids.of_column(vertices.column("vertex_id")), Ids.of_column(vertices.column("key"))
    chunks = Ids.of_column(vertices.column("chunk_id"))
    columns: dict[str, Any] = {
        "id_high": pa.array(ids.high),
        "id_low": pa.array(ids.low),
        "key_high": pa.array(keys.high),
        "key_low": pa.array(keys.low),
        "chunk_high": pa.array(chunks.high),
        "chunk_low": pa.array(chunks.low),
    }
    columns |= {name: _told(vertices, name) for name in _TOLD}
    named = np.flatnonzero((ids.high != keys.high) | (ids.low != keys.low))
    named = named[np.argsort(keys.high[named], kind="stable")]
    columns |= {"named": pa.array(keys.high[named]), "named_rows": pa.array(named.astype(np.uint32))}
    # Chunks are found by a search, not by a name.
    types: Any = columns["type"]
    own = np.flatnonzero(np.asarray(types.indices) != types.dictionary.index("chunk").as_py())
    words, rows = ends_of_names(columns["name"].take(pa.array(own)))
    encoded = words.dictionary_encode()
    different: Any = encoded.dictionary
    order: Any = _compute.sort_indices(different)
    places = np.empty(len(order), np.int64)
    places[order.to_numpy()] = np.arange(len(order))
    at = places[encoded.indices.to_numpy()]
    starts = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=len(order)))])
    return columns | {
        "words": different.take(order),
        "word_start": pa.array(starts.astype(np.uint32)),
        "word_rows": pa.array(own[rows[np.argsort(at, kind="stable")]].astype(np.uint32)),
    }


def _edge_columns(edges: pa.Table) -> dict[str, Any]:
    sources, targets = Ids.of_column(edges.column("source")), Ids.of_column(edges.column("target"))
    by_target = _order(targets)
    targets = Ids(targets.high[by_target], targets.low[by_target])
    # Sorting those that differ, rather than both ends of all edges, takes half the time.
    first_out, first_in = _is_first(sources), _is_first(targets)
    ends = Ids(
        np.concatenate([sources.high[first_out], targets.high[first_in]]),
        np.concatenate([sources.low[first_out], targets.low[first_in]]),
    )
    order = _order(ends)
    ends = Ids(ends.high[order], ends.low[order])
    first = _is_first(ends)
    places = np.empty(len(order), np.int64)
    places[order] = np.cumsum(first) - 1
    source, target = places[np.cumsum(first_out) - 1], np.empty(edges.num_rows, np.int64)
    target[by_target] = places[first_out.sum() + np.cumsum(first_in) - 1]
    count = int(first.sum())
    out_start, in_start = (
        np.concatenate([[0], np.cumsum(np.bincount(side, minlength=count))]) for side in (source, target)
    )
    numbers = {
        "out_start": out_start,
        "in_start": in_start,
        "source": source,
        "target": target,
        "by_target": by_target,
    }
    return {
        "end_high": pa.array(ends.high[first]),
        "end_low": pa.array(ends.low[first]),
        **{name: pa.array(held.astype(np.uint32)) for name, held in numbers.items()},
        "edge_type": _told(edges, "type"),
        "weight": _told(edges, "weight"),
        "written": _told(edges, "written"),
    }


def _order(ids: Ids) -> Rows:
    """Rows of `ids` in order."""
    order = np.argsort(ids.high)  # a sixth of the time of sorting by both halves
    high, low = ids.high[order], ids.low[order]
    if ((high[1:] == high[:-1]) & (low[1:] < low[:-1])).any():
        return np.lexsort((ids.low, ids.high))
    return order


def _is_first(ids: Ids) -> NDArray[np.bool_]:
    """Which of `ids`, in order, are not the one before."""
    first = np.ones(len(ids.high), bool)
    first[1:] = (ids.high[1:] != ids.high[:-1]) | (ids.low[1:] != ids.low[:-1])
    return first


def _told(table: pa.Table, name: str) -> pa.Array[Any]:
    column: Any = table.column(name)
    if name not in _REPEATED:
        return column.combine_chunks()
    encoded: Any = column.dictionary_encode().unify_dictionaries().combine_chunks()
    return encoded.cast(pa.dictionary(pa.int8(), pa.string())) if name == "type" else encoded


class GraphPart:
    """A part of a mapped file, which stays readable where the file is replaced. See `graph_parts`."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns
        self.ids = Ids(self._numbers("id_high"), self._numbers("id_low"))
        self.keys = Ids(self._numbers("key_high"), self._numbers("key_low"))
        self.chunks = Ids(self._numbers("chunk_high"), self._numbers("chunk_low"))
        self.ends = Ids(self._numbers("end_high"), self._numbers("end_low"))

    @property
    def edges(self) -> int:
        """How many edges it holds."""
        return len(self._columns["source"])

    def by_id(self, asked: Ids) -> Rows:
        """Rows of the vertices that have one of these ids."""
        return self.ids.find(asked)

    def by_key(self, asked: Ids) -> Rows:
        """Rows of the vertices that have one of these keys, which is not their id too."""
        named = self._numbers("named")
        places = ranges(np.searchsorted(named, asked.high), np.searchsorted(named, asked.high, "right"))
        return self._numbers("named_rows")[places].astype(np.int64)

    def called(self, end: str) -> Rows:
        """Rows of the vertices, chunks left out, one of whose ends of names is `end`, in lower case."""
        words = self._columns["words"]
        place = bisect_left(range(len(words)), end, key=lambda at: words[at].as_py())
        if place == len(words) or words[place].as_py() != end:
            return np.zeros(0, np.int64)
        start, stop = self._numbers("word_start")[place : place + 2].tolist()
        return np.unique(self._numbers("word_rows")[start:stop]).astype(np.int64)

    def edges_at(self, ids: Ids, keys: Ids) -> Rows:
        """Rows of the edges that start or end at one of `ids`, or end at one of `keys`."""
        own, named = self.ends.find(ids), self.ends.find(keys)
        if not own.size + named.size:
            return own
        out, into = self._numbers("out_start"), self._numbers("in_start")
        ends = np.unique(np.concatenate([own, named]))
        ending = self._numbers("by_target")[ranges(into[ends], into[ends + 1])].astype(np.int64)
        return np.unique(np.concatenate([ranges(out[own], out[own + 1]), ending]))

    def ends_of(self, edges: Rows) -> tuple[Rows, Rows]:
        """Rows in `ends` of the sources and of the targets of edges."""
        return tuple(self._numbers(name)[edges].astype(np.int64) for name in ("source", "target"))  # pyright: ignore[reportReturnType]

    def weights(self, edges: Rows) -> NDArray[np.float64]:
        """Weights of edges."""
        weights = self._columns["weight"]
        return weights.dictionary.to_numpy()[np.asarray(weights.indices)[edges]]

    def of_types(self, column: str, rows: Rows, types: Collection[str]) -> Rows:
        """Those of `rows` whose `type` or `edge_type` is one of `types`."""
        if not rows.size:
            return rows
        held = self._columns[column]
        codes = [code for code, kind in enumerate(held.dictionary.to_pylist()) if kind in types]
        return rows[np.isin(np.asarray(held.indices)[rows], codes)]

    def values(self, column: str, rows: Rows) -> list[Any]:
        """What a column says of rows."""
        return self._columns[column].take(pa.array(rows)).to_pylist() if rows.size else []

    def _numbers(self, column: str) -> NDArray[Any]:
        return self._columns[column].to_numpy(zero_copy_only=True)


def graph_parts(path: Path) -> list[GraphPart]:
    """The parts of the file at `path`, mapped.

    FileNotFoundError where there is none, IndexDownError where it is damaged.
    """
    try:
        with pa.memory_map(str(path)) as source:
            content = source.read_buffer()
        return [GraphPart(_columns(part)) for part in _split(content)]
    except (pa.ArrowInvalid, ValueError, KeyError, IndexError) as error:
        raise IndexDownError(
            f"The graph file {path} is damaged: {error}.",
            remedy="Delete it and materialize `graph_index` for that slice: it is rebuilt from the lake.",
        ) from error


def _split(content: pa.Buffer) -> Iterator[pa.Buffer]:
    """What each part has of a file. ValueError where its end is none of this layout."""
    said, size = memoryview(content), np.dtype("<u8").itemsize
    end = content.size - len(_MAGIC)
    if end < size or bytes(said[end:]) != _MAGIC:
        raise ValueError("it is cut off, or of another layout")
    count = int(np.frombuffer(said, "<u8", 1, end - size)[0])
    if not 0 < count < end // size:
        raise ValueError("it says no number of parts")
    bounds: list[int] = np.frombuffer(said, "<u8", count, end - size * (count + 1)).tolist()
    for start, stop in zip(bounds[::2], bounds[1::2], strict=True):
        yield content.slice(start, stop - start)


def _columns(part: pa.Buffer) -> dict[str, Any]:
    batch: Any = pa.ipc.open_file(part).get_batch(0)
    return {name: batch.column(name).values for name in batch.schema.names}


def edges_held(path: Path) -> int | None:
    """How many edges the file at `path` holds; None where there is none. IndexDownError where it is damaged."""
    try:
        return sum(part.edges for part in graph_parts(path))
    except FileNotFoundError:
        return None
