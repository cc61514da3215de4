"""What the logs of a slice say, in one reading of them: records, templates, and what stands out (`logs`).

Templates follow from the shapes of messages once a log was read. Its records, which are as many as the lines, wait for
theirs in a temporary file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile
from typing import Any, cast

import numpy as np
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import LEVELS
from mesh_assets.insights.columns import column_of, equals
from mesh_assets.insights.earlier_templates import EarlierTemplates
from mesh_assets.insights.known_templates import KnownTemplates, Room
from mesh_assets.insights.locators import CHUNK_COLUMNS, relative_spans
from mesh_assets.insights.log_reader import Events, LogReader, Witness, source_of
from mesh_assets.insights.logs import LogInsight
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.template_miner import Shape, gaps_of
from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.insights import CHUNK_INSIGHTS
from mesh_assets.schemas.log_events import LOG_EVENTS, LOG_INSIGHTS, LOG_TEMPLATES
from mesh_assets.schemas.outcome import AttachedRows, Outcome

# What is read of the chunks to see where each log ends, and to read it, and how many of them at once.
PLACE_COLUMNS = ("kind", "path")
COLUMNS = ("chunk_id", *CHUNK_COLUMNS, "time_stop")
BATCH_ROWS = 8192
# Shapes that the logs of a slice which are being read may remember together, beyond the share of each: about 30 MB.
_SHAPES = 30_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = 1e6  # of `TIMESTAMP`, in a second
# Between the words of a shape, and between them and the log: no word holds one of these.
_SEPARATOR, _END = "\x1f", "\n"
_ipc: Any = cast(Any, pa).ipc
_dictionary: Any = pa.DictionaryArray


def log_counts() -> Counter[str]:
    """What `log_batches` counts: `logs`, their `templates` and `events`, and those of them `without_template`."""
    return Counter(logs=0, templates=0, events=0, without_template=0)


def log_batches(
    places: Iterable[pa.RecordBatch],
    chunks: Iterable[pa.RecordBatch],
    *,
    dataset: str,
    slice_key: str,
    outcome: Outcome,
    attached: AttachedRows,
    counts: Counter[str] | None = None,
    earlier: Mapping[str, EarlierTemplates] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Batches of `LOG_EVENTS` of the logs among `chunks`; `places` are the `PLACE_COLUMNS` of the same chunks.

    `attached` gets the rows of `LOG_TEMPLATES` and `LOG_INSIGHTS`. A record has no template where its log says more
    that is new than may be remembered. `outcome` advances with each batch of the chunks. `earlier` has by log the
    templates of earlier slices, which are not new in this one.
    """
    counts = log_counts() if counts is None else counts
    logs = _Logs(dataset, slice_key, _ends(places))
    insight, reader, writer = LogInsight(earlier), LogReader(), None
    read = 0
    with TemporaryFile() as waiting:
        for batch in chunks:
            found = [(log, events) for log, events in reader.events(_as_slice_batch(batch)) if len(events.times)]
            for log, events in found:
                insight.observe(log, events)
                logs.count(log, events)
            if found:
                rows = _waiting_rows(batch, slice_key, found)
                writer = writer or _ipc.new_stream(waiting, rows.schema)
                writer.write_batch(rows)
            read += batch.num_rows
            if templates := logs.templates(read):
                counts["templates"] += len(templates)
                attached.add("log_templates", LOG_TEMPLATES.batch(templates))
            outcome.advance(batch.num_rows)
        counts["logs"] = logs.ended
        said = [each.row(dataset=dataset, slice_key=slice_key) for each in insight.conclude()]
        attached.add("log_insights", LOG_INSIGHTS.batch(said))
        if writer is not None:
            writer.close()
            waiting.seek(0)
            known = logs.wordings()
            for rows in _ipc.open_stream(waiting):
                made = LOG_EVENTS.cast(rows.append_column("template_id", known.templates(rows)))
                counts["events"] += made.num_rows
                counts["without_template"] += made.column("template_id").null_count
                yield made


