"""Pictures in a report: a strip of keyframes for each video, the thumbnails of pictures, gathered from `PREVIEWS`.

Bounded whatever there is: a dozen videos of eight keyframes each, spread over their length, and two dozen pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa

from mesh_assets.reports.prose import shorten

MAX_VIDEOS, MAX_KEYFRAMES, MAX_PICTURES = 12, 8, 24
MAX_IMAGE_BYTES = 60_000
_LABEL_CHARACTERS, _PATH_CHARACTERS = 300, 600
_COLUMNS = ("kind", "path", "place", "label", "media_type", "width", "height", "image")


@dataclass(frozen=True, slots=True)
class Preview:
    """One small JPEG, and in words what it shows: a file, a place in it, a label."""

    path: str
    place: str
    label: str
    width: int
    height: int
    image: bytes


@dataclass(frozen=True, slots=True)
class Strip:
    """Previews side by side: of one video, whose path is the title, or of pictures. `more` are not shown."""

    title: str
    previews: tuple[Preview, ...]
    more: int = 0


@dataclass(slots=True)
class _Thinned:
    """Some of many, spread evenly over them, without knowing how many will come: Every `step`-th is held."""

    most: int
    seen: int = 0
    step: int = 1
    held: list[Preview] = field(default_factory=list[Preview])

    def add(self, preview: Preview | None) -> None:
        """One more; None counts, but is not shown."""
        if preview is not None and self.seen % self.step == 0:
            self.held.append(preview)
            if len(self.held) == 2 * self.most:
                self.held = self.held[::2]
                self.step *= 2
        self.seen += 1

    def strip(self, title: str) -> Strip:
        count = min(self.most, len(self.held))
        chosen = [self.held[at * len(self.held) // count] for at in range(count)]
        return Strip(title, tuple(chosen), self.seen - count)


def gather_strips(batches: Iterable[pa.RecordBatch]) -> tuple[tuple[Strip, ...], int]:
    """The strips of a report from rows of `PREVIEWS`, videos first, and how many videos have none for want of room.

    Batches are read once; of each file no more stays in memory than is shown. Rows without the column `image` only
    count.
    """
    pictures = _Thinned(MAX_PICTURES)
    videos: dict[str, _Thinned] = {}
    others: set[str] = set()
    for batch in batches:
        held = [name for name in _COLUMNS if name in batch.schema.names]
        for row in cast("list[dict[str, object]]", batch.select(held).to_pylist()):
            path = cast(str, row["path"])
            if row["kind"] != "video":
                pictures.add(_preview(row))
            elif path in videos or (len(videos) < MAX_VIDEOS and "image" in row):
                videos.setdefault(path, _Thinned(MAX_KEYFRAMES)).add(_preview(row))
            else:
                others.add(path)
    strips = [thinned.strip(shorten(path, _PATH_CHARACTERS)) for path, thinned in videos.items() if thinned.held]
    if pictures.held:
        strips.append(pictures.strip("Pictures"))
    return tuple(strips), len(others)


def _preview(row: dict[str, object]) -> Preview | None:
    """The preview in a row, if it is a JPEG: whatever else may be there is not put into a page."""
    image = cast(bytes, row.get("image", b""))
    if not image or row["media_type"] != "image/jpeg" or image[:3] != b"\xff\xd8\xff" or len(image) > MAX_IMAGE_BYTES:
        return None
    return Preview(
        shorten(cast(str, row["path"]), _PATH_CHARACTERS),
        cast(str, row["place"] or ""),
        shorten(cast(str, row["label"]), _LABEL_CHARACTERS),
        cast(int, row["width"]),
        cast(int, row["height"]),
        image,
    )
