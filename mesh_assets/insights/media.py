"""Pictures, sound and video: how much there is, when and where it was taken, and which pictures are nearly the same.

All of it is counted from the readings of the files (`chunks.media.facts`); each count leads to a chunk that says it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.media.facts import (
    PictureFacts,
    picture_facts,
    recording_facts,
    scene_seconds,
    segment_facts,
)
from mesh_assets.insights.locators import ChunkText
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.wording import plural
from mesh_assets.schemas.citations import Citation
from mesh_assets.wording import duration

_KINDS = ("image", "audio", "video")
_EVIDENCE = 5
_MAX_NAMES = 500
# Pictures that are compared with each other: all pairs of them are looked at, 200 million in a second.
_MAX_HASHES = 20_000
# Of 64 bits of two pHashes so many may differ: scaled and re-encoded copies differ in 2 to 6, unrelated pictures in 32.
NEAR_BITS = 6
_ROWS_AT_ONCE = 256
_MAX_GROUPS = 10
# Hashes with hardly any bit, or all, are those of empty pictures, which all look the same.
_LEAST_BITS = 4


@dataclass(slots=True)
class _Names:
    """How often each of several names occurs; not more names than a report can use."""

    counts: Counter[str] = field(default_factory=Counter[str])

    def add(self, name: str) -> None:
        if name in self.counts or len(self.counts) < _MAX_NAMES:
            self.counts[name] += 1

    def top(self, most: int = 12) -> dict[str, int]:
        return dict(self.counts.most_common(most))


@dataclass(slots=True)
class _Pictures:
    count: int = 0
    sorts: _Names = field(default_factory=_Names)
    forms: _Names = field(default_factory=_Names)
    colours: _Names = field(default_factory=_Names)
    cameras: _Names = field(default_factory=_Names)
    years: _Names = field(default_factory=_Names)
    places: _Names = field(default_factory=_Names)
    first: list[Citation] = field(default_factory=list[Citation])
    earliest: tuple[str, Citation] | None = None
    latest: tuple[str, Citation] | None = None
    located: list[Citation] = field(default_factory=list[Citation])
    hashes: list[int] = field(default_factory=list[int])
    owners: list[Citation] = field(default_factory=list[Citation])


@dataclass(slots=True)
class _Recordings:
    """What there is of one sort: files, their seconds, and the parts of them by what they are."""

    files: int = 0
    seconds: float = 0.0
    forms: _Names = field(default_factory=_Names)
    parts: Counter[str] = field(default_factory=Counter[str])
    scenes: int = 0
    longest: tuple[float, Citation] | None = None
    first: list[Citation] = field(default_factory=list[Citation])


class MediaInsight:
    """Counts what media are."""

    def __init__(self) -> None:
        self._pictures = _Pictures()
        self._recordings = {"Sound": _Recordings(), "Video": _Recordings()}
        # What the last file was: one that calls itself a video may hold sound alone.
        self._sort = "Sound"

    def observe(self, batch: SliceBatch) -> None:
        """Take in the next chunks."""
        for row in batch.rows_of(*_KINDS):
            chunk = batch.chunk(row)
            if chunk.kind == "image":
                found = picture_facts(chunk.text)
                if found is not None:
                    _add_picture(self._pictures, found, chunk)
            else:
                self._add_part(chunk)

    def _add_part(self, chunk: ChunkText) -> None:
        whole = recording_facts(chunk.text)
        if whole is not None:
            self._sort = whole.sort
            recordings = self._recordings[whole.sort]
            recordings.files += 1
            recordings.seconds += whole.seconds
            recordings.forms.add(whole.form)
            if len(recordings.first) < _EVIDENCE:
                recordings.first.append(chunk.cite_opening())
            if recordings.longest is None or whole.seconds > recordings.longest[0]:
                recordings.longest = whole.seconds, chunk.cite_opening()
            return
        segment = segment_facts(chunk.text)
        if segment is not None:
            self._recordings[self._sort].parts[segment[0]] += round(segment[1])
        elif scene_seconds(chunk.text) is not None:
            self._recordings["Video"].scenes += 1

    def conclude(self) -> Iterable[Insight]:
        """What there is of each sort, and groups of pictures that are nearly the same."""
        if self._pictures.count:
            yield _about_pictures(self._pictures)
            yield from _near_identical(self._pictures)
        for sort, recordings in self._recordings.items():
            if recordings.files:
                yield _about_recordings(sort, recordings)


def _add_picture(pictures: _Pictures, found: PictureFacts, chunk: ChunkText) -> None:
    cited = chunk.cite_opening()
    pictures.count += 1
    pictures.sorts.add(found.sort.lower())
    pictures.forms.add(found.form)
    for colour in found.colours:
        pictures.colours.add(colour)
    if len(pictures.first) < _EVIDENCE:
        pictures.first.append(cited)
    if found.camera:
        pictures.cameras.add(found.camera)
    if found.taken:
        pictures.years.add(found.taken[:4])
        if pictures.earliest is None or found.taken < pictures.earliest[0]:
            pictures.earliest = found.taken, cited
        if pictures.latest is None or found.taken > pictures.latest[0]:
            pictures.latest = found.taken, cited
    if found.place:
        pictures.places.add(_region(found.place))
        if len(pictures.located) < _EVIDENCE:
            pictures.located.append(cited)
    _keep_hash(pictures, found.hash, cited)


def _keep_hash(pictures: _Pictures, digits: int | None, cited: Citation) -> None:
    if digits is None or len(pictures.hashes) >= _MAX_HASHES:
        return
    if _LEAST_BITS <= digits.bit_count() <= 64 - _LEAST_BITS:
        pictures.hashes.append(digits)
        pictures.owners.append(cited)


def _region(place: str) -> str:
    """A place to a tenth of a degree, about 10 km: `48.9 N 2.3 E`."""
    latitude, north, longitude, east = place.split()
    return f"{float(latitude):.1f} {north} {float(longitude):.1f} {east}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _about_pictures(pictures: _Pictures) -> Insight:
    sorts = ", ".join(plural(count, sort) for sort, count in pictures.sorts.top(4).items())
    said = [f"{plural(pictures.count, 'picture')}: {sorts}; mostly {' and '.join(pictures.colours.top(2))}."]
    cited = list(pictures.first)
    start = stop = None
    if pictures.earliest and pictures.latest:
        start, stop = _moment(pictures.earliest[0]), _moment(pictures.latest[0])
        days = f"on {start:%Y-%m-%d}" if start.date() == stop.date() else f"from {start:%Y-%m-%d} to {stop:%Y-%m-%d}"
        said.append(f"{_say(pictures.years)} when: {days}.")
        cited = [pictures.earliest[1], pictures.latest[1], *cited]
    if pictures.places.counts:
        said.append(f"{_say(pictures.places)} where: most near {next(iter(pictures.places.top(1)))}.")
        cited = [*pictures.located[:2], *cited]
    return Insight(
        kind="image",
        type="media_pictures",
        title="Pictures",
        statement=" ".join(said),
        score=0.35,
        value={
            "count": pictures.count,
            "formats": pictures.forms.top(),
            "colours": pictures.colours.top(),
            "cameras": pictures.cameras.top(),
            "taken in": dict(sorted(pictures.years.top().items())),
            "taken near": pictures.places.top(),
        },
        evidence=tuple(dict.fromkeys(cited))[:_EVIDENCE],
        time_start=start,
        time_stop=stop,
    )


def _say(names: _Names) -> str:
    count = sum(names.counts.values())
    return "1 says" if count == 1 else f"{count:,} say"


def _about_recordings(sort: str, recordings: _Recordings) -> Insight:
    noun = "video" if sort == "Video" else "recording"
    said = f"{plural(recordings.files, noun)} of {_long(recordings.seconds)} together"
    if recordings.scenes:
        said += f", in {plural(recordings.scenes, 'scene')}"
    parts = ", ".join(f"{_long(seconds)} of {what}" for what, seconds in recordings.parts.most_common() if seconds)
    cited = [recordings.longest[1]] if recordings.longest else []
    return Insight(
        kind="video" if sort == "Video" else "audio",
        type=f"media_{sort.lower()}",
        title="Videos" if sort == "Video" else "Sound",
        statement=f"{said}{f'; of their sound {parts}' if parts else ''}.",
        score=0.35,
        value={
            "files": recordings.files,
            "length seconds": round(recordings.seconds, 1),
            "formats": recordings.forms.top(),
            "seconds of sound": dict(recordings.parts.most_common()),
        },
        evidence=tuple(dict.fromkeys([*cited, *recordings.first]))[:_EVIDENCE],
    )


def _long(seconds: float) -> str:
    return duration(timedelta(seconds=round(seconds)))


def _near_identical(pictures: _Pictures) -> Iterator[Insight]:
    """Groups of pictures each of which is near another of its group, largest first."""
    groups = near_groups(np.array(pictures.hashes, np.uint64))
    for group in groups[:_MAX_GROUPS]:
        cited = [pictures.owners[at] for at in group]
        names = {citation.path: None for citation in cited}
        if len(names) < 2:
            continue  # pages of one file
        shown = ", ".join(list(names)[:3])
        yield Insight(
            kind="image",
            type="media_alike",
            title=f"{plural(len(names), 'picture')} like {next(iter(names)).rpartition('/')[2]}",
            statement=f"{shown}{' ...' if len(names) > 3 else ''} show nearly the same: at most {NEAR_BITS} of 64 bits "
            "of their perceptual hashes differ from one to the next. They may be copies of other sizes or formats.",
            score=0.3,
            value={"copies": len(names)},
            evidence=tuple(cited[:_EVIDENCE]),
        )


def near_groups(hashes: NDArray[np.uint64]) -> list[list[int]]:
    """Indexes of hashes of 64 bits that hang together by pairs with at most `NEAR_BITS` between them, largest first."""
    roots = list(range(len(hashes)))

    def root(at: int) -> int:
        while roots[at] != at:
            roots[at] = roots[roots[at]]
            at = roots[at]
        return at

    for start in range(0, len(hashes), _ROWS_AT_ONCE):
        rows = hashes[start : start + _ROWS_AT_ONCE, None]
        near = np.bitwise_count(rows ^ hashes[None, start:]) <= NEAR_BITS
        for row, column in np.argwhere(near).tolist():
            first, second = root(start + row), root(start + column)
            if first != second:
                roots[max(first, second)] = min(first, second)
    groups: dict[int, list[int]] = {}
    for at in range(len(hashes)):
        groups.setdefault(root(at), []).append(at)
    return sorted((group for group in groups.values() if len(group) > 1), key=lambda group: (-len(group), group[0]))