def _as_slice_batch(chunks: pa.RecordBatch) -> SliceBatch:
    return SliceBatch(chunks, CHUNK_INSIGHTS.batch([]), np.zeros((chunks.num_rows, 0), np.float32))


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

    def row(self, dataset: str, log: str, slice_key: str) -> dict[str, object]:
        """The row of `LOG_TEMPLATES`."""
        level = min(self.levels, key=lambda place: (-self.levels[place], place))
        start, stop = (_moment(time) if np.isfinite(time) else None for time in (self.first, self.last))
        return {
            "template_id": template_id(dataset, log, self.words),
            "dataset": dataset,
            "slice": slice_key,
            "log": log,
            "template": mask(" ".join(self.words)),
            "level": None if level < 0 else LEVELS[level],
            "events": self.count,
            "time_start": start,
            "time_stop": stop,
            "example": cast("Witness", self.example).citation().row(),
        }


def _place(witness: Witness) -> tuple[str, int]:
    return witness.chunk[1], witness.byte_start


def template_id(dataset: str, log: str, template: Shape) -> str:
    """The id of a template: the same in every slice."""
    identity = "\x1f".join((dataset, log, *template))
    return blake3(identity.encode("utf-8", "surrogatepass")).hexdigest(length=16)


# --- templates ------------------------------------------------------------------------------------------------------


class _Logs:
    """The logs of a slice while they are read, and the templates of those that were."""

    def __init__(self, dataset: str, slice_key: str, ends: dict[str, int]) -> None:
        """`ends` has the last row of each log."""
        self.ended = 0
        self._dataset, self._slice_key, self._ends = dataset, slice_key, ends
        self._room = Room(_SHAPES)
        self._known: dict[str, KnownTemplates[_Said]] = {}
        self._ids: list[str] = []
        self._wordings: list[tuple[NDArray[np.int64], int]] = []

    def count(self, log: str, events: Events) -> None:
        """Count the next events of a log."""
        known = self._known.get(log)
        if known is None:
            known = self._known[log] = KnownTemplates(self._room, _Said)
        numbers, held = known.of(events.shapes, events.shape_list)
        order = np.argsort(numbers, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            said = held[int(numbers[part[0]])]
            if said is not None:
                said.take(events.named_levels[part], events.times[part], events.witness(int(part[0])))

    def templates(self, read: int) -> list[dict[str, object]]:
        """The rows of `LOG_TEMPLATES` of the logs that end within the first `read` rows; they are forgotten then."""
        rows: list[dict[str, object]] = []
        for log in [log for log in self._known if self._ends[log] < read]:
            known = self._known.pop(log)
            wordings = known.wordings()
            for said in known.merged():
                rows.append(said.row(self._dataset, log, self._slice_key))
                keys = np.array([_key(log, shape) for shape in wordings[said.words]], np.int64)
                self._wordings.append((keys, len(self._ids)))
                self._ids.append(cast(str, rows[-1]["template_id"]))
            known.leave()
            self.ended += 1
        return sorted(rows, key=lambda row: (row["log"], row["template_id"]))

    def wordings(self) -> _Wordings:
        """The templates by their wordings."""
        keys = np.concatenate([keys for keys, _ in self._wordings])
        templates = np.repeat([number for _, number in self._wordings], [len(keys) for keys, _ in self._wordings])
        order = np.argsort(keys, kind="stable")
        return _Wordings(keys[order], templates[order], pa.array(self._ids, pa.string()))


def _key(log: str, shape: Shape) -> int:
    """What stands for a shape of a log while its slice is read: its words would take a hundred times the room."""
    return hash((log, shape))


def _wording(log: str, shape: Shape) -> str:
    """A shape of a log as it is written to the file of what waits."""
    return f"{_SEPARATOR.join(shape)}{_END}{log}"


def _said(wording: str) -> tuple[str, Shape]:
    """The log and the shape that were written so."""
    words, _, log = wording.partition(_END)
    return log, tuple(words.split(_SEPARATOR)) if words else ()


@dataclass(frozen=True, slots=True)
class _Wordings:
    """The wordings of all templates: their keys, sorted, and the number of the template of each; the ids by number."""

    keys: NDArray[np.int64]
    numbers: NDArray[np.int64]
    ids: pa.Array[Any]

    def templates(self, rows: pa.RecordBatch) -> pa.Array[Any]:
        """The ids of the templates of events, null where they have none.

        A shape that was not remembered has the template that it fits.
        """
        column = cast(Any, column_of(rows, "wording"))
        wordings = [_said(wording) for wording in column.dictionary.to_pylist()]
        found = self._found([_key(*wording) for wording in wordings])
        for place in np.flatnonzero(found < 0).tolist():
            log, shape = wordings[place]
            fitting = self._found([_key(log, gap) for gap in sorted(gaps_of(shape), reverse=True)])
            found[place] = next((number for number in fitting.tolist() if number >= 0), -1)
        numbers = found[np.asarray(column.indices)]
        return cast(Any, self.ids).take(pa.array(np.maximum(numbers, 0), mask=numbers < 0))

    def _found(self, keys: list[int]) -> NDArray[np.int64]:
        wanted = np.array(keys, np.int64)
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[at] == wanted, self.numbers[at], -1)


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


