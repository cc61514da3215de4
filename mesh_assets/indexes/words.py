"""What counts as a word of a query: shared by the engines and by snippets, so that they agree.

Weights, stemming and scores belong to each engine.
"""

from __future__ import annotations

import re

# Chinese and Japanese are written without spaces: each ideograph or kana is a word of its own.
_UNSPACED = re.compile(r"([぀-ヿ㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff])")
# Their first bytes in UTF-8, and those of some more, as bytes that are not ASCII: what a text without any of them costs
# is a tenth of searching it.
_WIDE = bytes(0x80 if byte >= 0xE3 else 0 for byte in range(256))
_WORD = re.compile(r"[^\W_]+")
# Where a word in camelCase comes apart; `IDs` does not.
# As two patterns they take half the time of one, and to the end of the word, so that each word is met once.
_HUMPS = (re.compile(r"[a-z][A-Z][A-Za-z0-9]*"), re.compile(r"[A-Z]{2}[a-z]{2}[A-Za-z0-9]*"))
# Longer ones are encoded bytes, not names.
_LONGEST_NAME = 64
_PART = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])|\d+")
# A query is a question, not a document: what lies beyond this many characters is not read.
MAX_QUERY = 4_000

# Function words of English: they match nearly everything, and in a question outnumber what is asked for.
_STOP_WORDS = (
    "a about after all also am an and any are as at be because been before being between both but by can could did do "
    "does doing during each few for from had has have having he her here hers him his how i if in into is it its just "
    "me more most my no nor not of off on once only or other our out over own same she should so some such than that "
    "the their them then there these they this those through to too under until up very was we were what when where "
    "which while who whom why will with would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


def spaced(text: str) -> str:
    """`text` with blanks around the characters of scripts that are written without them."""
    if text.isascii() or text.encode("utf-8", "surrogatepass").translate(_WIDE).isascii():
        return text
    return " ".join(_UNSPACED.split(text))


def encodable(text: str) -> str:
    """`text` without lone surrogates (a command line may hold them), which no engine takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def with_parts(text: str) -> str:
    """`text` and behind it the parts of each of its identifiers in camelCase, once: `parse Http Request`.

    Those in snake_case come apart as words do. The whole identifier stays a word, too.
    """
    humped = {_whole_word(text, found) for hump in _HUMPS for found in hump.finditer(text)}
    parts = [part for word in sorted(humped) if len(word) <= _LONGEST_NAME for part in _PART.findall(word)]
    return f"{text}\n{' '.join(parts)}" if parts else text


def _whole_word(text: str, end: re.Match[str]) -> str:
    start = end.start()
    while start and text[start - 1].isalnum():
        start -= 1
    return text[start : end.end()]


def all_words(text: str) -> list[str]:
    """The words of `text` in lower case, repetitions included."""
    return _WORD.findall(spaced(encodable(text)).lower())


def query_words(query: str) -> list[str]:
    """The words of `query` as above, without stop words unless there are no others."""
    words = all_words(query[:MAX_QUERY])
    return [word for word in words if word not in STOP_WORDS] or words
