"""Words in an Elasticsearch server: one index behind an alias, one that says which slices are held. Twin of tantivy.

The server has no transactions. So each slice has two generations of entries: a new one is written while the record of
the slice hides it, one write of that record turns from the former to the new, and only then the former is removed.
Readers ask for what is hidden first, so they see all of the old or all of the new, also after a crash.

Another format of the mappings is another index behind the same alias: a slice is searched in the former one until it
is written to the new one, and an index that has become empty goes. So a rebuild has no downtime.
"""

import hashlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.elastic_words import (
    FORMAT,
    MAPPINGS,
    SCORE_FACTOR,
    SETTINGS,
    SLICE_MAPPINGS,
    entry,
    search_query,
    whole_score,
    words_of,
)
from mesh_assets.indexes.protocol import Document, Filter, Hit, Stored
from mesh_assets.resources.server_url import ServerUrl
from mesh_assets.slices import SliceKey, check_dataset_key

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_TIMEOUT_SECONDS = 60
# Removing a large slice and merging segments take their time.
_LONG_SECONDS = 900
# One request of a bulk: what Elastic advises, far below the 100 MB that a server takes.
_BULK_ENTRIES, _BULK_BYTES = 1_000, 8 << 20
# A server that says 429 has a full queue: what it refused is sent again, after 1, 2, 4 ... seconds.
_BULK_TRIES, _BULK_WAIT_SECONDS = 6, 1.0
# Slices being written at one moment; each hides one generation.
_MOST_HIDDEN = 10_000


def connected(url: str) -> "Callable[[], Elasticsearch]":
    """Opens a client of the server at `url` when it is first needed, and sees that the two fit."""
    at = ServerUrl.parse("MESH_ELASTICSEARCH_URL", url)

    def connect() -> "Elasticsearch":
        from elasticsearch import Elasticsearch, __version__

        login = (at.user, at.password) if at.user else None
        client = Elasticsearch(at.address, basic_auth=login, request_timeout=_TIMEOUT_SECONDS)
        _see_that_it_fits(client, __version__[0])
        return client

    return connect


