"""Whether an answer holds: each claim leads to evidence that says its words, and its numbers come out again.

Nothing is taken from a node on trust: labels, quotes and numbers are looked up in the case, arithmetic is worked out
again, and the queries of computed facts, which the mesh wrote itself, are run again. What came of a claim's own query
or prediction (`trials`) counts beside that; other orders or links are text like any other. A claim that fails is
dropped with the reason; none is mended. How sure the rest is belongs to calibration, what several nodes say to
`agreement`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import accumulate
from typing import Protocol, cast

from mesh_assets.errors import QueryError
from mesh_assets.insights.locators import ChunkText
from mesh_assets.mesh.prompts import encodable
from mesh_assets.mesh.redaction.hidden import Secrets
from mesh_assets.mesh.routing.arithmetic import equations, numbers
from mesh_assets.mesh.shapes import Case, Claim, Evidence, Proof
from mesh_assets.mesh.stated_numbers import Sources, unaccounted
from mesh_assets.mesh.trials import NO_TRIAL, Trial, refutation
from mesh_assets.schemas.citations import Citation

# A computed fact is a handful of rows; more are not what a statement is about.
_MAX_ROWS = 1000
_SHOWN_ROWS = 3
_SHOWN_CHARACTERS = 120
# Where a quote stands within longer words more often than that, it is none that anybody means.
_MAX_PLACES = 1000


class Query(Protocol):
    """Read-only SQL over the lake."""

    def rows(self, query: str, *, limit: int) -> Sequence[Sequence[object]]:
        """The first `limit` rows of one SELECT; QueryError where it cannot be run."""
        ...


@dataclass(frozen=True, slots=True)
class Dropped:
    """A claim that does not hold, and why, as a sentence. `is_tested`: its own query says otherwise."""

    statement: str
    reason: str
    is_tested: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Something that was worked out again: an expression of an answer, or the query of a computed fact.

    `holds` is None where a query could not be run; `result` then says why.
    """

    what: str
    result: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of an answer. `support` is the share, 0 to 1, of its checks that hold: 0 where no claim is left.

    Each claim is one check, passed by the share of its citations that hold; each equation of the text is another.
    `text` is what the node answered; like the statements it names no key and no password of the evidence. `tested` are
    the tests of all claims that lead to evidence, also of those that were dropped because of them.
    """

    text: str
    claims: tuple[Claim, ...]
    dropped: tuple[Dropped, ...]
    recomputed: tuple[Recomputed, ...]
    support: float
    tested: tuple[Proof, ...] = ()


def validated(
    case: Case,
    value: Mapping[str, object],
    query: Query | None = None,
    trials: Mapping[str, Trial] | None = None,
) -> Checked:
    """Check `value`, an answer to `case` in the form of `ANSWER_SCHEMA`.

    Without `query`, or where it fails, computed facts count as what they said when the case was made. `trials` are
    those of some statements, by what they say.
    """
    facts, secrets = _Facts(query), Secrets.of([each.text for each in case.evidence])
    tested: list[Proof] = []
    by_label = {each.label: _Shown.of(each) for each in case.evidence}
    answer = str(value.get("answer", ""))
    steps = [
        Recomputed(f"{step.expression} = {step.claimed:g}", f"{step.computed:g}", step.holds)
        for step in equations(answer)
    ]
    passed = [float(bool(step.holds)) for step in steps]
    claims: list[Claim] = []
    dropped: list[Dropped] = []
    for statement, cited in _stated(value):
        trial = (trials or {}).get(statement, NO_TRIAL)
        found = _check(case, statement, cited, by_label, facts, trial)
        shown = secrets.hide(statement)
        if any(each.statement == shown for each in claims):
            found = Dropped(statement, "It was said before.")
        if isinstance(found, Dropped):
            dropped.append(Dropped(shown, secrets.hide(found.reason)))
            tested += [_hidden(each, shown, secrets) for each in trial.tests if each.holds is False and found.is_tested]
            passed.append(0.0)
        else:
            tests = tuple(_hidden(each, shown, secrets) for each in trial.tests)
            tested += tests
            claims.append(replace(found.claim, statement=shown, tests=tests))
            passed.append(found.share)
    support = sum(passed) / len(passed) if claims else 0.0
    recomputed = (*steps, *facts.recomputed())
    return Checked(secrets.hide(answer), tuple(claims), tuple(dropped), recomputed, support, tuple(tested))


def _hidden(test: Proof, statement: str, secrets: Secrets) -> Proof:
    return replace(test, statement=statement, what=secrets.hide(test.what), result=secrets.hide(test.result))


@dataclass(frozen=True, slots=True)
class _Held:
    """A claim that holds, on this share of its citations."""

    claim: Claim
    share: float


@dataclass(frozen=True, slots=True)
class _Cited:
    """Words of a piece of evidence that an answer quotes: characters `start` up to `stop` of its text."""

    evidence: Evidence
    start: int
    stop: int

    @property
    def quote(self) -> str:
        return self.evidence.text[self.start : self.stop]


@dataclass(frozen=True, slots=True)
class _Fact:
    """What the query of a computed fact gives now: its numbers, with the sums of its columns, and others that may be
    `stated` of it. `numbers` is None where it could not be run; `shown` says why.
    """

    numbers: tuple[float, ...] | None
    stated: tuple[float, ...]
    shown: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """The facts that are cited, each computed once. `stale` are those of which words are quoted that hold no more."""

    query: Query | None
    found: dict[str, _Fact] = field(default_factory=dict[str, _Fact])
    stale: set[str] = field(default_factory=set[str])

    def of(self, sql: str) -> _Fact:
        if sql not in self.found:
            self.found[sql] = self._run(sql)
        return self.found[sql]

    def _run(self, sql: str) -> _Fact:
        if self.query is None:
            return _Fact(None, (), "not run: there is no lake here")
        try:
            rows = self.query.rows(sql, limit=_MAX_ROWS)
        except QueryError as error:
            return _Fact(None, (), f"cannot be run: {error.message}")
        values = [value for row in rows for cell in row for value in _numbers_of(cell)]
        shown = "; ".join(", ".join(map(str, row)) for row in rows[:_SHOWN_ROWS]) or "no rows"
        for column in zip(*rows, strict=True):
            found = [float(cell) for cell in column if isinstance(cell, int | float | Decimal)]
            values += [sum(found)] if len(found) > 1 else []
        # How many rows there are, and the bounds and constants of the query, may be stated too.
        stated = (float(len(rows)), *numbers(sql))
        return _Fact(tuple(values), stated, f"{shown} ..." if len(rows) > _SHOWN_ROWS else shown)

    def recomputed(self) -> Iterator[Recomputed]:
        for sql, fact in self.found.items():
            yield Recomputed(sql, fact.shown, None if fact.numbers is None else sql not in self.stale)


def _numbers_of(cell: object) -> tuple[float, ...]:
    if isinstance(cell, int | float | Decimal):
        return (float(cell),)
    return numbers(str(cell))


def _stated(value: Mapping[str, object]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each claim's statement, and the labels and quotes that it cites."""
    for claim in cast("list[dict[str, object]]", value.get("claims") or []):
        cited = cast("list[dict[str, object]]", claim.get("citations") or [])
        pairs = [(str(each.get("label", "")).strip(), str(each.get("quote", ""))) for each in cited]
        yield str(claim.get("statement", "")).strip(), pairs


