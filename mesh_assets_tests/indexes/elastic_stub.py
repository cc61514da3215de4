"""A server on loopback that speaks those calls of Elasticsearch that the mesh makes, and refuses all others.

It keeps to what matters to the mesh: writes show after a refresh and not before, `get` sees them at once, deletion by
query finds only what shows, mappings are strict, analysers are built from the settings that it is given, BM25 has the
constants of Lucene. What it leaves out: merges, shards, and how Lucene rounds lengths. It proves the mesh's side of
the talk, not the server's; the same suite runs against a real one where MESH_ELASTICSEARCH_URL is set.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import tantivy

Json = dict[str, Any]
_STEMMER = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stemmer("english")).build()
_FOLDER = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.ascii_fold()).build()
_PARTS = re.compile(r"[^\W\d_]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])|\d+|[^\W_]")


class RefusedError(Exception):
    """An answer with a status of failure."""

    def __init__(self, status: int, kind: str, reason: str = "") -> None:
        super().__init__(reason or kind)
        self.status, self.kind = status, kind


@dataclass
class Index:
    """`written` is what `get` sees, `shown` what a search sees."""

    settings: Json
    mappings: Json
    aliases: Json
    written: dict[str, Json] = field(default_factory=dict)
    shown: dict[str, Json] = field(default_factory=dict)

    def mapping(self, name: str) -> Json:
        top, _, sub = name.partition(".")
        found = self.mappings["properties"].get(top)
        found = found["fields"].get(sub) if found and sub else found
        if found is None:
            raise RefusedError(400, "query_shard_exception", f"no field {name}")
        return found

    def check(self, document: Json) -> None:
        unknown = set(document) - set(self.mappings["properties"])
        if unknown:
            raise RefusedError(400, "strict_dynamic_mapping_exception", f"{sorted(unknown)}")

    def terms(self, name: str, text: str) -> list[str]:
        mapping = self.mapping(name)
        if mapping["type"] == "keyword":
            is_folded = mapping.get("normalizer") is not None
            return [_folded(text.lower()) if is_folded else text] if text else []
        return self.analysed(mapping["analyzer"], text)

    def analysed(self, analyzer: str, text: str) -> list[str]:
        analysis = self.settings["analysis"]
        chain = analysis["analyzer"][analyzer]
        pattern = analysis["tokenizer"][chain["tokenizer"]]["pattern"]
        tokens = [token for token in re.split(_python(pattern), text) if token]
        for name in chain["filter"]:
            tokens = _filtered(tokens, analysis["filter"].get(name, {"type": name}))
        return tokens

    def values(self, name: str, document: Json) -> list[str]:
        value = document.get(name.partition(".")[0])
        texts = value if isinstance(value, list) else [] if value is None else [str(value)]
        return [term for text in texts for term in self.terms(name, text)]


def _python(pattern: str) -> str:
    return pattern.replace(r"[^\p{L}\p{N}]", r"[\W_]").replace(r"[^\p{L}\p{N}_]", r"\W")


def _folded(text: str) -> str:
    return (_FOLDER.analyze(text) or [""])[0]


def _filtered(tokens: list[str], how: Json) -> list[str]:
    if how["type"] == "word_delimiter_graph":
        parted = [(token, _PARTS.findall(token)) for token in tokens]
        return [each for token, parts in parted for each in ([token] if parts == [token] else [token, *parts])]
    filters: dict[str, Callable[[str], str]] = {
        "lowercase": str.lower,
        "asciifolding": _folded,
        "stemmer": lambda token: (_STEMMER.analyze(token) or [token])[0],
        "length": lambda token: token if len(token) <= how["max"] else "",
        "flatten_graph": lambda token: token,
    }
    return [changed for token in tokens if (changed := filters[how["type"]](token))]


class Cluster:
    """The indexes of a server. `faults` are called with each call first and may raise `RefusedError`."""

    def __init__(self, version: str = "9.5.0", product: str = "Elasticsearch") -> None:
        self.version, self.product = version, product
        self.templates: dict[str, Json] = {}
        self.indexes: dict[str, Index] = {}
        self.faults: list[Callable[[str, str], None]] = []
        self.refused_entries: Callable[[Json], int] = lambda _: 0
        self.lock = threading.RLock()

    def answer(self, method: str, path: str, flags: Json, body: bytes) -> Json:
        """What one call gives."""
        parts = [unquote(part) for part in path.strip("/").split("/") if part]
        verb = next((part for part in parts if part.startswith("_")), "")
        with self.lock:
            for fault in self.faults:
                fault(method, path)
            if not parts:
                return {"version": {"number": self.version}}
            if verb == "_bulk":
                return self._bulk(body)
            asked: Json = json.loads(body) if body else {}
            call = getattr(self, f"{method.lower()}{verb}", None)
            if call is None:
                raise RefusedError(400, "illegal_argument_exception", f"the stub knows no {method} {path}")
            return call(parts, asked, flags)

    def _at(self, name: str, flags: Json | None = None) -> list[Index]:
        found = [index for key, index in self.indexes.items() if name == key or name in index.aliases]
        if not found and (flags or {}).get("ignore_unavailable") != "true":
            raise RefusedError(404, "index_not_found_exception", name)
        return found

    def head(self, parts: list[str], asked: Json, flags: Json) -> Json:
        self._at(parts[0])
        return {}

    def put(self, parts: list[str], asked: Json, flags: Json) -> Json:
        if parts[0] in self.indexes:
            raise RefusedError(400, "resource_already_exists_exception", parts[0])
        template = next((t["template"] for t in self.templates.values() if parts[0] in t["index_patterns"]), {})
        made = {**template, **asked}
        self.indexes[parts[0]] = Index(made["settings"], made["mappings"], dict(made.get("aliases", {})))
        return {"acknowledged": True}

    def put_index_template(self, parts: list[str], asked: Json, flags: Json) -> Json:
        self.templates[parts[1]] = asked
        return {"acknowledged": True}

    def get_alias(self, parts: list[str], asked: Json, flags: Json) -> Json:
        found = {name: {"aliases": at.aliases} for name, at in self.indexes.items() if parts[-1] in at.aliases}
        if not found:
            raise RefusedError(404, "aliases_not_found_exception", parts[-1])
        return found

    def post_aliases(self, parts: list[str], asked: Json, flags: Json) -> Json:
        for action in asked["actions"]:
            del self.indexes[action["remove_index"]["index"]]
        return {"acknowledged": True}

    def post_refresh(self, parts: list[str], asked: Json, flags: Json) -> Json:
        for index in self._at(parts[0]):
            index.shown = dict(index.written)
        return {}

    def post_forcemerge(self, parts: list[str], asked: Json, flags: Json) -> Json:
        self._at(parts[0], flags)
        return {}

    def get_doc(self, parts: list[str], asked: Json, flags: Json) -> Json:
        document = self._at(parts[0])[0].written.get(parts[2])
        if document is None:
            raise RefusedError(404, "not_found")
        return {"_source": document}

    def put_doc(self, parts: list[str], asked: Json, flags: Json) -> Json:
        index = self._at(parts[0])[0]
        index.check(asked)
        index.written[parts[2]] = asked
        if flags.get("refresh") == "true":
            index.shown = dict(index.written)
        return {"result": "created"}

    def _bulk(self, body: bytes) -> Json:
        lines = [json.loads(line) for line in body.decode().splitlines() if line]
        items: list[Json] = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            where = action["index"]
            status = self.refused_entries(document)
            if status:
                kind = "es_rejected_execution_exception" if status == 429 else "document_parsing_exception"
                items.append({"index": {"status": status, "error": {"type": kind}}})
                continue
            index = self._at(where["_index"])[0]
            index.check(document)
            index.written[where["_id"]] = document
            items.append({"index": {"status": 201}})
        return {"errors": any("error" in item["index"] for item in items), "items": items}

    def post_count(self, parts: list[str], asked: Json, flags: Json) -> Json:
        query = asked.get("query", {"match_all": {}})
        return {"count": sum(len(_scores(index, query)) for index in self._at(parts[0], flags))}

    def post_delete_by_query(self, parts: list[str], asked: Json, flags: Json) -> Json:
        for index in self._at(parts[0], flags):
            for gone in _scores(index, asked["query"]):
                index.written.pop(gone, None)
            if flags.get("refresh") == "true":
                index.shown = dict(index.written)
        return {}

    def post_search(self, parts: list[str], asked: Json, flags: Json) -> Json:
        hits: list[Json] = []
        for index in self._at(parts[0], flags):
            for key, score in _scores(index, asked["query"]).items():
                source = {name: index.shown[key][name] for name in asked["_source"]["includes"]}
                hits.append({"_id": key, "_score": score, "_source": source})
        if "sort" in asked:
            assert asked["sort"] == [{"_score": "desc"}, {"chunk_id": "asc"}]
            hits.sort(key=lambda hit: (-hit["_score"], hit["_source"]["chunk_id"]))
        return {"hits": {"hits": hits[: asked["size"]]}}

    def post_termvectors(self, parts: list[str], asked: Json, flags: Json) -> Json:
        (index,) = self._at(parts[0])
        held = [set(index.values("text", document)) for document in index.shown.values()]
        terms: Json = {}
        for term, count in Counter(index.terms("text", asked["doc"]["text"])).items():
            number = sum(term in words for words in held)
            terms[term] = {"term_freq": count, **({"doc_freq": number} if number else {})}
        statistics = {"doc_count": sum(bool(words) for words in held)}
        return {"term_vectors": {"text": {"field_statistics": statistics, "terms": terms}}}


def _scores(index: Index, query: Json) -> dict[str, float]:
    """The entries that a query finds, with their scores."""
    ((kind, how),) = query.items()
    if kind == "match_all":
        return dict.fromkeys(index.shown, 1.0)
    if kind == "exists":
        return {key: 1.0 for key, held in index.shown.items() if held.get(how["field"]) not in (None, [])}
    if kind == "bool":
        return _bool_scores(index, how)
    if kind == "dis_max":
        found = [_scores(index, each) for each in how["queries"]]
        return {key: max(each.get(key, 0.0) for each in found) for key in set().union(*found)}
    ((name, told),) = how.items()
    if kind == "terms":
        return {key: 1.0 for key, held in index.shown.items() if set(index.values(name, held)) & set(told)}
    told = told if isinstance(told, dict) else {"value": told}
    if kind == "term":
        # A term is looked for as it is, but a normalizer applies to it.
        value = str(told["value"])
        is_text = index.mapping(name)["type"] == "text"
        terms = [value] if is_text else index.terms(name, value)
    elif kind == "match":
        terms = index.terms(name, told["query"])
    else:
        raise RefusedError(400, "parsing_exception", f"the stub knows no query {kind}")
    return _bm25(index, name, terms, told.get("boost", 1.0))


def _bool_scores(index: Index, how: Json) -> dict[str, float]:
    must = [_scores(index, each) for each in how.get("must", [])]
    should = [_scores(index, each) for each in how.get("should", [])]
    keys = set(index.shown)
    for found in (*must, *(_scores(index, each) for each in how.get("filter", []))):
        keys &= found.keys()
    for found in (_scores(index, each) for each in how.get("must_not", [])):
        keys -= found.keys()
    if how.get("minimum_should_match"):
        keys &= set().union(*should)
    return {key: sum(found.get(key, 0.0) for found in (*must, *should)) for key in keys}


def _bm25(index: Index, name: str, terms: list[str], boost: float) -> dict[str, float]:
    counts = {key: Counter(values) for key, held in index.shown.items() if (values := index.values(name, held))}
    mean = sum(each.total() for each in counts.values()) / max(len(counts), 1)
    scores: dict[str, float] = {}
    for term in terms:
        holding = [key for key, each in counts.items() if term in each]
        rarity = math.log(1 + (len(counts) - len(holding) + 0.5) / (len(holding) + 0.5))
        for key in holding:
            times = counts[key][term]
            length = 1.2 * (0.25 + 0.75 * counts[key].total() / mean)
            scores[key] = scores.get(key, 0.0) + boost * rarity * times / (times + length)
    return scores


@contextmanager
def serving(cluster: Cluster) -> Generator[str]:
    """The URL of a server for `cluster` on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Small answers in two packets wait for each other otherwise.
        wbufsize = -1
        disable_nagle_algorithm = True

        def _do(self) -> None:
            at = urlsplit(self.path)
            flags = dict(part.partition("=")[::2] for part in at.query.split("&"))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, answer = 200, cluster.answer(self.command, at.path, flags, body)
            except RefusedError as error:
                told = {"type": error.kind, "reason": str(error), "root_cause": []}
                status, answer = error.status, {"error": told, "status": error.status}
            sent = b"" if self.command == "HEAD" else json.dumps(answer).encode()
            self.send_response(status)
            if cluster.product:
                self.send_header("X-Elastic-Product", cluster.product)
            self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _do  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: tests say what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
