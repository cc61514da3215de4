"""Vectors in a Qdrant server: one collection a model, and one that says which slices are held. The twin of FAISS.

Qdrant has no transactions. So a slice has two halves, of which readers see the one that is `live`: new points go into
the other half, and one batch of operations makes them live and removes the former ones. A crash before leaves the old
state; one after it, a number of live points that the record of the slice denies, so that the slice is indexed again.
Within that batch a reader may see both halves: a chunk is told once.
"""

import hashlib
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Around, Filter, Hit, Stored
from mesh_assets.resources.server_url import ServerUrl
from mesh_assets.slices import SliceKey, check_dataset_key, is_dataset_key

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client import models as q

# Version of what points hold: another one is other collections, filled anew from the lake.
_FORMAT = 1
# Points of one request: 400 kB of 384 numbers as JSON are some 4 MB, an eighth of what Qdrant takes.
_POINTS = 512
# Answers that are waited for; a request that a busy server answers later than this is asked again by the catch-up.
_TIMEOUT_SECONDS = 60
# Entries scored exactly for each hit, as in the embedded engine, where recall@10 was .981 with 100.
_OVERSAMPLING = 10.0
# Cosines of float16 vectors agree to three digits; rounding makes equal vectors tie.
_DECIMALS = 6
_PAGE = 1_000
# Fields that filters ask for. Without an index each of them would be a scan of all payloads.
_KEYWORDS = ("slice", "dataset", "kind")
_HALVES = (0, 1)


def connected(url: str) -> "Callable[[], QdrantClient]":
    """Opens a client of the server at `url` when it is first needed. An API key stands in the URL as the password."""
    at = ServerUrl.parse("MESH_QDRANT_URL", url)

    def connect() -> "QdrantClient":
        from qdrant_client import QdrantClient

        # The client would ask the server for its version each time a process starts, and warn on standard error.
        return QdrantClient(
            url=at.address, api_key=at.password or None, timeout=_TIMEOUT_SECONDS, check_compatibility=False
        )

    return connect


