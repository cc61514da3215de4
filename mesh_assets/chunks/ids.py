"""Ids of chunks: they say what a chunk is and where it belongs, not at which place of its file it lies.

So a line that is inserted at the top of a file leaves the ids of all chunks below as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.chunks.protocol import Source

# Contents of an extent are remembered as they are up to this many, some 10 MB; beyond, by eight bytes each.
MAX_RECENT = 1 << 16
# Bytes of a content's digest.
_DIGEST = 16
_FIRST = b"\x000"


class ChunkIds:
    """Ids of the chunks of one extent: hash of dataset, path, extent start, content, ordinal among equal contents."""

    def __init__(self, source: Source) -> None:
        place = (source.dataset.encode(), source.path.encode("utf-8", "surrogatepass"), str(source.start).encode())
        self._extent = b"\0".join((*place, b""))
        self._ordinals = Ordinals()

    def of(self, texts: Sequence[str]) -> list[str]:
        """The ids of chunks with these `texts`, 32 hex digits each; they follow those asked for before."""
        extent = self._extent
        contents = [blake3(text.encode("utf-8", "surrogatepass")).digest(_DIGEST) for text in texts]
        return [
            blake3(extent + content + (b"\0%d" % ordinal if ordinal else _FIRST)).hexdigest(_DIGEST)
            for content, ordinal in zip(contents, self._ordinals.of(contents), strict=True)
        ]


class Ordinals:
    """How many equal contents came before each content of one extent.

    The latest contents are a dictionary with their counts. What it cannot hold becomes sorted arrays of the first eight
    bytes of each, every one longer than the next, so that 1.5 million contents (of 1 GiB) take 12 MB; only contents
    that repeat are kept with their counts. Two contents that agree in those bytes (once in ten million such files)
    are taken for equal, which makes the id of the later one another, but no less unique.
    """

    def __init__(self, max_recent: int = MAX_RECENT) -> None:
        self._max_recent = max_recent
        self._recent: dict[bytes, int] = {}
        self._older: list[NDArray[np.uint64]] = []
        self._repeated: dict[bytes, int] = {}

    def of(self, contents: Sequence[bytes]) -> list[int]:
        """The ordinal of each of `contents`, digests of 16 bytes; equal ones among them count as well."""
        if not self._recent and not self._older:
            # Nearly every file: few contents, none twice.
            recent = dict.fromkeys(contents, 1)
            if len(recent) == len(contents):
                self._recent = recent
                return [0] * len(contents)
        ordinals: list[int] = []
        recent, repeated = self._recent, self._repeated
        for content, is_older in zip(contents, self._are_older(contents), strict=True):
            if is_older:
                ordinal = repeated.get(content, 1)
                repeated[content] = ordinal + 1
            else:
                ordinal = recent.get(content, 0)
                recent[content] = ordinal + 1
            ordinals.append(ordinal)
        if len(recent) > self._max_recent:
            self._put_away()
        return ordinals

    def _are_older(self, contents: Sequence[bytes]) -> list[bool]:
        """Which of `contents` are in the sorted arrays."""
        found = np.zeros(len(contents), np.bool_)
        if self._older:
            wanted = _first_bytes(contents)
            for older in self._older:
                at = older.searchsorted(wanted)
                found |= older[np.minimum(at, len(older) - 1)] == wanted
        return found.tolist()

    def _put_away(self) -> None:
        """The latest contents become a sorted array, joined with those before it that are no longer."""
        self._repeated.update((content, count) for content, count in self._recent.items() if count > 1)
        latest = _first_bytes(list(self._recent))
        while self._older and len(self._older[-1]) <= len(latest):
            latest = np.concatenate((self._older.pop(), latest))
        latest.sort()
        self._older.append(latest)
        self._recent = {}


def _first_bytes(contents: Sequence[bytes]) -> NDArray[np.uint64]:
    """The first eight bytes of each of `contents`, as numbers."""
    return np.frombuffer(b"".join(contents), np.uint64)[:: _DIGEST // 8].copy()
