"""The most frequent entities of a slice, and the secrets that lie in it as a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mesh_assets.insights.columns import (
    byte_lengths,
    column_of,
    content_of,
    counted,
    equals,
    integers,
    is_in,
    rows_of,
    rows_where,
    sums,
)
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.wording import amount, plural
from mesh_assets.schemas.citations import Citation

# Entities of one label that are counted at once; past it, those met once are forgotten.
_MAX_COUNTED = 5000
_LISTED = 8
_SHOWN_SECRETS = 8
_PLURAL = {
    "email": "e-mail addresses",
    "url": "web addresses",
    "ip": "IP addresses",
    "host": "hosts",
    "path": "file paths",
    "time": "points in time",
    "amount": "amounts of money",
    "version": "versions",
    "uuid": "UUIDs",
    "error_code": "error codes",
    "exception": "exceptions",
    "identifier": "identifiers",
    "person": "people",
    "organisation": "organisations",
    "address": "postal addresses",
    "place": "places",
    "name": "other names",
}
# Numbers without a name: each is said once, together they say nothing.
_UNCOUNTED = frozenset({"percent", "duration", "time", "secret"})


# Columns of an entity's first mention that a citation is made of.
_PLACE = ("dataset", "path", "byte_start", "byte_stop", "source_hash", "line_start", "place")


class EntityInsight:
    """Counts entities by label and text, keeping where each was met first."""

    def __init__(self) -> None:
        self._counted = _Counts()
        self._totals: Counter[str] = Counter()
        self._secrets: Counter[str] = Counter()
        self._shown: list[Citation] = []
        self._secret_files: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()

    def observe(self, batch: SliceBatch) -> None:
        """Count the entities of the chunks."""
        lists = cast("pa.ListArray[Any]", column_of(batch.insights, "entities"))
        counts = np.asarray(lists.value_lengths(), np.int64)
        if not counts.sum():
            return
        for kind, count in sums(column_of(batch.chunks, "kind"), counts):
            if count:
                self._kinds[kind] += count
        table = _mentions(batch, lists, np.repeat(np.arange(len(counts)), counts))
        labels = table.column("label")
        for row in rows_where(table, equals(labels, "secret")).to_pylist():
            self._add_secret(row)
        mentions = rows_where(table, ~is_in(labels, sorted(_UNCOUNTED)))
        for label, count in counted(mentions.column("label")):
            self._totals[label] += count
        self._counted.add(mentions)

    def _add_secret(self, row: dict[str, Any]) -> None:
        citation = _citation(row)
        self._secrets[row["text"].split(",")[0]] += 1
        if citation.path in self._secret_files or len(self._secret_files) < _MAX_COUNTED:
            self._secret_files[citation.path] += 1
        if len(self._shown) < _SHOWN_SECRETS:
            self._shown.append(citation)

    def conclude(self) -> Iterable[Insight]:
        """The secrets, then each label's most frequent entities."""
        yield from self._secret_finding()
        kind = self._kinds.most_common(1)[0][0] if len(self._kinds) == 1 else "mixed"
        for label, total in self._totals.most_common():
            ranked = self._counted.most_frequent(label)
            if not ranked:
                continue
            name = _PLURAL.get(label, label)
            listed = ", ".join(f"{row['text'][:80]} ({amount(row['count'])})" for row in ranked)
            yield Insight(
                kind=kind,
                type="entities",
                title=f"Most frequent {name}",
                statement=f"{plural(total, 'mention')} of {name}; the most frequent: {listed}.",
                score=0.25,
                value={"label": label, "total": total, "counts": {row["text"]: row["count"] for row in ranked}},
                evidence=tuple(_citation(row) for row in ranked[:3]),
            )

    def _secret_finding(self) -> Iterator[Insight]:
        if not self._secrets:
            return
        total = sum(self._secrets.values())
        files = len(self._secret_files)
        listed = ", ".join(f"{plural(count, name, _many(name))}" for name, count in self._secrets.most_common())
        places = ", ".join(path for path, _ in self._secret_files.most_common(3))
        # A password is told by the word before it, which examples and tests use too; a key by its own form.
        certain = any(name != "password or key" for name in self._secrets)
        yield Insight(
            kind="mixed" if len(self._kinds) > 1 else next(iter(self._kinds)),
            type="secret",
            title="Secrets in plain text",
            statement=f"{plural(total, 'secret')} in {plural(files, 'file')} can be read by anyone who has the files: "
            f"{listed}. Look at {places}; remove and replace what is in use.",
            score=0.9 if certain else 0.7,
            value={"secrets": dict(self._secrets), "files": dict(self._secret_files.most_common(20))},
            evidence=tuple(self._shown),
        )


