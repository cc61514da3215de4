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
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mesh_assets.atomic import staging, sweep_stagings
from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Document, Filter, Hit, Stored
from mesh_assets.indexes.tantivy_segments import Segment, other_slices, segments_with
from mesh_assets.indexes.word_forms import forms_of
from mesh_assets.indexes.words import encodable, query_words, spaced, with_parts
from mesh_assets.slices import SliceKey, check_dataset_key, is_slice_of
from mesh_assets.wording import size

if TYPE_CHECKING:
    import tantivy

# Version of the fields and analyzers: another one is another folder, filled anew from the lake.
_FORMAT = "words-5"
# Beside it lie those that are just being made.
UNFINISHED = ".new"
# The engine locks this file in the folder of an index while it writes, and writes its small files as `.tmp...` beside.
WRITER_LOCK, WRITER_TEMPORARIES = ".tantivy-writer.lock", ".tmp*"
# What the one writer gathers before it writes a segment: a slice of 1 GiB becomes about four of them. Eight of a size
# are merged, which costs a fifth of making them, and all of them are mapped meanwhile. One thread, because runs are
# parallel, not what they do.
_HEAP_BYTES = 256 << 20
_WRITER_THREADS = 1
# Longer tokens are no words; the longest that people look for are hashes (SHA-512 has 128 digits).
_LONGEST_TOKEN = 128
_PLAIN = "mesh_plain"
# Weight of a query word in the path, which only tips the scale. The symbol, whose words are nearly all in the text or
# its context, is a further occurrence of them there: in a field of its own they were a tenth of the work.
_PATH_WEIGHT = 0.25
# What each further form of a word adds to the best one in an entry: as much as BM25 gives a second occurrence.
_FURTHER_FORM = 0.375
# Distinct words of a query that are searched; the first ones of a longer query.
_MOST_WORDS = 64
# Entries looked at to order those that tie at the end of a result by their ids.
_MOST_TIES = 4096
# Words whose forms and frequencies a process remembers; ten MB at most.
_REMEMBERED = 1 << 14
_META = "meta.json"  # which each commit replaces
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0  # seconds between two tries for the writer's place


class TantivyFulltextIndex:
    """A FulltextIndex in the folder `root`. A writer waits `lock_wait_seconds` for another one to finish."""

    def __init__(self, root: Path, *, lock_wait_seconds: float = 60) -> None:
        self._folder = root / _FORMAT
        self._lock_wait_seconds = lock_wait_seconds
        self._commit: _Commit | None = None

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

        entries = 0
        writer.delete_documents_by_term("slice", slice_key)
        for document in documents:
            # Field by field: the constructor guesses the type of each value, at six times the cost.
            entry = tantivy.Document()
            entry.add_bytes("chunk_id", bytes.fromhex(document.chunk_id))
            add = entry.add_text
            add("slice", slice_key)
            add("kind", document.kind)
            add("path", _readable(with_parts(document.path)))
            text = f"{document.symbol}\n{document.text}" if document.symbol else document.text
            # In prose what has humps is a name of a person or a product as often: CACM lost by it.
            add("text", _readable(text if document.kind == "text" else with_parts(text)))
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
        import tantivy

        check_dataset_key(dataset)
        self._remove_former()
        if not self._folder.is_dir():
            return
        with self._writer() as writer:
            with _engine_errors(self._folder):
                keys = _slices_of(tantivy.Index.open(str(self._folder)).searcher(), dataset)
            for key in keys:
                writer.delete_documents_by_term("slice", key)
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
        if limit < 1:
            return []
        with _engine_errors(self._folder):
            commit = self._last_commit()
            words = _words(query, commit) if commit is not None else []
            if commit is None or not words:
                return []
            limits = _limits(commit.schema, commit.searcher, where or Filter())
            hits = _hits(commit.searcher, _query(commit, words, limits), limit)
            whole = sum(word.count * word.weight for word in words)
        return [Hit(hit.chunk_id, hit.slice, hit.score / whole) for hit in hits]

    def _last_commit(self) -> _Commit | None:
        """What was committed last; None where there is no index. The files of an earlier commit are let go."""
        import tantivy

        try:
            stat = (self._folder / _META).stat()
        except (FileNotFoundError, NotADirectoryError):
            self._commit = None
            return None
        identity = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        commit = self._commit
        if commit is None or commit.identity != identity:
            index = tantivy.Index.open(str(self._folder))
            commit = self._commit = _Commit(identity, index.schema, index.searcher())
        return commit

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

        self._remove_former()
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

    def _remove_former(self) -> None:
        """Remove indexes of former formats: nothing reads them, and what they held is indexed again from the lake."""
        root = self._folder.parent
        for other in root.iterdir() if root.is_dir() else ():
            if other.name not in (_FORMAT, UNFINISHED):
                shutil.rmtree(other, ignore_errors=True)

    def _wait_for_writer(self) -> tantivy.IndexWriter:
        import tantivy

        with _engine_errors(self._folder):
            index = tantivy.Index.open(str(self._folder))
            index.register_tokenizer(_PLAIN, _analyzer(stemmed=False))
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
    """`text` as the analyzer takes it: Python makes words lower case in a fraction of the time that a filter does."""
    return spaced(encodable(text)).lower()


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
    builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
    for name in ("text", "path"):
        # Without positions the index is half as large; no query asks for phrases.
        builder.add_text_field(name, tokenizer_name=_PLAIN, index_option="freq")
    return builder.build()


