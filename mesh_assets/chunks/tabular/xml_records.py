"""XML: the element that repeats is the record, one JSON line each; what is beside the records comes by its path.

So whatever reads JSON lines reads these too. XML that repeats nothing is all lines of `path: text`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.tabular.grids import BLOCK, Grid, Rows, cell_text
from mesh_assets.chunks.tabular.xml_events import Element, forget, xml_error, xml_events
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject, printable

# Events that are looked at to find the element that repeats.
SAMPLE_EVENTS = 20_000
# An element with more below it in the mean is no record but a part of a document.
MAX_MEAN_ELEMENTS = 200
# Elements that may be held at once: a record, or text with marks in it.
MAX_HELD_ELEMENTS = 100_000
MAX_NAME = 120

# A record as an object, or a line beside the records.
_Item = dict[str, object] | str


def xml_grids(source: Source) -> Iterator[Grid | Reject]:
    """The records of a file, and lines beside them. FormatError for XML that is broken, too deep, or holds a bomb."""
    path = _record_path(source)
    with source.open() as stream:
        items = _Items(source, path).read(xml_events(stream))
        while (first := next(items, None)) is not None:
            if isinstance(first, str):
                block, items = _lines(chain([first], items))
                yield Grid("lines", None, (), [Rows(block)])
                continue
            left: list[str] = []
            columns = tuple((name, _kind(value)) for name, value in first.items())
            records = _records(chain([first], items), left)
            yield Grid("records", f"/{'/'.join(path or ())}", columns, records, is_json=True)
            if left:
                yield Grid("lines", None, (), [Rows("".join(f"{line}\n" for line in left))])


def _lines(items: Iterator[_Item]) -> tuple[str, Iterator[_Item]]:
    """Lines up to the next record, but not too many at once; and what comes then."""
    lines: list[str] = []
    size = 0
    for item in items:
        if not isinstance(item, str):
            return "".join(lines), chain([item], items)
        lines.append(f"{item}\n")
        size += len(item)
        if size >= BLOCK:
            break
    return "".join(lines), items


def _records(items: Iterator[_Item], left: list[str]) -> Iterator[Rows]:
    """Records as lines. What is between them goes to `left`; the run ends where that becomes too much."""
    lines: list[str] = []
    size = beside = 0
    try:
        for item in items:
            if isinstance(item, str):
                left.append(item)
                beside += len(item)
            else:
                lines.append(f"{cell_text(json.dumps(item, ensure_ascii=False))}\n")
                size += len(lines[-1])
            if size >= BLOCK:
                yield Rows("".join(lines))
                lines, size = [], 0
            if beside >= BLOCK:
                break
    except Exception:  # whatever a parser says of broken XML
        if lines:
            yield Rows("".join(lines))
        raise
    if lines:
        yield Rows("".join(lines))


def _kind(value: object) -> str:
    return "object" if isinstance(value, dict) else "list" if isinstance(value, list) else "text"


def _record_path(source: Source) -> tuple[str, ...] | None:
    """The path of the element that is a record: the first level below the root that repeats and is small."""
    counts: Counter[tuple[str, ...]] = Counter()
    below: Counter[tuple[str, ...]] = Counter()
    path: list[str] = []
    sizes: list[int] = []
    with source.open() as stream, suppress(xml_error()):  # what is before the place that is broken is used
        for event, element in islice(xml_events(stream), SAMPLE_EVENTS):
            if event == "start":
                path.append(_name(element))
                sizes.append(1)
                continue
            size = sizes.pop()
            counts[tuple(path)] += 1
            below[tuple(path)] += size
            path.pop()
            if sizes:
                sizes[-1] += size
            forget(element)
    fitting = [
        found
        for found, count in counts.items()
        if len(found) > 1 and count > 1 and count > counts[found[:-1]] and below[found] <= MAX_MEAN_ELEMENTS * count
    ]
    # Of those of one level the one that most of the file consists of.
    return min(fitting, key=lambda found: (len(found), -below[found], found), default=None)


@dataclass(slots=True)
class _Level:
    """An element that is open: how often each name came in it, and what is known of its content."""

    name: str
    seen: Counter[str] = field(default_factory=Counter[str])
    fields: dict[str, object] = field(default_factory=dict[str, object])
    has_children: bool = False


class _Items:
    """Reads a file as records with the path `path`, and lines for what is beside them."""

    def __init__(self, source: Source, path: tuple[str, ...] | None) -> None:
        self._source = source
        self._path = path
        self._open: list[_Level] = []
        self._shown: list[str] = []
        # Depth of the record, or of the text with marks in it, that is open; 0 where none is.
        self._record = self._mixed = 0
        self._held = 0

    def read(self, events: Iterator[tuple[str, Element]]) -> Iterator[_Item]:
        """Records and lines in the order in which they end."""
        parents: list[Element] = []
        for event, element in events:
            if event == "start":
                self._begin(element, parents[-1] if parents else None)
                parents.append(element)
                continue
            parents.pop()
            yield from self._end(element)
            if not (self._record or self._mixed):
                forget(element)
                self._held = 0

    def _begin(self, element: Element, parent: Element | None) -> None:
        name = _name(element)
        if self._open:
            above = self._open[-1]
            above.has_children = True
            above.seen[name] += 1
            number = above.seen[name]
        else:
            number = 1
        self._open.append(_Level(name))
        self._shown.append(name if number == 1 else f"{name}[{number}]")
        if self._record or self._mixed:
            self._held += 1
            if self._held > MAX_HELD_ELEMENTS:
                raise FormatError(
                    "record too large",
                    f"{printable(self._source.path)} has a record of more than {MAX_HELD_ELEMENTS:,} elements.",
                    remedy="Split it; what was read before it is used.",
                )
        elif self._path is not None and len(self._open) == len(self._path):
            if tuple(level.name for level in self._open) == self._path:
                self._record = len(self._open)
        elif parent is not None and (parent.text or "").strip():
            self._mixed = len(self._open) - 1

    def _end(self, element: Element) -> Iterator[_Item]:
        depth, level = len(self._open), self._open.pop()
        path = "/" + "/".join(self._shown)
        self._shown.pop()
        if self._record:
            value = _value(element, level)
            if depth == self._record:
                self._record = 0
                yield value if isinstance(value, dict) else {"text": value}
            else:
                _put(self._open[-1].fields, level.name, value)
            return
        if self._mixed:
            if depth == self._mixed:
                self._mixed = 0
                yield f"{path}: {_one_line(''.join(element.itertext()))}"
            return
        for name, value in element.items():
            yield f"{path}/@{_local(name)}: {_one_line(value)}"
        if text := _one_line(_own_text(element)):
            yield f"{path}: {text}"


def _value(element: Element, level: _Level) -> object:
    """What an element says: its text, or an object of its attributes, its elements and its text."""
    text = _one_line(_own_text(element))
    attributes = element.items()
    if not attributes and not level.has_children:
        return text
    fields: dict[str, object] = {f"@{_local(name)}": value for name, value in attributes}
    fields |= level.fields
    if text:
        fields["text" if "text" not in fields else "#text"] = text
    return fields


def _put(fields: dict[str, object], name: str, value: object) -> None:
    """One more value of this name; several become a list."""
    if name not in fields:
        fields[name] = value
    elif isinstance(found := fields[name], list):
        found.append(value)  # pyright: ignore[reportUnknownMemberType]
    else:
        fields[name] = [found, value]


def _own_text(element: Element) -> str:
    """The text of an element without that of the elements in it. Entities, which are not resolved, as they stand."""
    parts = [element.text or ""]
    for child in element:
        if not isinstance(child.tag, str):
            parts.append(child.text or "")
        parts.append(child.tail or "")
    return "".join(parts)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _name(element: Element) -> str:
    return _local(str(element.tag))


def _local(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition("}")[2][:MAX_NAME]
