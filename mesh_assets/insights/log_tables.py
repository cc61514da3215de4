"""`log_templates` and `log_events`: what the logs of a slice say, and each time that they say it.

The chunks stream by twice. The first time the shapes of messages are gathered, from which the templates follow once a
log was read; the second time each record gets its template, whose shapes are known by then. Events that wait for their
templates would have to be kept aside, and they are as many as the lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import LEVELS
from mesh_assets.errors import CorruptTableError
from mesh_assets.insights.columns import column_of, equals
from mesh_assets.insights.known_templates import KnownTemplates, Room
from mesh_assets.insights.locators import CHUNK_COLUMNS, relative_spans
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_reader import Events, LogReader, Witness, source_of
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.template_miner import Shape, gaps_of
from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.insights import CHUNK_INSIGHTS
from mesh_assets.schemas.log_events import LOG_EVENTS, LOG_TEMPLATES
from mesh_assets.schemas.outcome import Outcome

# What is read of the chunks to see where each log ends, and to read it, and how many of them at once.
PLACE_COLUMNS = ("kind", "path")
COLUMNS = ("chunk_id", *CHUNK_COLUMNS, "time_stop")
BATCH_ROWS = 8192
# Shapes that the logs of a slice which are being read may remember together, beyond the share of each: about 30 MB.
_SHAPES = 30_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = 1e6  # of `TIMESTAMP`, in a second


def template_counts() -> Counter[str]:
    """What `log_template_batches` counts: `logs` and their `templates`."""
    return Counter(logs=0, templates=0)


def event_counts() -> Counter[str]:
    """What `log_event_batches` counts: `events`, and those of them `without_template`."""
    return Counter(events=0, without_template=0)


@dataclass(slots=True)
class _Said:
    """What is known of one template: its events with their levels (places in `LEVELS`, or -1) and times, an example."""

    words: Shape
    count: int = 0
    coming: int = 0
    levels: Counter[int] = field(default_factory=Counter[int])
    first: float = np.inf
    last: float = -np.inf
    example: Witness | None = None

    def absorb(self, other: _Said) -> None:
        self.count += other.count
        self.coming += other.coming
        self.levels.update(other.levels)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self._show(other.example)

    def take(self, levels: NDArray[np.int64], times: NDArray[np.float64], example: Witness) -> None:
        """Count some events; their times may be NaN."""
        self.count, self.coming = self.count + len(levels), 0
        self.levels.update(levels.tolist())
        known = times[~np.isnan(times)]
        if len(known):
            self.first, self.last = min(self.first, float(known.min())), max(self.last, float(known.max()))
        self._show(example)

    def _show(self, other: Witness | None) -> None:
        """Of two examples the one that stands first, so that their order does not matter."""
        mine = self.example
        if other is not None and (mine is None or _place(other) < _place(mine)):
            self.example = other

    def row(self, dataset: str, log: str, layout: LogLayout, wordings: Iterable[Shape]) -> dict[str, object]:
        """The row of `LOG_TEMPLATES`, without the slice."""
        level = min(self.levels, key=lambda place: (-self.levels[place], place))
        start, stop = (_moment(time) if np.isfinite(time) else None for time in (self.first, self.last))
        return {
            "template_id": template_id(dataset, log, self.words),
            "dataset": dataset,
            "log": log,
            "template": mask(" ".join(self.words)),
            "level": None if level < 0 else LEVELS[level],
            "events": self.count,
            "time_start": start,
            "time_stop": stop,
            "example": cast("Witness", self.example).citation().row(),
            "wordings": sorted(_key(shape) for shape in wordings),
            "head_columns": layout.columns,
            "source_column": layout.source,
        }


def _place(witness: Witness) -> tuple[str, int]:
    return witness.chunk[1], witness.byte_start


def template_id(dataset: str, log: str, template: Shape) -> str:
    """The id of a template: the same in every slice."""
    identity = "\x1f".join((dataset, log, *template))
    return blake3(identity.encode("utf-8", "surrogatepass")).hexdigest(length=16)


def _key(shape: Shape) -> int:
    """What stands for a shape in the table, where its words would be long and might be secret."""
    digest = blake3("\x1f".join(shape).encode("utf-8", "surrogatepass")).digest(length=8)
    return int.from_bytes(digest, "little", signed=True)


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(microseconds=round(seconds * _TICKS))


def _moments(seconds: NDArray[np.float64]) -> pa.Array[Any]:
    """Seconds since 1970 UTC as `TIMESTAMP`, null where they are NaN."""
    unknown = np.isnan(seconds)
    ticks = np.round(np.where(unknown, 0.0, seconds) * _TICKS).astype(np.int64)
    return cast("pa.Array[Any]", pa.array(ticks, pa.int64(), mask=unknown).cast(TIMESTAMP))


# --- templates ------------------------------------------------------------------------------------------------------


def log_template_batches(
    places: Iterable[pa.RecordBatch],
    chunks: Iterable[pa.RecordBatch],
    *,
    dataset: str,
    slice_key: str,
    outcome: Outcome,
    counts: Counter[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Batches of `LOG_TEMPLATES` of the logs among `chunks`; `places` are the `PLACE_COLUMNS` of the same chunks.

    The templates of a log come once its last chunk was read, and then it is forgotten. `outcome` advances with each
    batch of the chunks.
    """
    counts = template_counts() if counts is None else counts
    ends, room = _ends(places), Room(_SHAPES)
    logs: dict[str, KnownTemplates[_Said]] = {}
    layouts: dict[str, LogLayout] = {}
    reader = LogReader(layouts)
    read = 0
    for batch in chunks:
        for log, events in reader.events(_as_slice_batch(batch)):
            if log not in logs:
                logs[log], layouts[log] = KnownTemplates(room, _Said), events.layout
            if len(events.times):
                _count(logs[log], events)
        read += batch.num_rows
        rows: list[dict[str, object]] = []
        for log in [log for log in logs if ends[log] < read]:
            known, layout = logs.pop(log), layouts.pop(log)
            wordings = known.wordings()
            made = (said.row(dataset, log, layout, wordings[said.words]) for said in known.merged())
            rows += [{**row, "slice": slice_key} for row in made]
            known.leave()
            counts["logs"] += 1
        if rows:
            counts["templates"] += len(rows)
            yield LOG_TEMPLATES.batch(sorted(rows, key=lambda row: (row["log"], row["template_id"])))
        outcome.advance(batch.num_rows)


