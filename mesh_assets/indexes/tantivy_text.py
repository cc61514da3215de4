"""The embedded full-text index: one tantivy index for all slices, one writer waiting its turn, any readers.

A slice is replaced in one commit: a reader, or a process after a crash, sees all of the old entries or all of the new.
What a word of a query is belongs to `words`; texts stay in the lake.
"""

from __future__ import annotations

import math
import random
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mesh_assets.atomic import staging, sweep_stagings
from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Document, Filter, Hit, Stored
from mesh_assets.indexes.tantivy_segments import Segment, other_slices, segments_with
from mesh_assets.indexes.words import encodable, query_words, spaced
from mesh_assets.slices import SliceKey, check_dataset_key
from mesh_assets.wording import size

if TYPE_CHECKING:
    import tantivy

# Version of the fields and analyzers: another one is another folder, filled anew from the lake.
_FORMAT = "words-2"
# Beside it lie those that are just being made.
UNFINISHED = ".new"
# The engine locks this file in the folder of an index while it writes, and writes its small files as `.tmp...` beside.
WRITER_LOCK, WRITER_TEMPORARIES = ".tantivy-writer.lock", ".tmp*"
# What the writer gathers before it writes a segment. One thread, because runs are parallel, not what they do.
_HEAP_BYTES = 64 << 20
_WRITER_THREADS = 1
# Longer tokens are no words; the longest that people look for are hashes (SHA-512 has 128 digits).
_LONGEST_TOKEN = 128
_STEMMED, _PLAIN = "mesh_stemmed", "mesh_plain"
# Weights of a query word in each field. An unstemmed copy of the text would index it twice for .335 -> .347 MAP
# on CACM, less than the noise of its 52 queries. Path and symbol only tip the scale: the text says mostly the same.
_FIELDS = (("text", _STEMMED, 1.0), ("symbol", _PLAIN, 0.5), ("path", _PLAIN, 0.25))
# Distinct words of a query that are searched; the first ones of a longer query.
_MOST_WORDS = 64
# Entries looked at to order those that tie at the end of a result by their ids.
_MOST_TIES = 4096
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0  # seconds between two tries for the writer's place