def _many(name: str) -> str:
    return name.replace("password", "passwords", 1).replace(" or key", " or keys") if "password" in name else f"{name}s"


def _mentions(batch: SliceBatch, lists: pa.ListArray[Any], rows: NDArray[np.int64]) -> pa.Table:
    """All mentions with their place: label, text, and the columns of `_PLACE`, whose bytes count in the file."""
    entities = cast("pa.StructArray", lists.flatten())
    columns: dict[str, Any] = {"label": entities.field("label"), "text": entities.field("text")}
    before = batch.whole("byte_start")[rows]
    starts = np.asarray(entities.field("byte_start"), np.int64)
    for name in _PLACE:
        if name in ("byte_start", "byte_stop"):
            columns[name] = pa.array(np.asarray(entities.field(name), np.int64) + before)
        elif name == "line_start":
            columns[name] = pa.array(batch.whole(name)[rows] + _line_ends(batch, rows, starts))
        else:
            columns[name] = rows_of(column_of(batch.chunks, name), rows)
    return pa.table(columns)


def _line_ends(batch: SliceBatch, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Line ends in the text of each row before its byte `starts`; none where the file is not in UTF-8."""
    texts = column_of(batch.chunks, "text")
    content, offsets = content_of(texts)
    is_utf8 = byte_lengths(texts) == batch.sizes
    ends = np.flatnonzero(content == ord("\n"))
    first = offsets[rows]
    found = np.searchsorted(ends, first + starts) - np.searchsorted(ends, first)
    return np.where(is_utf8[rows], found, 0)


def _citation(row: dict[str, Any]) -> Citation:
    return Citation(**{name: row[name] for name in _PLACE}, quote=row["text"])


class _Counts:
    """Counts of label and text with the first mention of each, as tables: they grow by what is new only.

    Bounded: where there are many of a label, those met least often are forgotten.
    """

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._rows = 0

    def add(self, mentions: pa.Table) -> None:
        """Count the rows of `mentions`."""
        ones = pa.array(np.ones(len(mentions), np.int64))
        self._tables.append(_grouped(mentions.append_column("count", cast("pa.Array[Any]", ones))))
        self._rows += len(self._tables[-1])
        if self._rows > 4 * _MAX_COUNTED:
            self._merge()
            self._tables = [_most_counted(self._tables[0])]
            # Room for as much again, so that merging costs little for each row.
            self._rows = min(len(self._tables[0]), 2 * _MAX_COUNTED)

    def _merge(self) -> None:
        if len(self._tables) > 1:
            self._tables = [_grouped(pa.concat_tables(self._tables))]

    def most_frequent(self, label: str) -> list[dict[str, Any]]:
        """The most frequent entities of a label that were met more than once."""
        self._merge()
        if not self._tables:
            return []
        table = self._tables[0]
        table = rows_where(table, equals(table.column("label"), label) & (integers(table.column("count")) > 1))
        order = pc.sort_indices(table, sort_keys=[("count", "descending"), ("text", "ascending")])
        return table.take(order.slice(0, _LISTED)).to_pylist()


def _grouped(table: pa.Table) -> pa.Table:
    """One row for each label and text: the first one, with the sum of the counts."""
    numbered = table.append_column("row", cast("pa.Array[Any]", pa.array(np.arange(len(table)))))
    groups = numbered.group_by(["label", "text"], use_threads=False)
    sums = groups.aggregate([("row", "min"), ("count", "sum")]).sort_by("row_min")
    first = table.take(sums.column("row_min"))
    return first.set_column(first.schema.get_field_index("count"), "count", sums.column("count_sum"))


def _most_counted(table: pa.Table) -> pa.Table:
    """At most `_MAX_COUNTED` rows of each label, the most frequent, of equal ones the earlier."""
    labels = cast("list[str]", pc.unique(table.column("label")).to_pylist())
    counts = integers(table.column("count"))
    kept: list[NDArray[np.int64]] = []
    for label in labels:
        rows = np.flatnonzero(equals(table.column("label"), label))
        kept.append(rows[np.argsort(-counts[rows], kind="stable")[:_MAX_COUNTED]])
    return rows_of(table, np.sort(np.concatenate(kept))) if kept else table