# --- events ---------------------------------------------------------------------------------------------------------


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(microseconds=round(seconds * _TICKS))


def _moments(seconds: NDArray[np.float64]) -> pa.Array[Any]:
    """Seconds since 1970 UTC as `TIMESTAMP`, null where they are NaN."""
    unknown = np.isnan(seconds)
    ticks = np.round(np.where(unknown, 0.0, seconds) * _TICKS).astype(np.int64)
    return cast("pa.Array[Any]", pa.array(ticks, pa.int64(), mask=unknown).cast(TIMESTAMP))


def _waiting_rows(chunks: pa.RecordBatch, slice_key: str, found: list[tuple[str, Events]]) -> pa.RecordBatch:
    """The rows of `LOG_EVENTS` of records of some chunks, with a `wording` in place of the template."""
    rows, levels, times, starts, stops = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (events.rows, events.named_levels, events.times, events.spans.starts, events.spans.stops)
                for _, events in found
            ),
            strict=True,
        )
    )
    counts = np.bincount(rows, minlength=chunks.num_rows)
    starts, stops = relative_spans(chunks, counts, starts, stops)
    begins = np.asarray(cast(Any, column_of(chunks, "byte_start")), np.int64)[rows]
    of_chunk = pa.array(rows, pa.int32())
    sources = pa.array([source for _, events in found for source in events.sources()], pa.string())
    columns: dict[str, Any] = {
        **{
            name: _dictionary.from_arrays(of_chunk, column_of(chunks, name)) for name in ("chunk_id", "dataset", "path")
        },
        "slice": _dictionary.from_arrays(pa.array(np.zeros(len(rows), np.int8)), [slice_key]),
        "byte_start": begins + starts,
        "byte_stop": begins + stops,
        "time": _moments(times),
        "level": cast(Any, pa.array(LEVELS, pa.string())).take(pa.array(np.maximum(levels, 0), mask=levels < 0)),
        "source": cast(Any, sources).dictionary_encode(),
        "wording": _wordings(found),
    }
    return pa.RecordBatch.from_pydict(columns)


def _wordings(found: list[tuple[str, Events]]) -> pa.Array[Any]:
    """The log and the shape of each event."""
    places: dict[str, int] = {}
    parts: list[NDArray[np.int64]] = []
    for log, events in found:
        shapes, of = np.unique(events.shapes, return_inverse=True)
        written = (_wording(log, events.shape_list[int(shape)]) for shape in shapes)
        each = [places.setdefault(wording, len(places)) for wording in written]
        parts.append(np.array(each, np.int64)[of])
    return _dictionary.from_arrays(pa.array(np.concatenate(parts), pa.int32()), pa.array(list(places), pa.string()))