def _analyzer(*, stemmed: bool) -> tantivy.TextAnalyzer:
    from tantivy import Filter as TokenFilter
    from tantivy import TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.simple()).filter(TokenFilter.remove_long(_LONGEST_TOKEN + 1))
    builder = builder.filter(TokenFilter.ascii_fold())
    return (builder.filter(TokenFilter.stemmer("english")) if stemmed else builder).build()


@dataclass(frozen=True, slots=True)
class _Commit:
    """The index as one commit left it, open: opening it takes longer than most queries.

    `holding` remembers how many entries hold a word. Words of queries are few, beside what is mapped of the index.
    """

    identity: tuple[int, int, int]
    schema: tantivy.Schema
    searcher: tantivy.Searcher
    holding: dict[str, int] = field(default_factory=dict[str, int])

    def entries_with(self, word: str) -> int:
        """Entries whose text holds `word`; replaced ones count, too, until their segment is merged."""
        if word not in self.holding:
            if len(self.holding) >= _REMEMBERED:
                self.holding.clear()
            self.holding[word] = self.searcher.doc_freq("text", word)
        return self.holding[word]

    def in_most_paths(self, word: str) -> bool:
        """Whether more than half of the entries have `word` in their paths."""
        return self.searcher.doc_freq("path", word) > self.searcher.num_docs / 2


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a query: as it is asked for, with its weight, and the forms that texts hold, with theirs."""

    asked: dict[str, int]
    count: int
    weight: float
    forms: dict[str, float]


def _words(query: str, commit: _Commit) -> list[_Word]:
    """The words of a query, those of one stem as one, with the inverse document frequency that BM25 gives them."""
    text = " ".join(query_words(query))
    stemmed = _analyzer(stemmed=True).analyze
    asked: dict[str, Counter[str]] = {}
    for stem, term in zip(stemmed(text), _analyzer(stemmed=False).analyze(text), strict=True):
        if stem in asked or len(asked) < _MOST_WORDS:
            asked.setdefault(stem, Counter())[term] += 1
    return [_word(terms, _forms(stem), commit) for stem, terms in asked.items()]


@lru_cache(maxsize=_REMEMBERED)
def _forms(stem: str) -> frozenset[str]:
    return forms_of([stem], _analyzer(stemmed=True).analyze).get(stem, frozenset())


def _word(asked: Counter[str], forms: frozenset[str], commit: _Commit) -> _Word:
    holding = {form: commit.entries_with(form) for form in sorted(forms.union(asked))}
    entries = commit.searcher.num_docs
    weight = _rarity(entries, sum(holding.values()))
    # A form is worth what the word is, however rare the form is.
    held = {form: weight / _rarity(entries, number) for form, number in holding.items() if number}
    return _Word(dict(asked), asked.total(), weight, held)


def _rarity(entries: int, holding: int) -> float:
    """The inverse document frequency, as BM25 has it."""
    return math.log(1 + (max(entries - holding, 0) + 0.5) / (holding + 0.5))


def _slices_of(searcher: tantivy.Searcher, dataset: str) -> list[str]:
    """The slices of a dataset that the index knows, those without entries included while their segments are there."""
    return [key for key, _ in searcher.terms_with_prefix("slice", f"{dataset}.") if is_slice_of(key, dataset)]


def _limits(schema: tantivy.Schema, searcher: tantivy.Searcher, where: Filter) -> list[tantivy.Query]:
    """Which entries a query may find."""
    from tantivy import Query

    limits: list[Query] = []
    if where.dataset is not None:
        keys = _slices_of(searcher, encodable(where.dataset))
        limits.append(_one_of(schema, keys))
    if where.slices is not None:
        limits.append(_one_of(schema, sorted(where.slices)))
    if where.kind is not None:
        limits.append(Query.term_query(schema, "kind", encodable(where.kind)))
    return limits


def _one_of(schema: tantivy.Schema, slice_keys: list[str]) -> tantivy.Query:
    from tantivy import Query

    return Query.term_set_query(schema, "slice", slice_keys) if slice_keys else Query.empty_query()


def _query(commit: _Commit, words: Iterable[_Word], limits: Iterable[tantivy.Query]) -> tantivy.Query:
    """Any of the words, scored by BM25, within all `limits`, which add nothing to the score.

    Built term by term: the query parser has a syntax that text can break, and counts a repeated word once.
    """
    from tantivy import Occur, Query

    def term(field: str, value: str, weight: float) -> Query:
        return Query.boost_query(Query.term_query(commit.schema, field, value), weight)

    texts: list[Query] = []
    paths: list[tuple[bool, Query]] = []
    for word in words:
        forms = [term("text", form, word.count * weight) for form, weight in word.forms.items()]
        if forms:
            texts.append(Query.disjunction_max_query(forms, _FURTHER_FORM))
        paths += [
            (commit.in_most_paths(asked), term("path", asked, count * _PATH_WEIGHT))
            for asked, count in word.asked.items()
        ]
    # What most paths hold tells nothing (Robertson's weight of it is negative) and costs as much as all the others.
    told = [query for is_common, query in paths if not is_common]
    scored = [(Occur.Should, query) for query in [*texts, *told] or [query for _, query in paths]]
    clauses = [(Occur.Must, Query.boolean_query(scored))]
    clauses += [(Occur.Must, Query.const_score_query(limit, 0.0)) for limit in limits]
    return Query.boolean_query(clauses)


def _hits(searcher: tantivy.Searcher, query: tantivy.Query, limit: int) -> list[Hit]:
    """The best `limit` entries. Where the last one ties with entries beyond, those are fetched to order them all."""
    wanted = 4 * limit + 1  # at hardly more cost than `limit`: copies of a text tie
    while True:
        found = searcher.search(query, wanted, count=False).hits
        if len(found) < wanted or found[-1][0] < found[limit - 1][0] or wanted > max(_MOST_TIES, 4 * limit + 1):
            break
        wanted = 4 * wanted
    hits: list[Hit] = []
    for score, address in found:
        if len(hits) >= limit and score < found[limit - 1][0]:
            break
        document = searcher.doc(address)
        hits.append(Hit(bytes(document["chunk_id"][0]).hex(), document["slice"][0], float(score)))
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]
