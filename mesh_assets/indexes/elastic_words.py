"""What a full-text server of the Elasticsearch kind is told: analysers, mappings, queries, as JSON. No client is here.

Words are those of `words`: texts come with blanks around unspaced scripts, and are cut where those are. Code is cut
again at camelCase and snake_case, log messages only at blanks, quotes and brackets, so that addresses and ids stay
whole; paths are words and also one term.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from mesh_assets.indexes.protocol import Document, Filter
from mesh_assets.indexes.words import MAX_QUERY, encodable, query_words, spaced

Json = dict[str, Any]

# Version of settings and mappings: another one is another index beside, filled anew from the lake slice by slice.
FORMAT = 1
# The engine leaves the factor k1 + 1 out of BM25: it orders nothing, but a score is the share of a query with it.
SCORE_FACTOR = 2.2
# Longer tokens are no words; the longest that people look for are hashes (SHA-512 has 128 digits).
_LONGEST_TOKEN = 128
# Lucene refuses terms of more than 32,766 bytes; a letter has at most four.
_LONGEST_PATH = 8_191
# What only tips the scale: a word in the path, and a name or address that stands whole in the text.
_PATH_WEIGHT = 0.25
_WHOLE_WEIGHT = 0.25
_MOST_WORDS = 64

_FOLDED = ["lowercase", "asciifolding", "mesh_short"]
SETTINGS: Json = {
    # One shard: the statistics of BM25 are then those of all entries.
    "number_of_shards": 1,
    "number_of_replicas": 0,
    # A slice shows when it is whole, not after a second.
    "refresh_interval": "-1",
    # What is forgotten is to leave no bytes, however small its part of a segment is.
    "merge.policy.expunge_deletes_allowed": 0,
    "analysis": {
        "tokenizer": {
            "mesh_words": {"type": "pattern", "pattern": r"[^\p{L}\p{N}]+"},
            "mesh_names": {"type": "pattern", "pattern": r"[^\p{L}\p{N}_]+"},
            "mesh_fields": {"type": "pattern", "pattern": r"[\s\[\](){}<>\"'`=,;|]+"},
        },
        "filter": {
            "mesh_short": {"type": "length", "max": _LONGEST_TOKEN},
            "mesh_stem": {"type": "stemmer", "language": "english"},
            "mesh_parts": {
                "type": "word_delimiter_graph",
                "preserve_original": True,
                "split_on_case_change": True,
                "split_on_numerics": False,
                "stem_english_possessive": False,
            },
        },
        "normalizer": {"mesh_exact": {"type": "custom", "filter": ["lowercase", "asciifolding"]}},
        "analyzer": {
            "mesh_prose": {"type": "custom", "tokenizer": "mesh_words", "filter": [*_FOLDED, "mesh_stem"]},
            "mesh_code": {
                "type": "custom",
                "tokenizer": "mesh_names",
                "filter": ["mesh_parts", "flatten_graph", *_FOLDED],
            },
            "mesh_log": {"type": "custom", "tokenizer": "mesh_fields", "filter": _FOLDED},
        },
    },
}


def _text(analyzer: str, **more: object) -> Json:
    return {"type": "text", "analyzer": analyzer, "index_options": "freqs", **more}


_KEYWORD: Json = {"type": "keyword"}
_EXACT: Json = {"type": "keyword", "normalizer": "mesh_exact", "ignore_above": _LONGEST_PATH}
MAPPINGS: Json = {
    "dynamic": "strict",
    # Texts stay in the lake.
    "_source": {"includes": ["chunk_id", "slice"]},
    "properties": {
        **dict.fromkeys(("chunk_id", "slice", "dataset", "kind", "generation"), _KEYWORD),
        "path": _text("mesh_code", fields={"exact": _EXACT}),
        "text": _text("mesh_prose", fields={"code": _text("mesh_code"), "log": _text("mesh_log", norms=False)}),
    },
}
# What is held of a slice, and which generations of it no reader is to see.
SLICE_MAPPINGS: Json = {
    "dynamic": "strict",
    "properties": {
        **dict.fromkeys(("slice", "dataset", "generation", "hidden"), _KEYWORD),
        "entries": {"type": "long"},
    },
}


def entry(document: Document, slice_key: str, dataset: str, generation: str) -> Json:
    """What the server is given of a chunk."""
    text = f"{document.symbol}\n{document.text}" if document.symbol else document.text
    return {
        "chunk_id": document.chunk_id,
        "slice": slice_key,
        "dataset": dataset,
        "kind": encodable(document.kind),
        "generation": generation,
        "path": spaced(encodable(document.path)),
        "text": spaced(encodable(text)),
    }


def words_of(query: str) -> Counter[str]:
    """The words that are searched, up to 64 distinct ones, each as often as it is repeated."""
    counted = Counter(query_words(query))
    return Counter({word: counted[word] for word in list(counted)[:_MOST_WORDS]})


def search_query(query: str, words: Mapping[str, int], where: Filter, hidden: Collection[str]) -> Json:
    """Entries that hold any of the words, the best of prose and code for each, within `where` and not `hidden`."""
    scored: list[Json] = []
    for word, count in words.items():
        fields = [_match(field, word, count) for field in ("text", "text.code")]
        scored += [{"dis_max": {"queries": fields}}, _match("path", word, count * _PATH_WEIGHT)]
    for name in sorted(_names(query))[:_MOST_WORDS]:
        scored += [{"term": {field: {"value": name, "boost": _WHOLE_WEIGHT}}} for field in ("text.log", "path.exact")]
    limits = (("dataset", where.dataset), ("kind", where.kind))
    told: list[Json] = [{"term": {name: {"value": encodable(value)}}} for name, value in limits if value is not None]
    told += [{"terms": {"slice": sorted(where.slices)}}] if where.slices is not None else []
    return {
        "bool": {
            "must": [{"bool": {"should": scored, "minimum_should_match": 1}}],
            "filter": told,
            "must_not": [{"terms": {"generation": sorted(hidden)}}] if hidden else [],
        }
    }


def _match(field: str, word: str, boost: float) -> Json:
    return {"match": {field: {"query": word, "boost": boost}}}


def _names(query: str) -> set[str]:
    """What of a query may be a path, an address or an id: it has more in it than letters."""
    parts = encodable(query[:MAX_QUERY]).lower().split()
    return {part for part in parts if not part.isalpha() and len(part) <= _LONGEST_TOKEN}


def whole_score(entries: int, terms: Mapping[str, Json]) -> float:
    """The sum of the inverse document frequencies of the terms of a query, as `_termvectors` tells them."""
    return sum(
        term["term_freq"] * math.log(1 + (max(entries - (n := term.get("doc_freq", 0)), 0) + 0.5) / (n + 0.5))
        for term in terms.values()
    )
