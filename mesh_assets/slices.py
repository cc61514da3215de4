"""Keys of datasets and slices. Pure: text in, text out; nothing here touches a disk or Dagster.

A slice key is `<dataset>.<nnnnnn>`. Keys are used as Dagster partitions and as file names, so they hold
`[A-Za-z0-9._-]` only: a comma breaks backfills in the Dagster UI, a slash would leave the lake.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from blake3 import blake3

from mesh_assets.errors import KeyFormatError

# A dataset key becomes part of file names of at most 255 bytes, with room for a run id and suffixes.
MAX_DATASET_KEY = 80
# Files that lie directly in the drop area belong to no dataset; their rejects need a place. No dataset can
# take this key, because a dataset key starts with a letter or digit.
LOOSE_FILES = "_loose_files"

# Slices below each of these sizes go before larger ones: minutes of work should not wait for hours of it.
_SMALL_BYTES = (1 << 20, 16 << 20, 256 << 20)

_DATASET_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SLICE_KEY = re.compile(r"(?P<dataset>[A-Za-z0-9][A-Za-z0-9._-]*)\.(?P<number>[0-9]{6})")


@dataclass(frozen=True, order=True, slots=True)
class SliceKey:
    """One slice of one dataset: the unit of work and the Dagster partition."""

    dataset: str
    number: int

    def __str__(self) -> str:
        return f"{self.dataset}.{self.number:06d}"

    @classmethod
    def parse(cls, text: str) -> SliceKey:
        """The key written as `text`; KeyFormatError where it is none."""
        match = _SLICE_KEY.fullmatch(text)
        if match is None or not is_dataset_key(match["dataset"]):
            raise KeyFormatError(
                f"{text!r} is not a slice key.",
                remedy="Slice keys look like `my-logs.000001`; `mesh status` lists those that exist.",
            )
        return cls(match["dataset"], int(match["number"]))


def is_slice_of(text: str, dataset: str) -> bool:
    """Whether `text` is the key of a slice of exactly this dataset: `a.b.000001` is none of `a`."""
    match = _SLICE_KEY.fullmatch(text)
    return match is not None and match["dataset"] == dataset


def is_dataset_key(text: str) -> bool:
    """Whether `text` can be a dataset key as it stands."""
    return len(text) <= MAX_DATASET_KEY and _DATASET_KEY.fullmatch(text) is not None


def check_dataset_key(text: str) -> str:
    """`text` if it is a dataset key (or the one for loose files); KeyFormatError otherwise."""
    if text != LOOSE_FILES and not is_dataset_key(text):
        raise KeyFormatError(
            f"{text!r} is not a dataset key.",
            remedy="Dataset keys hold letters, digits, `.`, `_` and `-`; `mesh status` lists those that exist.",
        )
    return text


def dataset_key(folder: str) -> str:
    """The key of the dataset whose folder in the drop area is called `folder`.

    A name that can be a key is its own key. Any other is slugged and gets eight hex digits of its hash, so
    that two names that slug alike stay two datasets. `folder` may hold surrogates, as `os.listdir` gives
    them for names that are not UTF-8.
    """
    if is_dataset_key(folder):
        return folder
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-._")[: MAX_DATASET_KEY - 9] or "dataset"
    return f"{slug}-{blake3(os.fsencode(folder)).hexdigest(length=4)}"


def slice_priority(size_bytes: int, *, is_new: bool) -> int:
    """Priority of a slice's run among all others, -8 to -1, higher first: new slices before changed ones, small first.

    What a person starts in the UI has 0 and so does not wait behind them; manifests and reports have more.
    """
    return sum(size_bytes < limit for limit in _SMALL_BYTES) + (4 if is_new else 0) - 8