def _check(
    case: Case,
    statement: str,
    pairs: Sequence[tuple[str, str]],
    by_label: Mapping[str, _Shown],
    facts: _Facts,
    trial: Trial,
) -> _Held | Dropped:
    looked_up = [_look_up(label, quote, by_label) for label, quote in pairs]
    cited = [each for each in looked_up if isinstance(each, _Cited)]
    reason = _without_ground(statement, looked_up)
    refuted = "" if reason else refutation(trial)
    reason = reason or refuted or _wrong_numbers(case, statement, cited, facts, trial)
    if reason:
        return Dropped(statement, reason, is_tested=bool(refuted))
    citations = [_narrowed(each.evidence.citation, each) for each in cited if each.evidence.citation is not None]
    queries = [each.evidence.query for each in cited if each.evidence.query is not None]
    claim = Claim(statement, tuple(dict.fromkeys(citations)), tuple(dict.fromkeys(queries)))
    return _Held(claim, len(cited) / len(looked_up))


def _look_up(label: str, quote: str, by_label: Mapping[str, _Shown]) -> _Cited | str:
    """Where the quote stands in its evidence; else why it is none, as a sentence."""
    shown = by_label.get(label)
    if shown is None:
        return f"There is no evidence {label!r}."
    if not any(character.isalnum() for character in quote):
        return f"It quotes no words of {label}."
    place = shown.find(" ".join(quote.split()))
    if place is None:
        return f"{label} does not say {_short(' '.join(quote.split()))!r}."
    if shown.evidence.citation is None and shown.evidence.query is None:
        return f"{label} leads to no file and no query."
    return _Cited(shown.evidence, *place)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Evidence as nodes are shown it, in a `line` with one space between words: each is at its place of `starts` there,
    and of `origins` in the evidence.
    """

    evidence: Evidence
    line: str
    starts: list[int]
    origins: list[int]

    @classmethod
    def of(cls, evidence: Evidence) -> _Shown:
        words = list(re.finditer(r"\S+", encodable(evidence.text)))
        starts = list(accumulate((len(word[0]) + 1 for word in words), initial=0))
        return cls(evidence, " ".join(word[0] for word in words), starts[:-1], [word.start() for word in words])

    def find(self, quote: str) -> tuple[int, int] | None:
        """Characters of the evidence's text that are `quote`, which is no part of a longer word: `12` is not in `312`.

        Scripts that write words without gaps have no such ends.
        """
        at = self.line.find(quote)
        for _ in range(_MAX_PLACES):
            if at < 0:
                return None
            stop = at + len(quote)
            if not (_is_within(self.line, at) or _is_within(self.line, stop)):
                return self._origin(at), self._origin(stop - 1) + 1
            at = self.line.find(quote, at + 1)
        return None

    def _origin(self, at: int) -> int:
        word = bisect_right(self.starts, at) - 1
        return self.origins[word] + at - self.starts[word]


def _is_within(text: str, at: int) -> bool:
    """Whether a plain word or number goes on from before `at` to after it."""
    return 0 < at < len(text) and all(
        character.isascii() and character.isalnum() for character in text[at - 1 : at + 1]
    )


def _without_ground(statement: str, looked_up: Sequence[_Cited | str]) -> str:
    """Why nothing carries the statement; empty where something does."""
    if not statement:
        return "It states nothing."
    if not looked_up:
        return "It cites nothing."
    missing = [each for each in looked_up if isinstance(each, str)]
    return " ".join(dict.fromkeys(missing)) if len(missing) == len(looked_up) else ""


def _wrong_numbers(case: Case, statement: str, cited: Sequence[_Cited], facts: _Facts, trial: Trial) -> str:
    """What its numbers contradict; empty where they are those of what it cites."""
    wrong = next((step for step in equations(statement) if not step.holds), None)
    if wrong is not None:
        return f"Its arithmetic is wrong: {wrong.expression} is {wrong.computed:g}, not {wrong.claimed:g}."
    given = [*numbers(case.question), *(step.computed for step in equations(statement)), *trial.stated]
    texts: list[str] = []
    facts_said: list[str] = []
    operands: list[float] = list(trial.figures)
    for each in cited:
        fact = facts.of(each.evidence.query) if each.evidence.query is not None else None
        if fact is None or fact.numbers is None:
            texts.append(each.evidence.text)
            operands += numbers(each.quote)
            continue
        stale = unaccounted(each.quote, Sources((), (*fact.numbers, *fact.stated), fact.numbers))
        if stale:
            facts.stale.add(each.evidence.query or "")
            return f"{each.evidence.label} said {', '.join(stale)}; its query gives {fact.shown} now."
        given += (*fact.numbers, *fact.stated)
        facts_said.append(each.evidence.text)
        operands += fact.numbers
    missing = unaccounted(statement, Sources(texts, given, operands, facts_said))
    return f"It says {', '.join(missing)}, which nothing that it cites says, counts or gives." if missing else ""


def _narrowed(citation: Citation, cited: _Cited) -> Citation:
    """The citation of the quoted words alone, as far as their bytes can be told; secrets in the quote are masked."""
    text = cited.evidence.text
    whole = ChunkText(
        dataset=citation.dataset,
        path=citation.path,
        kind="",
        text=text,
        byte_start=citation.byte_start,
        byte_stop=citation.byte_stop,
        line_start=citation.line_start,
        source_hash=citation.source_hash,
        place=citation.place,
    )
    return whole.cite(cited.start, cited.stop)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
