"""Which chunks name the same things: identifiers, hosts, addresses, files, and the telling words of prose.

Names are kept as hashes with the chunk that has them. Memory is bounded: of more names than fit, every second one (by
hash) is followed, then every fourth, whichever chunk they are in, so that what is shared by two stays shared. What
relations follow from it belongs to `relations`, what happened together to `events`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from mesh_assets.insights.columns import column_of, flattened, rows_of
from mesh_assets.insights.stop_words import STOP_WORDS

# The stubs of pyarrow know fewer types of arguments than its functions take.
_compute: Any = pyarrow.compute
# Entities that tell one thing from all others; a version or an amount is shared by chance.
NAMING = ("url", "email", "uuid", "ip", "error_code", "exception", "identifier", "path", "host")
# Names followed at once: about 100 bytes each with their texts.
MAX_NAMES = 500_000
# Columns of `CHUNKS` that are kept of a chunk that names something.
PLACE = (
    *("chunk_id", "dataset", "path", "kind", "symbol", "byte_start", "byte_stop", "line_start", "source_hash", "place"),
    *("time_start", "time_stop"),
)
# Characters of a text that a citation of the whole chunk may quote.
_HEAD = 240
_SEED = 11
# Words of prose that may tell what it is about.
_WORD = r"[^\W\d_]{5,}"


@dataclass(slots=True)
class SharedNames:
    """Names by chunk. `frame` has one row a name in a chunk: `key`, `chunk` (row of `places`), `name`, `is_word`."""

    # In Arrow, which copies what is chosen: rows that polars chooses keep the texts of all chunks in memory.
    _frames: list[pa.Table] = field(default_factory=list[pa.Table])
    _places: list[pa.Table] = field(default_factory=list[pa.Table])
    _chunks: int = 0
    _names: int = 0
    _mask: int = 0
    _last_path: str = ""

    def add(self, chunks: pa.RecordBatch, insights: pa.RecordBatch) -> None:
        """Rows of `CHUNKS` and of `CHUNK_INSIGHTS`, row beside row."""
        names = pl.concat([_entities(insights), self._files(chunks), _words(chunks, insights)])
        names = names.with_columns(key=pl.col("name").hash(_SEED))
        if self._mask:
            names = names.filter(pl.col("key") & self._mask == 0)
        if not len(names):
            return
        rows = names["row"].unique().sort()
        kept = rows_of(pa.Table.from_batches([chunks.select([*PLACE, "text"])]), rows.to_numpy())
        heads: Any = _compute.utf8_slice_codeunits(kept["text"], 0, _HEAD)
        numbers = pl.DataFrame(
            {"row": rows, "chunk": np.arange(self._chunks, self._chunks + len(rows), dtype=np.int32)}
        )
        self._frames.append(_compact(names.join(numbers, on="row").drop("row")))
        self._places.append(kept.set_column(len(PLACE), "text", heads))
        self._chunks += len(rows)
        self._names += len(names)
        while self._names > MAX_NAMES:
            self._forget()

    @property
    def frame(self) -> pl.DataFrame:
        """All names."""
        return _in_polars(self._frames) if self._frames else _NO_NAMES.with_columns(key=pl.lit(0, pl.UInt64)).clear()

    @property
    def places(self) -> pl.DataFrame:
        """The chunks that name something: `PLACE`, and the beginning of their text."""
        return _in_polars(self._places) if self._places else pl.DataFrame()

    def _files(self, chunks: pa.RecordBatch) -> pl.DataFrame:
        """The name of each file, with its first chunk: who names the file is related to it."""
        paths = cast("pl.Series", pl.from_arrow(column_of(chunks, "path")))
        first = paths != paths.shift(1, fill_value=self._last_path)
        if len(paths):
            self._last_path = cast(str, paths[-1])
        frame = pl.DataFrame({"row": np.arange(len(paths), dtype=np.int64), "name": _base(paths)}).filter(first)
        named = frame.filter(pl.col("name").str.contains(".", literal=True) & (pl.col("name").str.len_chars() >= 5))
        return named.with_columns(is_word=pl.lit(value=False))

    def _forget(self) -> None:
        """Follow half as many names."""
        self._mask = self._mask * 2 + 1
        whole = self.frame
        frame = whole.filter(pl.col("key") & self._mask == 0)
        kept = frame["chunk"].unique().sort()
        numbers = pl.DataFrame({"chunk": kept, "number": np.arange(len(kept), dtype=np.int32)})
        self._places = [rows_of(pa.concat_tables(self._places), kept.to_numpy())]
        frame = frame.join(numbers, on="chunk").drop("chunk").rename({"number": "chunk"})
        self._frames = [_compact(frame.select(whole.columns))]
        self._chunks, self._names = len(kept), len(frame)


def _compact(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _in_polars(tables: list[pa.Table]) -> pl.DataFrame:
    return cast("pl.DataFrame", pl.from_arrow(pa.concat_tables(tables)))


_NO_NAMES = pl.DataFrame(schema={"row": pl.Int64, "name": pl.String, "is_word": pl.Boolean})


def name_keys(names: list[str]) -> NDArray[np.uint64]:
    """The keys of some names, as in the frame."""
    return pl.Series(names, dtype=pl.String).hash(_SEED).to_numpy()


def _base(paths: pl.Series) -> pl.Series:
    return paths.str.extract(r"([^/\\]+)[/\\]?$").str.to_lowercase()


def _entities(insights: pa.RecordBatch) -> pl.DataFrame:
    rows, values = flattened(column_of(insights, "entities"))
    frame = pl.DataFrame(
        {"row": rows, "label": pl.from_arrow(values.field("label")), "name": pl.from_arrow(values.field("text"))}
    ).filter(pl.col("label").is_in(NAMING))
    base = pl.when(pl.col("label") == "path").then(_base_of("name")).otherwise(pl.col("name"))
    named = frame.with_columns(name=base, is_word=pl.lit(value=False)).drop("label").unique(maintain_order=True)
    return named.select(_NO_NAMES.columns).drop_nulls()


def _base_of(column: str) -> pl.Expr:
    return pl.col(column).str.extract(r"([^/\\]+)[/\\]?$").str.to_lowercase()


def _words(chunks: pa.RecordBatch, insights: pa.RecordBatch) -> pl.DataFrame:
    """The words of the keyphrases of prose: a page is about them."""
    rows, phrases = flattened(column_of(insights, "keyphrases"))
    frame = pl.DataFrame({"row": rows, "name": pl.from_arrow(phrases.field("phrase"))})
    is_prose = cast("pl.Series", pl.from_arrow(column_of(chunks, "kind"))) == "text"
    frame = frame.filter(is_prose.gather(frame["row"]))
    words = frame.with_columns(pl.col("name").str.to_lowercase().str.extract_all(_WORD)).explode("name").drop_nulls()
    words = words.filter(~pl.col("name").is_in(list(STOP_WORDS))).unique(maintain_order=True)
    return words.with_columns(is_word=pl.lit(value=True)).select(_NO_NAMES.columns)