class TantivyFulltextIndex:
    """A FulltextIndex in the folder `root`. A writer waits `lock_wait_seconds` for another one to finish."""

    def __init__(self, root: Path, *, lock_wait_seconds: float = 60) -> None:
        self._folder = root / _FORMAT
        self._lock_wait_seconds = lock_wait_seconds

    @property
    def engine(self) -> str:
        """`tantivy`."""
        return "tantivy"

    def replace_slice(self, slice_key: str, documents: Iterable[Document]) -> Stored:
        """See the Protocol. Nothing changes where `documents` raise.

        It returns when due merges are done, still holding the writer's place: a writer that left at once would cut
        them off, and segments would pile up with the slices.
        """
        SliceKey.parse(slice_key)
        with self._writer() as writer:
            entries = self._replace(writer, slice_key, documents)
        return Stored(entries=entries, location=_FORMAT)

    def _replace(self, writer: tantivy.IndexWriter, slice_key: str, documents: Iterable[Document]) -> int:
        import tantivy

        dataset = SliceKey.parse(slice_key).dataset
        entries = 0
        writer.delete_documents_by_term("slice", slice_key)
        for document in documents:
            entry = tantivy.Document(
                chunk_id=bytes.fromhex(document.chunk_id),
                slice=slice_key,
                dataset=dataset,
                kind=document.kind,
                path=_readable(document.path),
                symbol=_readable(document.symbol),
                text=_readable(document.text),
            )
            try:
                writer.add_document(entry)
            except (ValueError, OSError) as error:
                raise _broken(self._folder, error) from error
            entries += 1
        return entries

    def forget_slices(self, slice_keys: Collection[str]) -> None:
        """See the Protocol. Their bytes stay in their segments until these are merged."""
        keys = [str(SliceKey.parse(key)) for key in slice_keys]
        if not keys or not self._folder.is_dir():
            return
        with self._writer() as writer:
            for key in keys:
                writer.delete_documents_by_term("slice", key)

    def forget_dataset(self, dataset: str, documents: Callable[[str], Iterable[Document]]) -> None:
        """See the Protocol. Each segment that holds an entry of the dataset, deleted or not, goes.

        A segment goes when nothing lives in it, so the other slices in it are written again, in one commit. The cost
        is that of indexing those anew: at worst all, where every segment holds something of the dataset. Indexes of
        former formats, which nothing reads, go as a whole.
        """
        check_dataset_key(dataset)
        if not self._folder.is_dir():
            return
        for other in self._folder.parent.iterdir():
            if other.name not in (_FORMAT, UNFINISHED):
                shutil.rmtree(other, ignore_errors=True)
        with self._writer() as writer:
            writer.delete_documents_by_term("dataset", dataset)
        held = self._segments_with(dataset)
        while held:
            with self._writer() as writer:
                for key in other_slices(held, dataset):
                    self._replace(writer, key, documents(key))
            before, held = held, self._segments_with(dataset)
            if {segment.name for segment in before} & {segment.name for segment in held}:
                raise IndexDownError(
                    f"The full-text index {self._folder} still holds deleted entries of {dataset}.",
                    remedy="Do the same again; or delete the folder and materialize `fulltext_index` of every slice.",
                )

    def _segments_with(self, dataset: str) -> list[Segment]:
        import tantivy

        with _engine_errors(self._folder):
            return segments_with(tantivy.Index.open(str(self._folder)), self._folder, dataset)

    def held(self, slice_key: str) -> int | None:
        """See the Protocol. An empty slice leaves no trace here: it gives 0 as one that was never seen."""
        import tantivy

        key = str(SliceKey.parse(slice_key))
        with _engine_errors(self._folder):
            if not self._folder.is_dir():
                return None
            try:
                index = tantivy.Index.open(str(self._folder))
                entries = tantivy.Query.term_query(index.schema, "slice", key)
                found = cast("Any", index.searcher().search(entries, 1, count=True))  # its stubs know no count
                return cast("int", found.count)
            except ValueError:  # damaged: tantivy keeps a checksum of each file
                return None

    def search(self, query: str, *, limit: int, where: Filter | None = None) -> list[Hit]:
        """See the Protocol. A query is read up to 64 distinct words; each weighs as often as it is repeated."""
        import tantivy

        if limit < 1 or not self._folder.is_dir():
            return []
        with _engine_errors(self._folder):
            index = tantivy.Index.open(str(self._folder))
            searcher = index.searcher()
            terms = {analyzer: _terms(query, analyzer) for analyzer in (_STEMMED, _PLAIN)}
            if not terms[_STEMMED]:
                return []
            hits = _hits(searcher, _query(index.schema, terms, where or Filter()), limit)
            whole = _weight(searcher, terms[_STEMMED])
        return [Hit(hit.chunk_id, hit.slice, hit.score / whole) for hit in hits]

    @contextmanager
    def _writer(self) -> Generator[tantivy.IndexWriter]:
        """The one writer; commits at the end, rolls back where the body raises, and gives its place up either way."""
        self._create()
        writer = self._wait_for_writer()
        try:
            yield writer
            with _engine_errors(self._folder):
                writer.commit()
        except BaseException:
            with _engine_errors(self._folder):
                writer.rollback()
            raise
        finally:
            with _engine_errors(self._folder):
                writer.wait_merging_threads()

    def _create(self) -> None:
        """Create the index where there is none. It is made beside and renamed, so two processes cannot both do it."""
        import tantivy

        if self._folder.is_dir():
            return
        unfinished = self._folder.parent / UNFINISHED
        sweep_stagings(unfinished)
        with _engine_errors(self._folder), staging(unfinished / uuid.uuid4().hex) as made:
            tantivy.Index(_schema(), str(made))
            try:
                made.rename(self._folder)
            except OSError:
                # Another process was first: its folder is not empty, so the rename was refused.
                if not self._folder.is_dir():
                    raise

    def _wait_for_writer(self) -> tantivy.IndexWriter:
        import tantivy

        with _engine_errors(self._folder):
            index = tantivy.Index.open(str(self._folder))
            for name, stemmed in ((_STEMMED, True), (_PLAIN, False)):
                index.register_tokenizer(name, _analyzer(stemmed=stemmed))
        deadline = time.monotonic() + self._lock_wait_seconds
        wait = _FIRST_WAIT
        while True:
            try:
                return index.writer(_HEAP_BYTES, _WRITER_THREADS)
            except ValueError as error:
                left = deadline - time.monotonic()
                if "LockBusy" not in str(error) or left <= 0:
                    raise IndexDownError(
                        f"The full-text index {self._folder} cannot be written now: {error}.",
                        remedy="Another run may be writing it; the slice stays pending until the next catch-up.",
                    ) from error
            # Waiting writers must not all try at the same moments.
            time.sleep(min(left, wait * random.uniform(0.5, 1.0)))  # noqa: S311
            wait = min(2 * wait, _LONGEST_WAIT)


