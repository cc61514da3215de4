"""Keyphrases of one text, without a model: runs of content words, scored by how they hang together and recur.

After RAKE (Rose et al. 2010, Automatic keyword extraction from individual documents): stop words and punctuation cut
the text into candidates, a word weighs by degree over frequency. Unlike RAKE, repetition raises a phrase, long runs
do not win by length, and identifiers of code are split into the words that a person reads in them.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from mesh_assets.insights.stop_words import CODE_WORDS, LOG_WORDS, STOP_WORDS

MAX_PHRASES = 6
MAX_WORDS = 4  # longer runs are clauses, not names of things
_MAX_WORD = 30  # letters; longer ones are encoded data or runs of a script without blanks
# Candidates are words with single blanks between them; anything else ends a candidate. A word with a digit or an
# underscore in it is an id or a name of code. Possessive, so that no part of such a word is taken for a word.
_LETTERS = r"[^\W\d_]++(?:['’-][^\W\d_]++){0,3}+(?!\w)"
_RUN = re.compile(rf"(?<!\w){_LETTERS}(?:[ \t]{{1,2}}{_LETTERS}){{0,40}}+")
_IDENTIFIER = re.compile(r"[^\W\d][\w]{2,80}")
_IDENTIFIER_WORDS = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_COMMENT = re.compile(r"(?:#|//|^[ \t]{0,40}\*|--)[ \t]?([^\n]{8,400})", re.MULTILINE)
_DOC = re.compile(r'("""|\'\'\')([^"\']{8,2000})\1')
_VOWEL = re.compile(r"[aeiouyäöüàâéèêëíîïóôúûæøåAEIOUYÄÖÜÉ]|[^\x00-\u024f]")
# With this many candidates, single words that occur once never come into question.
_MANY = 30
# Worth of a phrase by its number of words.
_LENGTHS = (0.0, 0.55, 1.0, 1.0, 0.8)
_LOG_STOPS = STOP_WORDS | LOG_WORDS
_CODE_STOPS = STOP_WORDS | CODE_WORDS


def keyphrases(text: str, kind: str) -> list[tuple[str, float]]:
    """At most `MAX_PHRASES` phrases of `text` with scores in 0..1, best first. `kind` is the kind of its file.

    `text` has its secrets masked already. A score compares the phrases of one text only.
    """
    if kind == "code":
        candidates = _code_candidates(text)
    else:
        stops = _LOG_STOPS if kind in ("log", "structured", "metric") else STOP_WORDS
        candidates = _prose_candidates(text, stops)
    return _best(candidates) if candidates else []


def _prose_candidates(text: str, stops: frozenset[str]) -> Counter[tuple[str, ...]]:
    """Candidates with how often they occur. Lines of logs and tables repeat their runs, so each is cut up once."""
    candidates: Counter[tuple[str, ...]] = Counter()
    words: list[str] = []
    for run, count in Counter(_RUN.findall(text)).items():
        for word, lowered in zip(run.split(), run.lower().split(), strict=True):
            if lowered not in stops and 1 < len(word) <= _MAX_WORD:
                words.append(word)
            elif words:
                for phrase in _cut(words):
                    candidates[phrase] += count
                words = []
        for phrase in _cut(words):
            candidates[phrase] += count
        words = []
    return candidates


def _cut(words: list[str]) -> list[tuple[str, ...]]:
    """A run as phrases of at most `MAX_WORDS`: the head of a noun phrase stands last, so cut from the end."""
    if len(words) <= MAX_WORDS:
        return [tuple(words)] if words else []
    return [tuple(words[max(0, stop - MAX_WORDS) : stop]) for stop in range(len(words), 0, -MAX_WORDS)]


