"""Which segments of a tantivy index hold bytes of which slices. A deleted entry stays in its segment until a merge.

So an entry that was deleted, or replaced by an edit long ago, is still on the disk, although no query finds it. The
stored fields of every entry of a segment, deleted ones too, can be read by its address. How segments are written again
belongs to `tantivy_text`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mesh_assets.slices import SliceKey

if TYPE_CHECKING:
    import tantivy


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment with the keys of the slices whose entries lie in it, deleted entries included."""

    name: str
    slices: frozenset[str]


def segments_with(index: tantivy.Index, folder: Path, dataset: str) -> list[Segment]:
    """The segments that hold deleted entries, among them such of `dataset`; where it has live ones, none is looked for.

    Each segment with deleted entries is read through, entry by entry.
    """
    return [segment for segment in _with_deleted(index, folder) if _is_in(segment, dataset)]


def other_slices(segments: Iterable[Segment], dataset: str) -> list[str]:
    """The slices of other datasets in these segments, sorted."""
    return sorted({key for s in segments for key in s.slices if SliceKey.parse(key).dataset != dataset})


def _is_in(segment: Segment, dataset: str) -> bool:
    return any(SliceKey.parse(key).dataset == dataset for key in segment.slices)


def _with_deleted(index: tantivy.Index, folder: Path) -> Iterator[Segment]:
    import tantivy

    # The searcher numbers its segments in the order in which they are listed here.
    listed = cast("list[dict[str, Any]]", json.loads((folder / "meta.json").read_text())["segments"])
    searcher = index.searcher()
    if searcher.num_segments != len(listed):
        raise ValueError("its segments changed while they were read")
    for number, entry in enumerate(listed):
        if entry["deletes"]:
            addresses = (tantivy.DocAddress(number, document) for document in range(entry["max_doc"]))
            keys = frozenset(str(searcher.doc(address)["slice"][0]) for address in addresses)
            yield Segment(str(entry["segment_id"]), keys)
