"""Entities by pattern: what can be told by its form alone. Names of people and places that nothing gives away need a
model: `model_names` tells them, and they are taken where no form is.

Found in all texts of a batch together. What is frequent in logs (times, addresses, links, paths) is told from arrays of
bytes; the forms in digits are in `number_forms`, what a word gives away in `named_forms`, what is rare in `rare_forms`.
An entity depends on its text alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights import named_forms, number_forms, rare_forms
from mesh_assets.insights.byte_text import (
    DIGIT,
    FOREIGN,
    LETTER,
    NO_SPANS,
    UNDERSCORE,
    WORD,
    Bytes,
    ByteText,
    Flags,
    Places,
    Spans,
    any_in,
    gathered,
    hashes_of,
    is_one_of,
    translated,
    widths,
)
from mesh_assets.insights.columns import rows_of, strings_of

# Bounds what one chunk can add to the table; a chunk of 256 tokens rarely holds more distinct ones.
MAX_ENTITIES = 64
LABELS = (
    "secret",
    "url",
    "email",
    "uuid",
    "ip",
    "time",
    "version",
    "percent",
    "duration",
    "amount",
    "error_code",
    "exception",
    "identifier",
    "path",
    "host",
    "person",
    "organisation",
    "address",
    "place",
    "name",
)
_LABEL = {label: number for number, label in enumerate(LABELS)}
_SCHEMES = "http https ftp file s3 gs ssh git ws wss jdbc postgres postgresql mysql redis mongodb amqp hdfs".split()
_SCHEME_HASHES = hashes_of(_SCHEMES)
_MAX_URL = 400
_MAX_PATH = 1000
_MAX_EXTENSION = 8
# What ends a link, and what a sentence puts behind it; what a path is made of.
_ENDS_URL = np.zeros(256, np.bool_)
_ENDS_URL[[*range(33), *(ord(c) for c in "<>\"'`{}|\\^")]] = True
_BEHIND_URL = np.zeros(256, np.bool_)
_BEHIND_URL[[ord(c) for c in ".,;:!?)]*"]] = True
_IN_PATH = bytes(chr(byte) in "/.@+~-" for byte in range(256))


class Entities(NamedTuple):
    """Entities text by text in order, none overlapping: how many each text has, their labels, bytes and texts.

    `starts` and `stops` are bytes from the start of the text in UTF-8. The text of a secret is a description.
    `by_model` tells those that a model found, not a form.
    """

    counts: Places
    labels: NDArray[np.int8]
    starts: Places
    stops: Places
    texts: pa.StringArray
    by_model: Flags

    def label_names(self) -> pa.StringArray:
        """The labels as words."""
        return rows_of(pa.array(LABELS, pa.string()), self.labels.astype(np.int64))


class _Taken:
    """What was found so far: spans in order that do not overlap. The more specific form comes first and wins."""

    def __init__(self) -> None:
        self.spans = NO_SPANS
        self.labels = np.zeros(0, np.int8)
        self.by_model = np.zeros(0, np.bool_)

    def add(self, label: str, found: Spans, *, by_model: bool = False) -> None:
        """Take those of `found`, which are in order, that overlap nothing."""
        if not len(found.starts):
            return
        reached = np.maximum.accumulate(np.concatenate(([0], found.stops[:-1])))
        found = found.where((found.starts >= reached) & (found.stops > found.starts))
        found = found.where(~self.touches(found))
        starts = np.concatenate((self.spans.starts, found.starts))
        order = np.argsort(starts, kind="stable")
        self.spans = Spans(starts[order], np.concatenate((self.spans.stops, found.stops))[order])
        new = np.full(len(found.starts), _LABEL[label], np.int8)
        self.labels = np.concatenate((self.labels, new))[order]
        self.by_model = np.concatenate((self.by_model, np.full(len(new), by_model)))[order]

    def touches(self, found: Spans) -> Flags:
        """Which of `found` overlap what is taken."""
        if not len(self.spans.starts):
            return np.zeros(len(found.starts), np.bool_)
        before = np.searchsorted(self.spans.starts, found.stops) - 1
        return (before >= 0) & (self.spans.stops[np.maximum(before, 0)] > found.starts)


def find_entities(
    text: ByteText, secrets: Spans, descriptions: list[str], told: Mapping[str, Spans] | None = None
) -> Entities:
    """At most `MAX_ENTITIES` entities of each text; a secret wins, then the more specific form.

    `secrets` are those of all texts, in order, with what is said of each instead of its text. `told` are names by label
    that a model found, in order.
    """
    taken = _Taken()
    taken.add("secret", secrets)
    taken.add("url", _urls(text))
    taken.add("email", rare_forms.emails(text))
    digits = number_forms.DigitRuns.of(text)
    taken.add("uuid", rare_forms.uuids(text))
    taken.add("ip", rare_forms.addresses_of_version_6(text))
    taken.add("time", number_forms.times(digits))
    named = named_forms.named_forms(text)
    taken.add("time", named.times)
    taken.add("time", number_forms.numeric_dates(digits))
    taken.add("ip", number_forms.addresses(digits))
    taken.add("version", number_forms.versions(digits))
    taken.add("percent", number_forms.percentages(digits))
    taken.add("duration", number_forms.durations(digits))
    taken.add("amount", rare_forms.amounts(text))
    taken.add("error_code", rare_forms.error_codes(text, digits))
    taken.add("exception", rare_forms.exceptions(text))
    taken.add("identifier", rare_forms.identifiers(text))
    taken.add("path", _paths(text))
    taken.add("path", rare_forms.windows_paths(text))
    taken.add("host", rare_forms.hosts(text, taken.touches))
    taken.add("person", named.people)
    taken.add("organisation", named.organisations)
    taken.add("address", named.addresses)
    for label, spans in (told or {}).items():
        taken.add(label, spans, by_model=True)
    return _table(text, taken, descriptions)


def _urls(text: ByteText) -> Spans:
    """Links with a scheme; brackets and full stops behind one belong to the sentence."""
    data = text.data
    at = text.places(":")
    at = at[(data[at + 1] == ord("/")) & (data[at + 2] == ord("/"))]
    if not len(at):
        return NO_SPANS
    word, named = text.words_ending(at)
    at, word = at[named], word[named]
    known = is_one_of(text.hashes(text.words.where(word), lowered=False), _SCHEME_HASHES)
    at, starts = at[known] + 3, text.words.starts[word[known]]
    stops = _at_character(data, _ends_of_urls(text, at))
    behind = np.flatnonzero((stops > at) & _BEHIND_URL[data[stops - 1]])
    while len(behind):
        stops[behind] -= 1
        behind = behind[(stops[behind] > at[behind]) & _BEHIND_URL[data[stops[behind] - 1]]]
    return Spans(starts, stops).where(stops > at)


def _ends_of_urls(text: ByteText, at: Places) -> Places:
    """Where the characters of a link end that goes on at each of `at`; some at once, most are short."""
    stops, step = at.copy(), 32
    ahead = np.arange(step)
    open_ = np.arange(len(at))
    while len(open_):
        places = np.minimum(stops[open_, None] + ahead, len(text.data) - 1)
        found = text.data[places]
        ends = _ENDS_URL[found] | ((found >= 0x80) & (text.classes[places] == 0))
        ended = ends.any(axis=1)
        stops[open_] += np.where(ended, ends.argmax(axis=1), step)
        open_ = open_[~ended & (stops[open_] - at[open_] < _MAX_URL)]
    return np.minimum(stops, at + _MAX_URL)


def _at_character(data: Bytes, stops: Places) -> Places:
    """`stops` moved back to where a character begins."""
    for _ in range(3):
        stops = stops - ((data[stops] & 0xC0) == 0x80)
    return stops


def _paths(text: ByteText) -> Spans:
    """Absolute paths of two or more parts, and paths whose file has an extension."""
    data, slashes = text.data, text.places("/")
    if not len(slashes):
        return NO_SPANS
    breaks = np.flatnonzero((translated(data, _IN_PATH) | (text.classes & WORD)) == 0)
    behind = np.searchsorted(breaks, slashes)  # slashes of one run have the same break behind them
    first = np.flatnonzero(np.diff(behind, prepend=-1))
    count = widths(first, len(slashes))
    found = Spans(breaks[behind[first] - 1] + 1, breaks[behind[first]])
    starts, stops, count = _up_to_double_slash(slashes, found, first, count)
    before = data[starts - 1]
    whole = (before != ord("<")) & (before != ord(":")) & (stops - starts <= _MAX_PATH) & (stops > starts)
    starts, stops, count = starts[whole], stops[whole], count[whole]
    closed = data[stops - 1] == ord("/")
    stops, count = stops - closed, count - closed
    behind = np.flatnonzero((stops > starts) & (data[stops - 1] == ord(".")))
    while len(behind):
        stops[behind] -= 1
        behind = behind[(stops[behind] > starts[behind]) & (data[stops[behind] - 1] == ord("."))]
    named = _has_extension(text, stops) & (count > 0) & ((text.classes[starts] & DIGIT) == 0)
    rooted = (data[starts] == ord("/")) & (count >= 2) & (data[stops - 1] != ord("/"))
    return Spans(starts, stops).where((stops > starts) & (named | rooted))


def _up_to_double_slash(slashes: Places, found: Spans, first: Places, count: Places) -> tuple[Places, Places, Places]:
    """The spans, whose slashes begin with number `first`, up to where two slashes stand together; and their slashes."""
    doubled = np.flatnonzero(np.diff(slashes) == 1)
    at = np.searchsorted(doubled, first)
    cut = np.append(doubled, len(slashes))[at]
    inside = cut < first + count - 1
    stops = np.where(inside, slashes[np.minimum(cut, len(slashes) - 1)], found.stops)
    return found.starts, stops, np.where(inside, cut - first, count)


def _has_extension(text: ByteText, stops: Places) -> Flags:
    """Whether a full stop and a short word of letters and digits stand before each of `stops`."""
    at, found = text.words_ending(stops)
    if not found.any():
        return found
    starts = text.words.starts[at]
    found = found & (text.data[starts - 1] == ord(".")) & (stops - starts <= _MAX_EXTENSION)
    plain = ~any_in(text.classes, text.words.where(at), UNDERSCORE | FOREIGN)
    return found & ((text.classes[starts] & LETTER) != 0) & plain


def _table(text: ByteText, taken: _Taken, descriptions: list[str]) -> Entities:
    """At most `MAX_ENTITIES` a text; never is a secret dropped for an ordinary thing."""
    spans, labels, by_model = taken.spans, taken.labels, taken.by_model
    rows = text.rows_of(spans.starts)
    is_secret = labels == _LABEL["secret"]
    counts = np.bincount(rows, minlength=len(text.starts))
    if len(counts) and counts.max() > MAX_ENTITIES:
        secrets = np.bincount(rows[is_secret], minlength=len(text.starts))
        kept = np.where(
            is_secret,
            _rank(rows, is_secret) < MAX_ENTITIES,
            _rank(rows, ~is_secret) < np.maximum(MAX_ENTITIES - secrets, 0)[rows],
        )
        spans, labels, rows, is_secret = spans.where(kept), labels[kept], rows[kept], is_secret[kept]
        by_model = by_model[kept]
        descriptions = [
            said for said, stays in zip(descriptions, kept[taken.labels == _LABEL["secret"]], strict=True) if stays
        ]
        counts = np.bincount(rows, minlength=len(text.starts))
    begins = text.starts[rows]
    return Entities(
        counts.astype(np.int64),
        labels,
        spans.starts - begins,
        spans.stops - begins,
        _texts(text, spans, is_secret, descriptions),
        by_model,
    )


def _rank(rows: Places, chosen: Flags) -> Places:
    """For each item the number of chosen ones before it in its row; rows are in order."""
    before = np.cumsum(chosen) - chosen
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    return before - np.repeat(before[begins], widths(begins, len(rows)))


def _texts(text: ByteText, spans: Spans, is_secret: Flags, descriptions: list[str]) -> pa.StringArray:
    """What each entity says: its bytes, or the description of a secret."""
    starts, lengths, data = spans.starts, spans.stops - spans.starts, text.data
    if descriptions:
        said = [description.encode() for description in descriptions]
        sizes = np.array([len(description) for description in said])
        starts, lengths = starts.copy(), lengths.copy()
        starts[is_secret] = len(data) + np.cumsum(sizes) - sizes
        lengths[is_secret] = sizes
        data = np.concatenate((data, np.frombuffer(b"".join(said), np.uint8)))
    return strings_of(*gathered(data, starts, lengths))