def _code_candidates(text: str) -> Counter[tuple[str, ...]]:
    candidates: Counter[tuple[str, ...]] = Counter()
    for identifier, count in Counter(_IDENTIFIER.findall(text)).items():
        words = _identifier_words(identifier)
        if words:
            candidates[words] += count
    prose = [match[1] for match in _COMMENT.finditer(text)] + [match[2] for match in _DOC.finditer(text)]
    for comment in prose:
        candidates.update(_prose_candidates(comment, _CODE_STOPS))
    return candidates


@lru_cache(maxsize=20_000)
def _identifier_words(identifier: str) -> tuple[str, ...]:
    """`parseConfigFile` and `parse_config_file` as (parse, config, file); empty where nothing is worth reading."""
    words = [word.lower() for word in _IDENTIFIER_WORDS.findall(identifier)]
    words = [word for word in words if 2 < len(word) <= _MAX_WORD]
    while words and words[0] in _CODE_STOPS:
        words.pop(0)
    while words and words[-1] in _CODE_STOPS:
        words.pop()
    return tuple(words[:MAX_WORDS])


def _best(candidates: Counter[tuple[str, ...]]) -> list[tuple[str, float]]:
    if len(candidates) > _MANY:
        candidates = Counter({words: n for words, n in candidates.items() if n > 1 or len(words) > 1}) or candidates
    forms = _merge_cases(candidates)
    forms |= _shared_pairs(forms)
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for lowered, (count, _) in forms.items():
        for word in lowered:
            frequency[word] += count
            degree[word] += count * len(lowered)
    weights = {word: degree[word] / count + 0.5 * (count - 1) ** 0.5 for word, count in frequency.items()}
    ranked = sorted(
        ((_score(lowered, count, weights), lowered, written) for lowered, (count, written) in forms.items()),
        key=lambda item: (-item[0], item[1]),
    )
    top = ranked[0][0]
    chosen: list[tuple[str, float]] = []
    seen: list[set[str]] = []
    for score, lowered, written in ranked:
        words = set(lowered)
        if score <= 0 or any(len(words & other) * 2 > min(len(words), len(other)) for other in seen):
            continue
        if not all(_VOWEL.search(word) for word in lowered):  # `xkcd qwrt`: not read as words
            continue
        seen.append(words)
        chosen.append((" ".join(written), round(min(score / top, 1.0), 4)))
        if len(chosen) == MAX_PHRASES:
            break
    return chosen


def _merge_cases(candidates: Counter[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[int, tuple[str, ...]]]:
    """Phrases by their lower case: how often in all, and in which case they were written first."""
    forms: dict[tuple[str, ...], tuple[int, tuple[str, ...]]] = {}
    for words, count in candidates.items():
        lowered = tuple([word.lower() for word in words])
        before = forms.get(lowered)
        forms[lowered] = (count, words) if before is None else (before[0] + count, before[1])
    return forms


def _shared_pairs(
    forms: dict[tuple[str, ...], tuple[int, tuple[str, ...]]],
) -> dict[tuple[str, ...], tuple[int, tuple[str, ...]]]:
    """Pairs of words that several candidates have in common: a name with different verbs behind it."""
    counts: Counter[tuple[str, ...]] = Counter()
    most: Counter[tuple[str, ...]] = Counter()
    written: dict[tuple[str, ...], tuple[str, ...]] = {}
    for words, (count, form) in forms.items():
        if len(words) > 1:
            for at in range(len(words) - 1):
                pair = words[at : at + 2]
                counts[pair] += count
                most[pair] = max(most[pair], count)
                written.setdefault(pair, form[at : at + 2])
    return {pair: (count, written[pair]) for pair, count in counts.items() if count > most[pair]}


def _score(words: tuple[str, ...], count: int, weights: dict[str, float]) -> float:
    """Mean RAKE weight of the words, raised by repetition and by two or three words over a single one."""
    if len(words) == 1 and count == 1 and len(words[0]) < 6:
        return 0.0
    weight = sum([weights[word] for word in words]) / len(words)
    return _LENGTHS[len(words)] * weight * (1.0 + count) ** 0.5