def _ends(places: Iterable[pa.RecordBatch]) -> dict[str, int]:
    """The last row of each log, counted over all batches."""
    found: dict[str, int] = {}
    begin = 0
    for batch in places:
        rows = np.flatnonzero(equals(column_of(batch, "kind"), "log"))
        encoded = cast(Any, column_of(batch, "path")).take(pa.array(rows)).dictionary_encode()
        last = np.zeros(len(encoded.dictionary), np.int64)
        last[np.asarray(encoded.indices)] = rows  # of equal places the last value stays
        for path, row in zip(encoded.dictionary.to_pylist(), last.tolist(), strict=True):
            log = source_of(path)
            found[log] = max(found.get(log, 0), begin + row)
        begin += batch.num_rows
    return found


def _as_slice_batch(chunks: pa.RecordBatch) -> SliceBatch:
    return SliceBatch(chunks, CHUNK_INSIGHTS.batch([]), np.zeros((chunks.num_rows, 0), np.float32))


def _count(known: KnownTemplates[_Said], events: Events) -> None:
    numbers, held = known.of(events.shapes, events.shape_list)
    order = np.argsort(numbers, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        said = held[int(numbers[part[0]])]
        if said is not None:
            said.take(events.named_levels[part], events.times[part], events.witness(int(part[0])))


# --- events ---------------------------------------------------------------------------------------------------------


# What is read of `LOG_TEMPLATES`.
WORDING_COLUMNS = ("template_id", "log", "wordings", "head_columns", "source_column")
_Wordings = tuple[NDArray[np.int64], NDArray[np.int64]]  # sorted, and the number of the template of each


class KnownWordings:
    """The templates of the logs of a slice by the wordings that they have, and how the messages of each log begin."""

    def __init__(self, templates: Iterable[pa.RecordBatch]) -> None:
        """From batches of `LOG_TEMPLATES`."""
        self.layouts: dict[str, LogLayout] = {}
        ids: list[pa.Array[Any]] = []
        held: dict[str, list[_Wordings]] = {}
        count = 0
        for batch in templates:
            ids.append(column_of(batch, "template_id"))
            read = (column_of(batch, name).to_pylist() for name in WORDING_COLUMNS[1:])
            for log, wordings, columns, source in zip(*read, strict=True):
                self.layouts[log] = LogLayout(columns, source)
                held.setdefault(log, []).append((np.array(wordings, np.int64), np.full(len(wordings), count)))
                count += 1
        self._ids = pa.chunked_array(ids, pa.string()).combine_chunks() if ids else pa.array([], pa.string())
        self._known = {log: _by_wording(parts) for log, parts in held.items()}

    def templates(self, log: str, shapes: Sequence[Shape]) -> NDArray[np.int64]:
        """The number of the template of each of some distinct shapes of a log, or -1.

        A shape that was not remembered has the template that it fits.
        """
        if log not in self._known:
            raise CorruptTableError(
                f"The table log_templates has none of {log}.",
                remedy="Materialize log_templates of the slice again, then log_events.",
            )
        wordings, templates = self._known[log]
        found = _numbers(wordings, templates, [_key(shape) for shape in shapes])
        for place in np.flatnonzero(found < 0).tolist():
            gaps = sorted(gaps_of(shapes[place]), reverse=True)
            fitting = _numbers(wordings, templates, [_key(gap) for gap in gaps])
            found[place] = next((number for number in fitting.tolist() if number >= 0), -1)
        return found

    def ids(self, templates: NDArray[np.int64]) -> pa.Array[Any]:
        """The ids of templates by their numbers, null for -1."""
        places = pa.array(np.maximum(templates, 0), mask=templates < 0)
        return cast("pa.Array[Any]", cast(Any, self._ids).take(places))


def _by_wording(parts: list[_Wordings]) -> _Wordings:
    wordings, templates = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(wordings, kind="stable")
    return wordings[order], templates[order]


def _numbers(wordings: NDArray[np.int64], templates: NDArray[np.int64], keys: list[int]) -> NDArray[np.int64]:
    wanted = np.array(keys, np.int64)
    at = np.minimum(np.searchsorted(wordings, wanted), len(wordings) - 1)
    return np.where(wordings[at] == wanted, templates[at], -1)


def log_event_batches(
    chunks: Iterable[pa.RecordBatch],
    templates: Iterable[pa.RecordBatch],
    *,
    slice_key: str,
    outcome: Outcome,
    counts: Counter[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """A batch of `LOG_EVENTS` for each batch of `chunks` that has records; `templates` are those of the same slice.

    A record has no template where its log says more that is new than may be remembered. `outcome` advances with each
    batch.
    """
    counts = event_counts() if counts is None else counts
    known = KnownWordings(templates)
    reader = LogReader(known.layouts)
    for batch in chunks:
        found = [
            (events, _templates_of(known, log, events))
            for log, events in reader.events(_as_slice_batch(batch))
            if len(events.times)
        ]
        if found:
            made = _event_rows(batch, slice_key, found, known)
            counts["events"] += made.num_rows
            counts["without_template"] += made.column("template_id").null_count
            yield LOG_EVENTS.cast(made)
        outcome.advance(batch.num_rows)


def _templates_of(known: KnownWordings, log: str, events: Events) -> NDArray[np.int64]:
    numbers, of = np.unique(events.shapes, return_inverse=True)
    return known.templates(log, [events.shape_list[int(number)] for number in numbers])[of]


def _event_rows(
    chunks: pa.RecordBatch,
    slice_key: str,
    found: list[tuple[Events, NDArray[np.int64]]],
    known: KnownWordings,
) -> pa.RecordBatch:
    """The rows of `LOG_EVENTS` of records of some chunks, which come in the order of those."""
    rows, levels, times, templates, starts, stops = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (events.rows, events.named_levels, events.times, numbers, events.spans.starts, events.spans.stops)
                for events, numbers in found
            ),
            strict=True,
        )
    )
    counts = np.bincount(rows, minlength=chunks.num_rows)
    starts, stops = relative_spans(chunks, counts, starts, stops)
    begins = np.asarray(cast(Any, column_of(chunks, "byte_start")), np.int64)[rows]
    of_chunk = pa.array(rows)
    sources = [source for events, _ in found for source in events.sources()]
    columns: dict[str, Any] = {
        **{name: cast(Any, column_of(chunks, name)).take(of_chunk) for name in ("chunk_id", "dataset", "path")},
        "slice": cast(Any, pa).repeat(slice_key, len(rows)),
        "byte_start": begins + starts,
        "byte_stop": begins + stops,
        "time": _moments(times),
        "level": cast(Any, pa.array(LEVELS, pa.string())).take(pa.array(np.maximum(levels, 0), mask=levels < 0)),
        "source": pa.array(sources, pa.string()),
        "template_id": known.ids(templates),
    }
    return pa.RecordBatch.from_pydict(columns)
