"""Texts of one case without what may not leave, and the way back for the answer.

Every value found stands behind one placeholder in the whole case, such as `[EMAIL_1]`, so that a model can still tell
who is who. What placeholders stand for stays here, in memory: no field that is shown, logged or sent has it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from mesh_assets.mesh.redaction.find import DEFAULT_KINDS, KINDS, Span, find, merged
from mesh_assets.mesh.redaction.views import View, near

# A replacement can end a word that hid another secret; such chains are short.
_PASSES = 6
_NAMES = "|".join(KINDS)
_LIKE_PLACEHOLDER = re.compile(rf"({_NAMES})\\?_([0-9]{{1,9}})(?![0-9])")
# As it was given, or as Markdown has it.
_READ_BACK = re.compile(rf"\\\[({_NAMES})\\?_([0-9]{{1,9}})\\\]|\[({_NAMES})\\?_([0-9]{{1,9}})\]")


@dataclass(frozen=True, slots=True)
class Replacement:
    """What was replaced: characters `start` up to `stop` of the original, of a `kind`, and why. Never what it was."""

    placeholder: str
    kind: str
    start: int
    stop: int
    reason: str


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text that may leave, and what was replaced in it, in order."""

    text: str
    replacements: tuple[Replacement, ...]


@dataclass(frozen=True)
class Redaction:
    """The texts of a case as they may leave, and what placeholders stand for, which is never shown."""

    texts: tuple[Redacted, ...]
    values: dict[str, str] = field(repr=False)
    used: frozenset[str] = field(repr=False)

    def restore(self, text: str) -> str:
        """`text`, such as an answer, with the placeholders of this case read back; others stay as they are."""

        def value(match: re.Match[str]) -> str:
            kind, number = (match[1], match[2]) if match[1] else (match[3], match[4])
            return self.values.get(f"[{kind}_{number}]", match[0])

        return _READ_BACK.sub(value, text)

    def __getstate__(self) -> None:
        raise TypeError("A redaction holds secrets and is never stored; redact the texts again.")


def redact(
    texts: Sequence[str], *, known: Redaction | None = None, kinds: Collection[str] = DEFAULT_KINDS
) -> Redaction:
    """All texts that one case sends, as they may leave. `kinds` are of `KINDS`.

    Placeholders are numbered in order of appearance, so that the same texts give the same; a number that the texts
    themselves have in what looks like a placeholder is passed over, so that none is taken for another. With `known`,
    the redaction of what was sent before in the same case, its values keep their placeholders, and such placeholders
    in `texts` (an answer that is sent back) are taken for what they are.
    """
    values = dict(known.values) if known else {}
    names = {value: name for name, value in values.items()}
    used = {f"{match[1]}_{match[2]}" for text in texts for match in _LIKE_PLACEHOLDER.finditer(text)}
    used |= known.used if known else set()
    counts: Counter[str] = Counter()
    redacted: list[Redacted] = []
    for text, spans in zip(texts, _all_spans(texts, kinds), strict=True):
        replacements: list[Replacement] = []
        for span in spans:
            value = text[span.start : span.stop]
            if value not in names:
                names[value] = _new_name(span.kind, counts, used, values)
                values[names[value]] = value
            replacements.append(Replacement(names[value], span.kind, span.start, span.stop, span.reason))
        redacted.append(
            Redacted(_rendered(text, [(r.start, r.stop, r.placeholder) for r in replacements]), tuple(replacements))
        )
    return Redaction(tuple(redacted), values, frozenset(used))


def _new_name(kind: str, counts: Counter[str], used: set[str], values: dict[str, str]) -> str:
    while True:
        counts[kind] += 1
        name = f"{kind}_{counts[kind]}"
        if name not in used and f"[{name}]" not in values:
            return f"[{name}]"


def _rendered(text: str, parts: Sequence[tuple[int, int, str]]) -> str:
    out: list[str] = []
    at = 0
    for start, stop, said in parts:
        out += (text[at:start], said)
        at = stop
    return "".join((*out, text[at:]))


def _all_spans(texts: Sequence[str], kinds: Collection[str]) -> list[list[Span]]:
    """What is found, and what is found then near the placeholders of that, until nothing is."""
    found = find(texts, kinds)
    open_ = [row for row, spans in enumerate(found) if spans]
    for _ in range(_PASSES):
        views = [_near_placeholders(texts[row], found[row]) for row in open_]
        again: list[int] = []
        for row, view, more in zip(open_, views, find([view.text for view in views], kinds), strict=True):
            if more:
                here = [span._replace(start=a, stop=b) for span in more for a, b in [view.original(*span[:2])]]
                found[row] = merged(texts[row], [*found[row], *here])
                again.append(row)
        open_ = again
        if not open_:
            break
    return found


def _near_placeholders(text: str, spans: Sequence[Span]) -> View:
    """What stands around `spans` of `text`, which are replaced by placeholders of any number."""
    names = [f"[{span.kind}_1]" for span in spans]
    rendered = _rendered(text, [(span.start, span.stop, name) for span, name in zip(spans, names, strict=True)])
    at, origins, ends, places = [0], [0], list[int](), list[int]()
    shift = 0
    for span, name in zip(spans, names, strict=True):
        ends += (span.start, span.stop)
        at += (span.start + shift, span.start + shift + len(name))
        origins += (span.start, span.stop)
        places.append(span.start + shift)
        shift += len(name) - (span.stop - span.start)
    return near(View(rendered, at, origins, [*ends, len(text)]), places)
