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


def all_words(text: str) -> list[str]:
    """The words of `text` in lower case, repetitions included."""
    return _WORD.findall(spaced(encodable(text)).lower())


def query_words(query: str) -> list[str]:
    """The words of `query` as above, without stop words unless there are no others."""
    words = all_words(query[:MAX_QUERY])
    return [word for word in words if word not in STOP_WORDS] or words