class ElasticFulltextIndex:
    """A FulltextIndex in the indexes of a server that begin with `prefix`. `connect` opens the client, once."""

    def __init__(
        self, connect: "Callable[[], Elasticsearch]", *, prefix: str = "mesh", index_format: int = FORMAT
    ) -> None:
        self._connect = connect
        self._alias = f"{prefix}-words"
        self._index = f"{prefix}-words-{index_format}"
        self._slices = f"{prefix}-slices-{index_format}"
        self._opened: Elasticsearch | None = None
        self._is_prepared = False

    @property
    def engine(self) -> str:
        """`elasticsearch`."""
        return "elasticsearch"

    def replace_slice(self, slice_key: str, documents: Iterable[Document]) -> Stored:
        """See the Protocol. Nothing that is found changes where `documents` raise."""
        dataset = SliceKey.parse(slice_key).dataset
        with _answered():
            self._prepare()
            record = self._record(slice_key) or {"slice": slice_key, "dataset": dataset, "entries": 0}
            former = record.get("generation", f"{self._index}/{slice_key}/1")
            new = f"{former[:-1]}{1 - int(former[-1])}"
            self._note({**record, "hidden": [new]})
            # What a try that was cut off left of this generation.
            self._delete(self._index, {"term": {"generation": new}})
            entries = self._write(slice_key, dataset, new, documents)
            self._client().indices.refresh(index=self._index)
            record |= {"generation": new, "entries": entries}
            self._note({**record, "hidden": [former]})
            self._delete(self._index, {"term": {"generation": former}})
            self._leave_former_formats(slice_key)
            self._note({**record, "hidden": []})
        return Stored(entries, self._index)

    def held(self, slice_key: str) -> int | None:
        """See the Protocol. None also where the server holds another number of entries than it was given."""
        SliceKey.parse(slice_key)
        with _answered():
            record = self._record(slice_key)
            if record is None or "generation" not in record:
                return None
            generation: dict[str, Any] = {"term": {"generation": record["generation"]}}
            found = self._client().count(index=self._index, query=generation, ignore_unavailable=True)["count"]
        return found if found == record["entries"] else None

    def forget_slices(self, slice_keys: Collection[str]) -> None:
        """See the Protocol. The server frees the bytes when it merges their segments."""
        keys = sorted(str(SliceKey.parse(key)) for key in slice_keys)
        if keys:
            with _answered():
                self._forget({"terms": {"slice": keys}})

    def forget_dataset(self, dataset: str, documents: Callable[[str], Iterable[Document]]) -> None:
        """See the Protocol. The server merges whatever segments hold deleted entries; `documents` are not asked for."""
        del documents
        check_dataset_key(dataset)
        with _answered():
            self._forget({"term": {"dataset": dataset}})
            indices = self._client().options(request_timeout=_LONG_SECONDS).indices
            for index in (*self._behind_the_alias(), self._slices):
                indices.forcemerge(index=index, only_expunge_deletes=True, ignore_unavailable=True)

    def search(self, query: str, *, limit: int, where: Filter | None = None) -> list[Hit]:
        """See the Protocol. A query is read up to 64 distinct words; each weighs as often as it is repeated."""
        words = words_of(query)
        if limit < 1 or not words:
            return []
        with _answered():
            client = self._client()
            indexes = self._behind_the_alias()
            if not indexes:
                return []
            hidden = self._hidden()
            asked = client.termvectors(
                index=self._index if self._index in indexes else indexes[-1],
                doc={"text": " ".join(words.elements())},
                fields=["text"],
                field_statistics=True,
                term_statistics=True,
                positions=False,
                offsets=False,
            )
            found = client.search(
                index=self._alias,
                query=search_query(query, words, where or Filter(), hidden),
                size=limit,
                sort=[{"_score": "desc"}, {"chunk_id": "asc"}],
                source={"includes": ["chunk_id", "slice"]},
                track_scores=True,
            )
        told = asked.get("term_vectors", {}).get("text", {})
        entries = max(told.get("field_statistics", {}).get("doc_count", 0), 0)
        whole = whole_score(entries, told.get("terms", {})) or 1.0
        hits: dict[tuple[str, str], Hit] = {}
        for hit in found["hits"]["hits"]:
            place = (hit["_source"]["chunk_id"], hit["_source"]["slice"])
            # For a moment a slice is in the index of its former format too.
            hits.setdefault(place, Hit(*place, hit["_score"] * SCORE_FACTOR / whole))
        return list(hits.values())

    def _client(self) -> "Elasticsearch":
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _prepare(self) -> None:
        """Create what is not there; another process may be doing it."""
        if self._is_prepared:
            return
        indices = self._client().indices
        template: dict[str, Any] = {"settings": SETTINGS, "mappings": MAPPINGS, "aliases": {self._alias: {}}}
        indices.put_index_template(name=self._index, index_patterns=[self._index], priority=500, template=template)
        slices: dict[str, Any] = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
        self._create(self._index)
        self._create(self._slices, mappings=SLICE_MAPPINGS, settings=slices)
        self._is_prepared = True

    def _create(self, index: str, **how: dict[str, Any]) -> None:
        from elasticsearch import BadRequestError

        indices = self._client().indices
        if indices.exists(index=index):
            return
        try:
            indices.create(index=index, **how)  # pyright: ignore[reportArgumentType]
        except BadRequestError as error:
            if error.error != "resource_already_exists_exception":
                raise

    def _write(self, slice_key: str, dataset: str, generation: str, documents: Iterable[Document]) -> int:
        """Send the entries in bulk. IndexDownError where the server refuses any of them, with how many and why."""
        from elasticsearch.helpers import streaming_bulk

        sent = streaming_bulk(
            self._client(),
            self._entries(slice_key, dataset, generation, documents),
            chunk_size=_BULK_ENTRIES,
            max_chunk_bytes=_BULK_BYTES,
            max_retries=_BULK_TRIES,
            initial_backoff=_BULK_WAIT_SECONDS,
            raise_on_error=False,
        )
        entries, refused, first = 0, 0, ""
        for is_taken, told in sent:
            entries += 1
            if not is_taken:
                refused += 1
                first = first or _reason(told)
        if refused:
            raise _down(f"it refuses {refused} of {entries} entries of slice {slice_key}, the first because of {first}")
        return entries

    def _entries(
        self, slice_key: str, dataset: str, generation: str, documents: Iterable[Document]
    ) -> Iterator[dict[str, Any]]:
        for document in documents:
            # From content, so that what is sent twice is there once.
            told = f"{generation}\x1f{document.chunk_id}".encode()
            yield {
                "_op_type": "index",
                "_index": self._index,
                "_id": hashlib.blake2b(told, digest_size=16).hexdigest(),
                "_source": entry(document, slice_key, dataset, generation),
            }

    def _record(self, slice_key: str) -> dict[str, Any] | None:
        from elasticsearch import NotFoundError

        try:
            return dict(self._client().get(index=self._slices, id=slice_key)["_source"])
        except NotFoundError:
            return None

    def _note(self, record: dict[str, Any]) -> None:
        """Write what is held of a slice, and show it to every reader at once."""
        self._client().index(index=self._slices, id=record["slice"], document=record, refresh=True)

    def _hidden(self) -> list[str]:
        found = self._client().search(
            index=self._slices,
            query={"exists": {"field": "hidden"}},
            size=_MOST_HIDDEN,
            source={"includes": ["hidden"]},
            ignore_unavailable=True,
        )
        return [generation for hit in found["hits"]["hits"] for generation in hit["_source"]["hidden"]]

    def _forget(self, query: dict[str, Any]) -> None:
        for index in (*self._behind_the_alias(), self._slices):
            self._delete(index, query)

    def _delete(self, index: str, query: dict[str, Any]) -> None:
        client = self._client().options(request_timeout=_LONG_SECONDS)
        if client.indices.exists(index=index):
            # It finds what a refresh has shown, which a try that was cut off may not have come to.
            client.indices.refresh(index=index)
            client.delete_by_query(index=index, query=query, conflicts="proceed", refresh=True)

    def _behind_the_alias(self) -> list[str]:
        from elasticsearch import NotFoundError

        try:
            return sorted(self._client().indices.get_alias(name=self._alias).body)
        except NotFoundError:
            return []

    def _leave_former_formats(self, slice_key: str) -> None:
        """Remove a slice that is written anew from indexes of other formats, and those in which nothing is left."""
        client = self._client()
        for index in self._behind_the_alias():
            if index != self._index:
                self._delete(index, {"term": {"slice": slice_key}})
                if not client.count(index=index)["count"]:
                    client.indices.update_aliases(actions=[{"remove_index": {"index": index}}])