@contextmanager
def _engine_errors(folder: Path) -> Generator[None]:
    """tantivy raises ValueError for whatever goes wrong in its files."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise _broken(folder, error) from error


def _broken(folder: Path, error: Exception) -> IndexDownError:
    return IndexDownError(
        f"The full-text index {folder} does not work: {error}{_lack_of_space(folder)}.",
        remedy="Free space or permit access there; or delete the folder and materialize `fulltext_index` again.",
    )


def _readable(text: str) -> str:
    return text if text.isascii() else spaced(encodable(text))


def _lack_of_space(folder: Path) -> str:
    # The engine's writer only says that it was killed.
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    return f" (the disk has only {size(free)} of free space)" if free < _HEAP_BYTES else ""


def _schema() -> tantivy.Schema:
    import tantivy

    builder = tantivy.SchemaBuilder()
    # Stored only: as terms, random ids were a tenth of the work, and nothing asks for one.
    builder.add_bytes_field("chunk_id", stored=True, indexed=False)
    builder.add_text_field("slice", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("dataset", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
    for field, analyzer, _ in _FIELDS:
        # Without positions the index is half as large; no query asks for phrases.
        builder.add_text_field(field, tokenizer_name=analyzer, index_option="freq")
    return builder.build()


def _analyzer(*, stemmed: bool) -> tantivy.TextAnalyzer:
    from tantivy import Filter as TokenFilter
    from tantivy import TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.simple()).filter(TokenFilter.remove_long(_LONGEST_TOKEN + 1))
    builder = builder.filter(TokenFilter.lowercase()).filter(TokenFilter.ascii_fold())
    return (builder.filter(TokenFilter.stemmer("english")) if stemmed else builder).build()


def _terms(text: str, analyzer: str) -> dict[str, int]:
    """The terms of a query as a field with that analyzer holds them, with their counts."""
    counts = Counter(_analyzer(stemmed=analyzer == _STEMMED).analyze(" ".join(query_words(text))))
    return dict(list(counts.items())[:_MOST_WORDS])


def _query(schema: tantivy.Schema, terms: dict[str, dict[str, int]], where: Filter) -> tantivy.Query:
    """Any of the `terms` (counts by analyzer), scored by BM25, within `where`.

    Built term by term: the query parser has a syntax that text can break, and counts a repeated word once.
    """
    from tantivy import Occur, Query

    scored: list[tuple[Occur, Query]] = []
    for field, analyzer, weight in _FIELDS:
        for term, count in terms[analyzer].items():
            scored.append((Occur.Should, Query.boost_query(Query.term_query(schema, field, term), count * weight)))
    clauses = [(Occur.Must, Query.boolean_query(scored))]
    for field, value in (("dataset", where.dataset), ("kind", where.kind)):
        if value is not None:
            term = Query.term_query(schema, field, encodable(value))
            clauses.append((Occur.Must, Query.const_score_query(term, 0.0)))  # limits, adds nothing to the score
    return Query.boolean_query(clauses)


def _weight(searcher: tantivy.Searcher, terms: dict[str, int]) -> float:
    """The sum of the terms' inverse document frequencies, as BM25 has them: what a full answer is worth."""
    entries = searcher.num_docs
    weight = 0.0
    for term, count in terms.items():
        holding = searcher.doc_freq("text", term)  # counts replaced entries too, until their segment is merged
        weight += count * math.log(1 + (max(entries - holding, 0) + 0.5) / (holding + 0.5))
    return weight


def _hits(searcher: tantivy.Searcher, query: tantivy.Query, limit: int) -> list[Hit]:
    """The best `limit` entries. Where the last one ties with entries beyond, those are fetched to order them all."""
    wanted = limit + 1
    while True:
        found = searcher.search(query, wanted, count=False).hits
        if len(found) < wanted or found[-1][0] < found[limit - 1][0] or wanted > max(_MOST_TIES, limit + 1):
            break
        wanted = 4 * wanted
    hits: list[Hit] = []
    for score, address in found:
        document = searcher.doc(address)
        hits.append(Hit(bytes(document["chunk_id"][0]).hex(), document["slice"][0], float(score)))
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]
