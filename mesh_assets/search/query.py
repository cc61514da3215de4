"""What people write into a query: words, "phrases", fields, exclusions and /patterns/, read into a `Query`.

How anything is found belongs to the engines; here a query is read, and a chunk is held against it. A pattern is only
read here: it may be hostile, so nothing but an engine of linear time (RE2) matches it.

    red lantern "out of memory" -debug kind:log dataset:shop path:*.log symbol:sell label:host
    after:2015-10-18 before:2015-10-18T18:01:47 /time(d )?out/
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import translate
from functools import lru_cache

from mesh_assets.errors import QueryError
from mesh_assets.indexes.protocol import Filter
from mesh_assets.indexes.words import MAX_QUERY, all_words, encodable
from mesh_assets.search.protocol import ChunkRow
from mesh_assets.slices import dataset_key

FIELDS = ("path", "kind", "dataset", "symbol", "label", "after", "before")
KINDS = ("text", "code", "image", "audio", "video", "log", "structured", "metric")
# Longer ones are no pattern that a person wrote.
LONGEST_PATTERN = 1_000
# Terms of one query: each is held against every candidate.
_MOST_TERMS = 64
_TOKEN = re.compile(
    r"""(?P<minus>(?:-(?!-))?)(?:
        /(?P<pattern>(?:[^/\\\s]|\\.)(?:[^/\\]|\\.)*)/(?=\s|$)
        |(?:(?P<field>[a-z]{2,20}):(?!:|//|\s))?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))
    )""",
    re.VERBOSE | re.DOTALL,
)
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Term:
    """A value of a field, or of `text` (a phrase, or an excluded word)."""

    field: str
    value: str
    is_excluded: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query as it was read. `text` is what is ranked by; all the rest a chunk must satisfy.

    Of several values of one field one is enough; of phrases, exclusions and patterns each counts. `after` is
    inclusive, `before` exclusive, both UTC; a chunk without a time satisfies neither.
    """

    text: str = ""
    terms: tuple[Term, ...] = ()
    patterns: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None

    @property
    def is_blank(self) -> bool:
        """Whether it asks for nothing at all."""
        return self == Query()

    @property
    def narrows(self) -> bool:
        """Whether it asks for more than the filter of an index can tell."""
        return bool(
            self.after or self.before or self.patterns or {term for term in self.terms if not self._in_filter(term)}
        )

    @property
    def labels(self) -> tuple[Term, ...]:
        """The terms that need the labels of a chunk."""
        return tuple(term for term in self.terms if term.field == "label")

    @property
    def where(self) -> Filter:
        """What an index can tell of it."""
        told = {term.field: term.value for term in self.terms if self._in_filter(term)}
        return Filter(told.get("dataset"), told.get("kind"))

    def _in_filter(self, term: Term) -> bool:
        alone = sum(other.field == term.field for other in self.terms) == 1
        return term.field in ("dataset", "kind") and alone and not term.is_excluded

    def accepts(self, row: ChunkRow, labels: Collection[str] = ()) -> bool:
        """Whether a chunk satisfies all but the patterns. `labels` are those of its entities, in lower case."""
        if self.after and (row.time_stop is None or row.time_stop < self.after):
            return False
        if self.before and (row.time_start is None or row.time_start >= self.before):
            return False
        wanted: dict[str, bool] = {}
        for term in self.terms:
            has = _has(row, labels, term)
            if term.is_excluded or term.field == "text":
                if has == term.is_excluded:
                    return False
            else:
                wanted[term.field] = wanted.get(term.field, False) or has
        return all(wanted.values())

    def and_fields(self, **values: str | None) -> Query:
        """The query with further values of fields, as options and parameters give them; None and blank add nothing."""
        query = self
        for field, value in values.items():
            if value:
                query = _with_term(query, field, value, is_excluded=False)
        return query


def read_query(text: str) -> Query:
    """The query that a person wrote; QueryError where a field is unknown or a value is none of its field."""
    query, words = Query(), list[str]()
    for match in _TOKEN.finditer(encodable(text[:MAX_QUERY])):
        is_excluded = bool(match["minus"])
        value = match["phrase"] if match["phrase"] is not None else match["word"] or ""
        if match["pattern"] is not None:
            if is_excluded:
                raise QueryError("A pattern cannot be excluded.", remedy='Exclude words or "phrases" instead.')
            query = with_pattern(query, match["pattern"])
        elif match["field"] is not None:
            query = _with_term(query, match["field"], value, is_excluded=is_excluded)
        elif match["phrase"] is not None or is_excluded:
            if all_words(value):
                query = _with_term(query, "text", value, is_excluded=is_excluded)
            words += [] if is_excluded else [value]
        else:
            words.append(value)
    return replace(query, text=" ".join(word for word in words if word))


def with_pattern(query: Query, pattern: str) -> Query:
    """`query` with a pattern that the text of a chunk must match; QueryError where it is too long."""
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise QueryError(
            f"A pattern has 1 to {LONGEST_PATTERN:,} characters.", remedy="Give a part of it; words need no pattern."
        )
    return replace(query, patterns=(*query.patterns, pattern))


def moment_of(text: str, what: str) -> datetime:
    """A moment as people write it, UTC where it says no zone; QueryError names `what` was asked for."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise QueryError(
            f"{what} {text!r} is no moment.", remedy="Write it as 2015-10-18, or 2015-10-18T18:01:47."
        ) from error


def _with_term(query: Query, field: str, value: str, *, is_excluded: bool) -> Query:
    if field not in (*FIELDS, "text"):
        raise QueryError(
            f"There is no field {field!r}.",
            remedy=f"Fields are {', '.join(f'{name}:' for name in FIELDS)}; to search for the words, put them "
            "in quotes.",
        )
    if not value:
        raise QueryError(f"{field}: has no value.", remedy=f"Write it without a blank, as {field}:value.")
    if field in ("after", "before"):
        if is_excluded:
            other = "before" if field == "after" else "after"
            raise QueryError(f"-{field}: says nothing.", remedy=f"Write {other}: instead.")
        moment = moment_of(value, f"{field}:")
        query = replace(query, after=moment) if field == "after" else replace(query, before=moment)
        if query.after and query.before and query.after >= query.before:
            raise QueryError(
                f"Nothing is after {query.after:%Y-%m-%d %H:%M:%S} and before {query.before:%Y-%m-%d %H:%M:%S}.",
                remedy="Give `before:` a later moment than `after:`.",
            )
        return query
    if field == "kind" and value not in KINDS:
        raise QueryError(f"There is no kind {value!r}.", remedy=f"Kinds are {', '.join(KINDS)}.")
    if len(query.terms) >= _MOST_TERMS:
        raise QueryError(f"A query has at most {_MOST_TERMS} fields, phrases and exclusions.", remedy="Leave some out.")
    known = dataset_key(value) if field == "dataset" else value
    return replace(query, terms=(*query.terms, Term(field, known, is_excluded)))


def _has(row: ChunkRow, labels: Collection[str], term: Term) -> bool:
    match term.field:
        case "dataset":
            return row.dataset == term.value
        case "kind":
            return row.kind == term.value
        case "path":
            return _matches(term.value, row.path)
        case "symbol":
            return row.symbol is not None and _matches(term.value, row.symbol)
        case "label":
            return term.value.lower() in labels
        case _:
            return _says(f"{row.context}\n{row.text}", term.value)


def _matches(value: str, held: str) -> bool:
    """Whether a path or a symbol matches a glob as a whole, or holds a value without wildcards."""
    if not _WILD.search(value):
        return value.lower() in held.lower()
    return _glob(value.lower()).match(held.lower()) is not None


@lru_cache(maxsize=256)
def _glob(value: str) -> re.Pattern[str]:
    return re.compile(translate(value))  # linear: each star takes what is shortest, and never gives it back


def _says(text: str, phrase: str) -> bool:
    """Whether the words of `phrase` stand in `text` one behind the other, whatever is between words."""
    words = all_words(phrase)
    return bool(words) and f" {' '.join(words)} " in f" {' '.join(all_words(text))} "
