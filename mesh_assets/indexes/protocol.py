"""What an index is: entries replaced by slice, queries with filters. Ids are chunk ids; texts stay in the lake."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry that a query found. `score` grows with relevance and is comparable within one query only."""

    chunk_id: str
    slice: str
    score: float


@dataclass(frozen=True, slots=True)
class Around:
    """The `hits` of a vector, and those of another one near it, which `again` gives, for as many entries.

    An engine may choose the second ones among what it compared with the first vector.
    """

    hits: list[Hit]
    again: Callable[[NDArray[np.float32]], list[Hit]]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a query is limited to; None means anything. `dataset` is a key.

    `slices` are keys: those that hold something of a span of time (`storage.slice_times`), of which others are pruned.
    """

    dataset: str | None = None
    kind: str | None = None
    slices: frozenset[str] | None = None


class Document(NamedTuple):
    """What the full-text index holds of a chunk. A tuple, as millions of them are made."""

    chunk_id: str
    kind: str
    path: str
    symbol: str
    text: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What replacing a slice left behind: how many entries, and where (file, collection or index)."""

    entries: int
    location: str


class VectorIndex(Protocol):
    """Vectors by slice. Readers never lock; a slice is replaced in one atomic step."""

    @property
    def engine(self) -> str:
        """Name of the engine in use, for the UI."""
        ...

    def replace_slice(
        self, slice_key: str, model: str, batches: Iterable[tuple[Sequence[str], Sequence[str], NDArray[np.float16]]]
    ) -> Stored:
        """Make `batches` of (chunk ids, kinds, vectors) all that the index holds of the slice under `model`.

        An empty iterable leaves the slice without entries. Doing it twice changes nothing. IndexDownError where the
        engine does not answer.
        """
        ...

    def held(self, slice_key: str, model: str) -> int | None:
        """Number of entries that the index holds of the slice under `model` at this moment, without reading them.

        None where it holds no such slice, not even an empty one, or what it holds is damaged: replacing the slice
        makes it whole. IndexDownError where the engine does not answer.
        """
        ...

    def models(self, dataset: str | None = None) -> frozenset[str]:
        """The models under which the index holds slices (of `dataset`, a key), empty slices included.

        IndexDownError where the engine does not answer.
        """
        ...

    def forget_slices(self, slice_keys: Collection[str], *, but: str | None = None) -> None:
        """Remove these slices under every model, or under every one `but` that, as if they had never been indexed.

        Unknown ones are no error. KeyFormatError where one is no key, before anything is removed. IndexDownError where
        the engine does not answer.
        """
        ...

    def forget_dataset(self, dataset: str) -> None:
        """Remove every slice of a dataset under every model, so that no byte of it is left in the index.

        KeyFormatError where `dataset` is no key. IndexDownError where the engine does not answer.
        """
        ...

    def search(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> list[Hit]:
        """The entries of `model` nearest to the unit `vector` by cosine, best first, ties by chunk id."""
        ...

    def around(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> Around:
        """The same entries, to be asked again with a vector that what they say has moved."""
        ...

    def vectors_of(self, model: str, hits: Sequence[Hit]) -> NDArray[np.float32]:
        """The vectors under `model` of those of a few `hits`, of any index, that it holds: shape (found, dimension).

        In no order that means anything; an id that stands in several slices comes as often as it is asked for.
        IndexDownError where the engine does not answer.
        """
        ...


class GraphIndex(Protocol):
    """A graph in a server of its own, loaded by slice. How it is asked belongs to `search.graph`."""

    @property
    def engine(self) -> str:
        """Name of the engine in use, for the UI."""
        ...

    def replace_slice(
        self, slice_key: str, vertices: Iterable[dict[str, Any]], edges: Iterable[dict[str, Any]]
    ) -> Stored:
        """Make `vertices` and `edges` (rows of `VERTICES` and `EDGES`) all that the server holds of the slice.

        `Stored.entries` counts the edges. Nothing changes where either raises. IndexDownError where it does not answer.
        """
        ...

    def held(self, slice_key: str) -> int | None:
        """Number of edges that the server was given of the slice; None where it holds no such slice."""
        ...

    def forget_slices(self, slice_keys: Collection[str]) -> None:
        """Remove all that these slices told; unknown ones are no error. KeyFormatError where one is no key."""
        ...

    def forget_dataset(self, dataset: str) -> None:
        """Remove every slice of a dataset. KeyFormatError where it is no key."""
        ...


class FulltextIndex(Protocol):
    """Words by slice."""

    @property
    def engine(self) -> str:
        """Name of the engine in use, for the UI."""
        ...

    def replace_slice(self, slice_key: str, documents: Iterable[Document]) -> Stored:
        """Make `documents` all that the index holds of the slice. Doing it twice changes nothing.

        IndexDownError where the engine does not answer, or another writer does not give way in time.
        """
        ...

    def held(self, slice_key: str) -> int | None:
        """Number of entries that the index holds of the slice at this moment, without reading them.

        None where there is no index or it is damaged. A slice that it never saw gives 0 where the engine leaves no
        trace of an empty one, else None. IndexDownError where the engine does not answer.
        """
        ...

    def forget_slices(self, slice_keys: Collection[str]) -> None:
        """Remove the entries of these slices; unknown ones are no error. No query finds them from then on.

        KeyFormatError where one is no key, before anything is removed. IndexDownError where the engine does not answer.
        """
        ...

    def forget_dataset(self, dataset: str, documents: Callable[[str], Iterable[Document]]) -> None:
        """Remove every slice of a dataset, so that no byte of it is left in the index, also of what it held earlier.

        `documents` gives what another slice is made of: an engine that keeps several slices in one file writes those
        again. KeyFormatError where `dataset` is no key. IndexDownError where the engine does not answer.
        """
        ...

    def search(self, query: str, *, limit: int, where: Filter | None = None) -> list[Hit]:
        """The entries that match the words of `query` by BM25, best first, ties by chunk id.

        Any text is a query: there is no syntax that could be wrong. A score is the share of the query that the entry
        answers: BM25 divided by the sum of the inverse document frequencies of the query's words, also of those that
        no entry holds. It is about 1 where an entry of usual length holds each word once.
        """
        ...