class QdrantVectorIndex:
    """A VectorIndex in the collections of a server that begin with `prefix`. `connect` opens the client, once."""

    def __init__(self, connect: "Callable[[], QdrantClient]", *, prefix: str = "mesh") -> None:
        self._connect = connect
        self._prefix = f"{prefix}-vectors-{_FORMAT}-"
        self._slices = f"{prefix}-slices-{_FORMAT}"
        self._opened: QdrantClient | None = None

    @property
    def engine(self) -> str:
        """`qdrant`."""
        return "qdrant"

    def replace_slice(
        self, slice_key: str, model: str, batches: Iterable[tuple[Sequence[str], Sequence[str], NDArray[np.float16]]]
    ) -> Stored:
        """See the Protocol. Nothing that is found changes where `batches` raise."""
        from qdrant_client import models as q

        dataset = SliceKey.parse(slice_key).dataset
        collection = self._collection(model)
        former = self._record(slice_key, model)
        half = 1 - former["half"] if former else 0
        ours = {"slice": slice_key, "dataset": dataset, "half": half}
        entries = 0
        # What a try that was cut off left in this half.
        self._delete(collection, _matching(slice=slice_key, half=half))
        for points in _requests(batches, ours):
            self._prepare(collection, len(points[0].vector))  # pyright: ignore[reportArgumentType]
            with _answered():
                self._client().upsert(collection, points)
            entries += len(points)
        if self._exists(collection):
            new, old = _matching(slice=slice_key, half=half), _matching(slice=slice_key, half=1 - half)
            with _answered():
                self._client().batch_update_points(
                    collection,
                    [
                        q.SetPayloadOperation(set_payload=q.SetPayload(payload={"live": True}, filter=new)),
                        q.DeleteOperation(delete=q.FilterSelector(filter=old)),
                    ],
                )
        self._note({"slice": slice_key, "dataset": dataset, "model": model, "half": half, "entries": entries})
        return Stored(entries, collection)

    def held(self, slice_key: str, model: str) -> int | None:
        """See the Protocol. None also where the server holds another number of points than it was given."""
        SliceKey.parse(slice_key)
        record = self._record(slice_key, model)
        if record is None:
            return None
        found = 0
        if self._exists(self._collection(model)):
            with _answered():
                asked = _matching(slice=slice_key, half=record["half"], live=True)
                found = self._client().count(self._collection(model), asked, exact=True).count
        return found if found == record["entries"] else None

    def models(self, dataset: str | None = None) -> frozenset[str]:
        """See the Protocol."""
        if dataset is not None and not is_dataset_key(dataset):
            return frozenset()
        return frozenset(record["model"] for record in self._records(dataset))

    def forget_slices(self, slice_keys: Collection[str], *, but: str | None = None) -> None:
        """See the Protocol. Qdrant frees the bytes when it next rewrites their segments."""
        keys = [str(SliceKey.parse(key)) for key in slice_keys]
        kept = None if but is None else self._collection(but)
        others = [name for name in self._collections() if name != kept] if keys else []
        for key in keys:
            for collection in others:
                self._delete(collection, _matching(slice=key))
            self._delete(self._slices, _matching(slice=key, of_other_than=but))
        self._drop_empty(others)

    def forget_dataset(self, dataset: str) -> None:
        """See the Protocol. A collection that nothing is left in goes with its files; in others Qdrant frees the bytes
        when it next rewrites their segments (its vacuum optimizer), which nothing can ask for."""
        check_dataset_key(dataset)
        collections = self._collections()
        for collection in (*collections, self._slices):
            self._delete(collection, _matching(dataset=dataset))
        self._drop_empty(collections)

    def _drop_empty(self, collections: Iterable[str]) -> None:
        for collection in collections:
            with _answered():
                if not self._client().count(collection, exact=True).count:
                    self._client().delete_collection(collection)

    def search(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> list[Hit]:
        """See the Protocol. Binary codes choose ten candidates a hit, which the server scores by their own vectors."""
        from qdrant_client import models as q

        collection, where = self._collection(model), where or Filter()
        if limit < 1 or not self._exists(collection):
            return []
        wanted = {
            name: value for name, value in (("dataset", where.dataset), ("kind", where.kind)) if value is not None
        }
        with _answered():
            found = self._client().query_points(
                collection,
                query=[float(value) for value in vector],
                query_filter=_within(where.slices, _matching(live=True, **wanted)),
                search_params=q.SearchParams(
                    quantization=q.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING)
                ),
                limit=limit,
                with_payload=["chunk_id", "slice"],
            )
        hits = {_place(point.payload): round(point.score, _DECIMALS) for point in found.points}
        ordered = sorted(hits.items(), key=lambda hit: (-hit[1], hit[0]))
        return [Hit(chunk_id, key, score) for (chunk_id, key), score in ordered]

    def around(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> Around:
        """See the Protocol. The server is asked anew."""
        again = partial(self.search, model, limit=limit, where=where)
        return Around(again(vector), again)

    def vectors_of(self, model: str, hits: Sequence[Hit]) -> NDArray[np.float32]:
        """See the Protocol."""
        collection = self._collection(model)
        ids = [_point_id(hit.slice, hit.chunk_id, half) for hit in hits for half in _HALVES]
        if not ids or not self._exists(collection):
            return np.empty((0, 0), np.float32)
        with _answered():
            found = self._client().retrieve(collection, ids, with_payload=True, with_vectors=True)
        held = {_place(point.payload): point.vector for point in found if (point.payload or {}).get("live")}
        rows = [held[place] for hit in hits if (place := (hit.chunk_id, hit.slice)) in held]
        return np.asarray(rows, np.float32) if rows else np.empty((0, 0), np.float32)

    def _client(self) -> "QdrantClient":
        if self._opened is None:
            with _answered():
                self._opened = self._connect()
        return self._opened

    def _collection(self, model: str) -> str:
        return f"{self._prefix}{hashlib.sha256(model.encode()).hexdigest()[:16]}"

    def _exists(self, collection: str) -> bool:
        with _answered():
            return self._client().collection_exists(collection)

    def _collections(self) -> list[str]:
        with _answered():
            names = [each.name for each in self._client().get_collections().collections]
        return [name for name in names if name.startswith(self._prefix)]

    def _prepare(self, collection: str, dimension: int) -> None:
        """Create the collection of a model where there is none; another process may be doing it."""
        from qdrant_client import models as q

        self._create(
            collection,
            # Vectors have length 1, so this is their cosine; the server would change them to make it so.
            q.VectorParams(size=dimension, distance=q.Distance.DOT, datatype=q.Datatype.FLOAT16, on_disk=True),
            quantization=q.BinaryQuantization(binary=q.BinaryQuantizationConfig(always_ram=True)),
            fields={**dict.fromkeys(_KEYWORDS, "keyword"), "live": "bool", "half": "integer"},
        )

    def _create(
        self,
        collection: str,
        vectors: "q.VectorParams",
        *,
        fields: dict[str, str],
        quantization: "q.BinaryQuantization | None" = None,
    ) -> None:
        if self._exists(collection):
            return
        with _answered():
            try:
                self._client().create_collection(
                    collection, vectors_config=vectors, quantization_config=quantization, on_disk_payload=True
                )
            except Exception:
                if not self._client().collection_exists(collection):
                    raise
            if self._is_server():
                for name, kind in fields.items():
                    self._client().create_payload_index(collection, name, field_schema=kind)  # pyright: ignore[reportArgumentType]

    def _is_server(self) -> bool:
        # The client's mode in memory knows no payload indexes, and warns.
        return self._client().init_options.get("location") != ":memory:"

    def _record(self, slice_key: str, model: str) -> dict[str, Any] | None:
        if not self._exists(self._slices):
            return None
        with _answered():
            found = self._client().retrieve(self._slices, [_uuid("slice", slice_key, model)], with_payload=True)
        return found[0].payload if found else None

    def _note(self, record: dict[str, Any]) -> None:
        """Say what the server holds of a slice. Empty slices leave no other trace."""
        from qdrant_client import models as q

        self._create(
            self._slices,
            q.VectorParams(size=1, distance=q.Distance.DOT),
            fields=dict.fromkeys(("slice", "dataset"), "keyword"),
        )
        point = q.PointStruct(id=_uuid("slice", record["slice"], record["model"]), vector=[1.0], payload=record)
        with _answered():
            self._client().upsert(self._slices, [point])

    def _records(self, dataset: str | None) -> Iterator[dict[str, Any]]:
        offset: Any = None
        while self._exists(self._slices):
            with _answered():
                wanted = None if dataset is None else _matching(dataset=dataset)
                page, offset = self._client().scroll(self._slices, wanted, limit=_PAGE, offset=offset)
            yield from (point.payload for point in page if point.payload)
            if offset is None:
                return

    def _delete(self, collection: str, which: "q.Filter") -> None:
        from qdrant_client import models as q

        if self._exists(collection):
            with _answered():
                self._client().delete(collection, q.FilterSelector(filter=which))


@contextmanager
def _answered() -> Generator[None]:
    """What the client raises where the server does not answer, or not as it should, as an index that is down."""
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    # The client raises ValueError for answers and versions that do not fit, OSError for a name that is no host.
    except (ApiException, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        raise IndexDownError(
            f"The Qdrant server of MESH_QDRANT_URL does not do what it is asked: {said}.",
            remedy="See that it runs and has space; slices stay pending until the next catch-up. Or set it to `off`.",
        ) from error


def _requests(
    batches: Iterable[tuple[Sequence[str], Sequence[str], NDArray[np.float16]]], ours: dict[str, Any]
) -> "Iterator[list[q.PointStruct]]":
    """The points of `batches`, as many as one request takes at a time."""
    from qdrant_client import models as q

    for ids, kinds, vectors in batches:
        for first in range(0, len(ids), _POINTS):
            part = slice(first, first + _POINTS)
            rows = zip(ids[part], kinds[part], vectors[part].astype(np.float32).tolist(), strict=True)
            yield [
                q.PointStruct(
                    id=_point_id(ours["slice"], chunk_id, ours["half"]),
                    vector=vector,
                    payload={**ours, "chunk_id": chunk_id, "kind": kind, "live": False},
                )
                for chunk_id, kind, vector in rows
            ]


def _matching(*, of_other_than: str | None = None, **fields: str | int | bool) -> "q.Filter":
    """Points whose fields have these values, and whose model is another than that one."""
    from qdrant_client import models as q

    def conditions(pairs: Iterable[tuple[str, str | int | bool]]) -> list[q.Condition]:
        return [q.FieldCondition(key=key, match=q.MatchValue(value=value)) for key, value in pairs]

    return q.Filter(
        must=conditions(fields.items()), must_not=conditions([("model", of_other_than)] if of_other_than else [])
    )


def _within(slice_keys: frozenset[str] | None, matching: "q.Filter") -> "q.Filter":
    """`matching` of points of these slices only; the field has an index of its own."""
    from qdrant_client import models as q

    if slice_keys is None:
        return matching
    one_of = q.FieldCondition(key="slice", match=q.MatchAny(any=sorted(slice_keys)))
    return q.Filter(must=[matching, one_of])


def _place(payload: dict[str, Any] | None) -> tuple[str, str]:
    found = payload or {}
    return found["chunk_id"], found["slice"]


def _point_id(slice_key: str, chunk_id: str, half: int) -> str:
    return _uuid("point", slice_key, chunk_id, str(half))


def _uuid(*parts: str) -> str:
    """Qdrant takes numbers and UUIDs as ids: this one comes from content, so the same point is written twice alike."""
    return str(uuid.UUID(bytes=hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()))