def _see_that_it_fits(client: "Elasticsearch", ours: int) -> None:
    from elasticsearch import BadRequestError, UnsupportedProductError

    fitting = (
        f"Use a server of version {ours} or later, or the client of its version: pip install 'elasticsearch<{ours}'."
    )
    with _answered():
        try:
            theirs = str(client.info()["version"]["number"])
        except UnsupportedProductError as error:
            raise IndexDownError(
                "The server of MESH_ELASTICSEARCH_URL is no Elasticsearch: its answers lack X-Elastic-Product.",
                remedy="OpenSearch and proxies that drop the header do not serve; set another server, or `off`.",
            ) from error
        except BadRequestError as error:
            # A server older than its client refuses the media type that the client names.
            raise IndexDownError(
                f"The server of MESH_ELASTICSEARCH_URL refuses a client of version {ours}.",
                remedy=fitting,
            ) from error
    if not theirs.split(".")[0].isdigit() or int(theirs.split(".")[0]) < ours:
        raise IndexDownError(
            f"The server of MESH_ELASTICSEARCH_URL is Elasticsearch {theirs}, the client is of version {ours}.",
            remedy=fitting,
        )


@contextmanager
def _answered() -> Generator[None]:
    """What the client raises where the server does not answer, or not as it should, as an index that is down."""
    from elasticsearch import ApiError, TransportError

    try:
        yield
    except (ApiError, TransportError) as error:
        raise _down(" ".join(str(error).split())[:300]) from error


def _down(said: str) -> IndexDownError:
    return IndexDownError(
        f"The Elasticsearch server of MESH_ELASTICSEARCH_URL does not do what it is asked: {said}.",
        remedy="See that it runs and has space; slices stay pending until the next catch-up. Or set it to `off`.",
    )


def _reason(told: dict[str, Any]) -> str:
    """Why one entry was refused; never its text."""
    (item,) = told.values()
    error = item.get("error")
    return str(cast("dict[str, Any]", error).get("type") if isinstance(error, dict) else error)[:200]
