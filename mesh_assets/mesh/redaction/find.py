"""Finds what may not leave in texts, in every view of them: the forms are elsewhere, here they are put to use.

Nothing is replaced here, and nothing found is shown: a span says where, of what kind, and by what reason.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from mesh_assets.insights.secret_forms import (
    LITERALS,
    PATTERNS,
    Words,
    forms_at,
    has_right_checksum,
    literals_at,
    lower,
)
from mesh_assets.mesh.redaction import contexts, personal
from mesh_assets.mesh.redaction.encodings import encoded_texts
from mesh_assets.mesh.redaction.personal import emails
from mesh_assets.mesh.redaction.randomness import LIKE_WORD, divided_words, random_words
from mesh_assets.mesh.redaction.views import BORDER, MARK, View, joined, near, resolved

KINDS = ("KEY", "PASSWORD", "EMAIL", "PHONE", "CARD", "IBAN", "SSN", "IP")
# Public addresses of machines are what a log is about, and seldom a person's: they leave unless asked for.
DEFAULT_KINDS = frozenset(KINDS) - {"IP"}
PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})_[0-9]{{1,9}}\]")
# A place at which a number, of an account too, may be divided.
_OF_NUMBERS = re.compile(rf"[0-9A-Z .()+-]{MARK}[0-9A-Z .()-]")
# Base64 in base64 in base64: as often as anybody does it.
_DEPTH = 3
_WORDS = Words((*LITERALS, *contexts.SIGNS, *personal.TOLD_SIGNS))
_PASSWORDS = {"password in a URL", "authorization header", "password hash"}
_CHECKSUMMED = {"GitHub token", "npm token"}
# What no engine takes, and what divides texts here.
_NO_TEXT = re.compile("[\ud800-\udfff\x1d-\x1f]")
_APART = "\n\x1d\n"
_LONGEST_ADDRESS = 100
_QUOTES = ('"', "'", "`")
_BARE_NUMBER = re.compile(r"\s*[0-9](?:[ .-]?[0-9]){8,18}\s*")


class Span(NamedTuple):
    """Characters `start` up to `stop` of a text that may not leave. Of overlapping ones the lowest `rank` names all."""

    start: int
    stop: int
    kind: str
    reason: str
    rank: int = 0


def find(texts: Sequence[str], kinds: Collection[str] = DEFAULT_KINDS) -> list[list[Span]]:
    """What may not leave of each text, in order, none overlapping. Placeholders are nothing of that sort.

    A text that follows another may go on with its last word, as the next chunk of a file does.
    """
    return _found(texts, kinds, BORDER, 0)


def _found(texts: Sequence[str], kinds: Collection[str], border: str, depth: int) -> list[list[Span]]:
    """`find`, with `border` between the texts; `depth` is how often they were encoded."""
    texts = [_NO_TEXT.sub("?", text) for text in texts]
    whole = border.join(texts)
    views = _views(whole)
    spans: list[Span] = []
    encoded: list[tuple[int, int, str]] = []
    for view in views:
        for span in _found_in(view, kinds):
            if span.kind in kinds:
                start, stop = view.original(span.start, span.stop)
                spans.append(span._replace(start=start, stop=stop))
        if depth < _DEPTH and MARK not in view.text:
            parts = (part for part in encoded_texts(view.text) if _is_new(view, part.start, part.stop))
            encoded += ((*view.original(part.start, part.stop), part.text) for part in parts)
    if encoded:
        within = _found([part[2] for part in encoded], kinds, _APART, depth + 1)
        for (start, stop, text), inner in zip(encoded, within, strict=True):
            if inner:
                spans.append(Span(start, stop, inner[0].kind, f"{inner[0].reason}, encoded", inner[0].rank))
            elif "SSN" in kinds and _BARE_NUMBER.fullmatch(text):
                spans.append(Span(start, stop, "SSN", "a number that somebody encoded", 3))
    return _of_each(texts, len(border), merged(whole, spans))


def _of_each(texts: Sequence[str], border: int, spans: list[Span]) -> list[list[Span]]:
    """Spans of texts that stand one behind the other, as spans of each; one over a border is two."""
    found: list[list[Span]] = []
    left = deque(spans)
    at = 0
    for text in texts:
        own: list[Span] = []
        stop = at + len(text)
        while left and left[0].start < stop:
            span = left.popleft()
            if span.stop > at:
                own.append(span._replace(start=max(span.start - at, 0), stop=min(span.stop - at, len(text))))
            if span.stop > stop + border:
                left.appendleft(span._replace(start=stop + border))
        found.append(own)
        at = stop + border
    return found


def _views(text: str) -> list[View]:
    """The text itself, and what changes of it where escapes are resolved, and then where lines are joined."""
    plain = View(text)
    clean = resolved(plain)
    whole, marked = joined(clean)
    views = [plain]
    changed = clean
    while changed.parent:  # what one round changed, another may not
        views.append(near(changed, changed.at[1:]))
        changed = changed.parent
    if whole.joins:
        views.append(near(whole, whole.joins))
        views.append(near(marked, [at for at in marked.joins if _OF_NUMBERS.match(marked.text, at - 1)]))
    return views


def _is_new(view: View, start: int, stop: int) -> bool:
    """Whether a span is one that only this view has: of joined lines, one that goes over a join."""
    return not view.is_joined or bool(view.joins_in(start, stop))


def _found_in(view: View, kinds: Collection[str]) -> Iterator[Span]:
    if MARK in view.text:
        for found in personal.divided_numbers(view.text):
            yield Span(found.start, found.stop, found.kind, found.reason, 1)
        return
    lowered = lower(view.text)
    places = _WORDS.places(view.text, lowered)
    yield from _forms(view, places)
    yield from _contexts(view, lowered, places)
    yield from _personal(view, lowered, places, kinds)
    random = divided_words(view.text, view.joins) if view.is_joined else random_words(view.text)
    for start, stop in random:
        yield Span(start, stop, "KEY", "a random word, as keys are", 5)


def _forms(view: View, places: list[int]) -> Iterator[Span]:
    joins = set(view.joins)
    for secret, number in forms_at(view.text, literals_at(view.text, places), joins):
        start, stop, name = secret.start, secret.stop, secret.name
        if view.is_joined:
            stop = _without_next_words(view, start, stop, number)
        if stop and _is_new(view, start, stop):
            right = name in _CHECKSUMMED and has_right_checksum(view.text[start:stop])
            reason = f"form of a {name}" if not right else f"form of a {name}, checksum right"
            yield Span(start, stop, "PASSWORD" if name in _PASSWORDS else "KEY", reason, 0)


def _without_next_words(view: View, start: int, stop: int, number: int) -> int:
    """Where a secret over several lines ends: ordinary words of the next line that it does not need are not its own."""
    pattern = PATTERNS[number]
    if view.text[stop : stop + 1] in _QUOTES:
        return stop  # the text in quotes ends here, with all its parts
    for join in reversed(view.joins_in(start, stop)):
        ends = LIKE_WORD.fullmatch(view.text, join, stop) and pattern.match(view.text, start, join)
        if not ends or "value" in pattern.groupindex:
            break
        stop = join
    return stop


def _contexts(view: View, lowered: str, places: list[int]) -> Iterator[Span]:
    for secret in contexts.found_at(view.text, lowered, places):
        start, stop = secret.start, secret.stop
        if view.is_joined:
            joins = view.joins_in(start, stop)
            in_own_line = start in view.joins[bisect_left(view.joins, start) :][:1]
            if not joins and not in_own_line:
                continue
            ends = [stop]
            if view.text[stop : stop + 1] not in _QUOTES:
                # No word of the next line, and of a value in lines of its own the first that can be one.
                ends = [*joins, stop] if in_own_line else [stop]
                while joins and LIKE_WORD.fullmatch(view.text, joins[-1], ends[-1]):
                    ends[-1] = joins.pop()
            stop = next((end for end in ends if contexts.cannot_be_word(view.text[start:end])), 0)
            if not stop:
                continue
        yield Span(start, stop, "PASSWORD", secret.name, 2)


def _personal(view: View, lowered: str, places: list[int], kinds: Collection[str]) -> Iterator[Span]:
    text = view.text
    for found in _divided_addresses(view) if view.is_joined else emails(text, lowered):
        yield Span(found.start, found.stop, "EMAIL", found.reason, 1)
    numbers = () if view.is_joined else personal.numbers(text)  # those over joins are told where these are marked
    told = personal.told_at(lowered, places)
    addresses = personal.ips(text) if "IP" in kinds else ()
    accounts = () if view.is_joined else personal.accounts(text)
    for found in chain(numbers, told, accounts, addresses):
        if _is_new(view, found.start, found.stop):
            yield Span(found.start, found.stop, found.kind, found.reason, 1)


def _divided_addresses(view: View) -> Iterator[personal.Personal]:
    """Addresses over several lines: each may end where a line does, the last such place first."""
    text = view.text
    at = text.find("@")
    while at >= 0:
        start, stop = max(0, at - _LONGEST_ADDRESS), min(len(text), at + _LONGEST_ADDRESS)
        for end in (stop, *reversed(view.joins_in(at, stop))):
            part = text[start:end]
            places = (
                found._replace(start=found.start + start, stop=found.stop + start) for found in emails(part, part)
            )
            own = [_own_address(view, found) for found in places if found.start < at < found.stop]
            if own and own[0]:
                yield own[0]
                break
        at = text.find("@", at + 1)


def _own_address(view: View, found: personal.Personal) -> personal.Personal | None:
    """An address over several lines, without the words before and behind that are none of its parts."""
    start, stop, text = found.start, found.stop, view.text
    at = text.index("@", start) if "@" in text[start:stop] else stop
    for join in reversed(view.joins_in(at, stop)):
        if text[at:join].rpartition(".")[2].lower() in personal.COMMON_DOMAINS and "." in text[at:join]:
            stop = join
    for join in view.joins_in(start, at):
        if text[join - 1] not in "._+-" and LIKE_WORD.fullmatch(text, start, join):
            start = join
    if not view.joins_in(start, stop) or text[start:stop].rpartition(".")[2].lower() not in personal.COMMON_DOMAINS:
        return None
    return found._replace(start=start, stop=stop)


def merged(text: str, spans: Iterable[Span]) -> list[Span]:
    """`spans` of `text` without placeholders at their ends, in order, those that overlap as one."""
    held = [match.span() for match in PLACEHOLDER.finditer(text)]
    kept: list[Span] = []
    for span in sorted(_outside(span, held) for span in spans) if held else sorted(spans):
        if span.start >= span.stop:
            continue
        if kept and span.start < kept[-1].stop:
            last = kept[-1]
            first = min(last, span, key=lambda s: (s.rank, s.start - s.stop))
            kept[-1] = first._replace(start=last.start, stop=max(last.stop, span.stop))
        else:
            kept.append(span)
    return kept


def _outside(span: Span, held: list[tuple[int, int]]) -> Span:
    """`span` cut where it begins or ends within a placeholder, or with one."""
    start, stop = span.start, span.stop
    number = max(bisect_left(held, (start, 0)) - 1, 0)
    while number < len(held) and held[number][0] <= start:
        start = max(start, held[number][1]) if held[number][1] > start else start
        number += 1
    number = bisect_left(held, (stop, 0)) - 1
    while number >= 0 and held[number][1] >= stop > held[number][0]:
        stop = held[number][0]
        number -= 1
    return span._replace(start=start, stop=max(start, stop))
