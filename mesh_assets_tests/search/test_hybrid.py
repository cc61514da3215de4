"""One query finds by words and by meaning, says why, and goes on with what still answers."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.embeddings.no_encoder import NoEncoder
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.embeddings.sentence_encoder import DEFAULT_MODEL, SentenceEncoder
from mesh_assets.errors import IndexDownError, ModelError
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.fakes import InMemoryFulltextIndex, InMemoryVectorIndex
from mesh_assets.indexes.protocol import Document, Filter, FulltextIndex, Hit, VectorIndex
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.indexes.words import STOP_WORDS, query_words
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.schemas.citations import Citation
from mesh_assets.search.hybrid import search
from mesh_assets.search.protocol import ChunkRow, SearchResult
from mesh_assets.settings import Settings
from mesh_assets.slices import dataset_key

# In no other passage; each with a paraphrase that shares no content word with it.
NEEDLES = {
    "notes/pump.md": (
        "The coolant pump at the Rotterdam plant seized because its bearing ran dry.",
        "machine broke down in Holland from missing lubrication",
    ),
    "notes/lease.md": (
        "Tenants must hand back the keys within three days of moving out.",
        "deadline for returning access to an apartment when leaving",
    ),
    "notes/bread.md": (
        "Let the dough rise overnight, then bake it in a hot oven until the crust is brown.",
        "cooking instructions for pastry",
    ),
}
MODULES = (
    "shutil sqlite3 zipfile csv heapq bisect textwrap difflib random statistics tempfile fnmatch glob calendar ast"
)


def stdlib_passages() -> dict[str, str]:
    passages: dict[str, str] = {}
    for name in MODULES.split():
        module = importlib.import_module(name)
        for member, value in sorted(vars(module).items()):
            text = inspect.getdoc(value) if inspect.isroutine(value) or inspect.isclass(value) else None
            if text and len(text) > 80 and not member.startswith("_"):
                passages.setdefault(f"stdlib/{name}/{member}.txt", text[:600])
    chosen = sorted(passages)[:: max(1, len(passages) // 60)]
    return {path: passages[path] for path in chosen}


@dataclass
class Lake:
    """Chunks in memory, the fake of a ChunkStore; remembers what was asked for."""

    rows: dict[str, ChunkRow] = field(default_factory=dict[str, ChunkRow])
    asked: list[Mapping[str, Sequence[str]]] = field(default_factory=list[Mapping[str, Sequence[str]]])

    def fetch(self, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, ChunkRow]:
        self.asked.append(wanted)
        return {
            i: self.rows[i]
            for slice_key, ids in wanted.items()
            for i in ids
            if i in self.rows and self.rows[i].slice == slice_key
        }


@dataclass
class Mesh:
    encoder: Encoder
    vectors: VectorIndex
    words: FulltextIndex
    lake: Lake = field(default_factory=Lake)

    def add(self, slice_key: str, texts: Mapping[str, str], kind: str = "text") -> list[str]:
        rows = [chunk(slice_key, path, text, kind) for path, text in texts.items()]
        ids = [row.chunk_id for row in rows]
        vectors = self.encoder.encode([row.text for row in rows]).astype(np.float16)
        self.vectors.replace_slice(slice_key, self.encoder.model, [(ids, [kind] * len(ids), vectors)])
        self.words.replace_slice(slice_key, (Document(r.chunk_id, kind, r.path, "", r.text) for r in rows))
        self.lake.rows |= {row.chunk_id: row for row in rows}
        return ids

    def ask(self, query: str, limit: int = 10, where: Filter | None = None) -> SearchResult:
        return search(
            query,
            encoder=self.encoder,
            vectors=self.vectors,
            words=self.words,
            chunks=self.lake,
            limit=limit,
            where=where,
        )


def chunk(slice_key: str, path: str, text: str, kind: str) -> ChunkRow:
    digest = blake3(f"{slice_key}{path}{text}".encode()).hexdigest(length=16)
    dataset = slice_key.rpartition(".")[0]
    return ChunkRow(digest, slice_key, dataset, path, kind, None, text, 5, 5 + len(text), 3, 4, digest)


@pytest.fixture
def mesh() -> Mesh:
    return Mesh(FakeEncoder(256), InMemoryVectorIndex(), InMemoryFulltextIndex())


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    root = tmp_path_factory.mktemp("indexes")
    encoder = SentenceEncoder(DEFAULT_MODEL, batch=32, threads=1)
    mesh = Mesh(encoder, FaissVectorIndex(root / "vectors"), TantivyFulltextIndex(root / "words"))
    passages = stdlib_passages()
    assert len(passages) >= 60
    mesh.add("library.000001", passages)
    mesh.add("notes.000001", {path: text for path, (text, _) in NEEDLES.items()})
    return mesh


@pytest.mark.parametrize("path", NEEDLES)
def test_a_sentence_in_one_file_is_found_first_by_its_words_and_by_a_paraphrase(real: Mesh, path: str) -> None:
    text, paraphrase = NEEDLES[path]
    assert not set(query_words(text)) & set(query_words(paraphrase)) - STOP_WORDS
    by_words = real.ask(text).hits[0]
    assert (by_words.path, by_words.words_rank, by_words.meaning_rank) == (path, 1, 1)
    assert by_words.why.startswith("words #1, meaning #1: ")
    assert {"coolant", "tenants", "dough"} & set(by_words.terms)
    by_meaning = real.ask(paraphrase).hits[0]
    assert (by_meaning.path, by_meaning.words_rank, by_meaning.meaning_rank) == (path, None, 1)
    assert by_meaning.why == "meaning #1"


def test_a_filter_limits_the_real_engines(real: Mesh) -> None:
    hits = real.ask(NEEDLES["notes/pump.md"][0], where=Filter(dataset="library")).hits
    assert hits
    assert {hit.dataset for hit in hits} == {"library"}
    assert real.ask("pump", where=Filter(kind="code")).hits == []


@pytest.mark.parametrize("engines", ["fakes", "embedded"])
def test_a_dataset_is_called_by_its_folder_or_by_its_key(mesh: Mesh, tmp_path: Path, engines: str) -> None:
    if engines == "embedded":
        mesh = Mesh(mesh.encoder, FaissVectorIndex(tmp_path / "v"), TantivyFulltextIndex(tmp_path / "w"))
    key = dataset_key("my notes")
    mesh.add(f"{key}.000001", {"f": "fish"})
    mesh.add("other.000001", {"g": "fish"})
    by_key = mesh.ask("fish", where=Filter(dataset=key))
    assert [(hit.path, hit.why.partition(":")[0]) for hit in by_key.hits] == [("f", "words #1, meaning #1")]
    assert mesh.ask("fish", where=Filter(dataset="my notes")) == by_key


def test_a_hit_leads_back_to_the_bytes(mesh: Mesh) -> None:
    (chunk_id,) = mesh.add("a.b.000001", {"dir/f:1.txt": "a needle in a haystack"})
    (hit,) = mesh.ask("needle").hits
    row = mesh.lake.rows[chunk_id]
    assert (hit.chunk_id, hit.slice, hit.dataset, hit.path) == (chunk_id, "a.b.000001", "a.b", "dir/f:1.txt")
    assert (hit.line_start, hit.line_stop, hit.snippet) == (3, 4, row.text)
    parsed = Citation.parse(str(hit.citation))
    assert (parsed.path, parsed.byte_start, parsed.byte_stop) == (row.path, row.byte_start, row.byte_stop)
    assert 0 < hit.score <= 1


def test_chunks_that_left_the_lake_are_dropped_and_later_ones_move_up(mesh: Mesh) -> None:
    ids = mesh.add("a.000001", {f"{i}.txt": "fish " * (9 - i) + "bird " * i for i in range(8)})
    before = [hit.chunk_id for hit in mesh.ask("fish", limit=8).hits]
    assert set(before) == set(ids)
    for chunk_id in before[:3]:
        del mesh.lake.rows[chunk_id]
    assert [hit.chunk_id for hit in mesh.ask("fish", limit=3).hits] == before[3:6]


def test_no_more_chunks_are_read_than_are_shown(mesh: Mesh) -> None:
    mesh.add("a.000001", {f"{i}.txt": f"fish number {i}" for i in range(50)})
    assert len(mesh.ask("fish", limit=5).hits) == 5
    assert [sum(map(len, wanted.values())) for wanted in mesh.lake.asked] == [5]


def test_a_chunk_that_moved_to_another_slice_is_shown_once(mesh: Mesh) -> None:
    (chunk_id,) = mesh.add("a.000001", {"f": "fish"})
    vector = mesh.encoder.encode(["fish"]).astype(np.float16)
    mesh.vectors.replace_slice("a.000002", mesh.encoder.model, [([chunk_id], ["text"], vector)])
    mesh.words.replace_slice("a.000002", [Document(chunk_id, "text", "f", "", "fish")])
    (hit,) = mesh.ask("fish").hits
    assert (hit.slice, hit.score) == ("a.000001", 1.0)


def test_equal_chunks_come_in_the_order_of_their_ids(mesh: Mesh) -> None:
    # Those at the end are as near and as long, and no two of them say the same.
    ids = mesh.add("a.000001", {f"x{i}": f"fish {i:02d}" for i in range(30)})
    mesh.encoder = NoEncoder()
    assert [hit.chunk_id for hit in mesh.ask("fish", limit=30).hits] == sorted(ids)


def test_one_passage_in_many_files_is_one_hit_with_the_other_places(mesh: Mesh) -> None:
    passage = "The coolant pump seized because its bearing ran dry, and nobody had looked at it for a year."
    ids = mesh.add("a.000001", {f"copy{i}.txt": passage if i % 2 else f"  {passage.upper()}\n" for i in range(6)})
    other = mesh.add("b.000001", {"other.txt": "A pump for the garden."})
    hits = mesh.ask("coolant pump", limit=3).hits
    assert [hit.chunk_id for hit in hits] == [min(ids), *other]
    assert {place.path for place in hits[0].others} | {hits[0].path} == {f"copy{i}.txt" for i in range(6)}
    assert len(hits[0].others) == 5
    assert not hits[1].others


def test_nothing_is_found_where_nothing_is_asked_or_indexed(mesh: Mesh) -> None:
    assert mesh.ask("fish") == SearchResult()
    mesh.add("a.000001", {"f": "fish"})
    for query in ("", " \n", "\ud800"[:0]):
        assert mesh.ask(query) == SearchResult()
    assert mesh.ask("fish", limit=0) == SearchResult()


@pytest.mark.parametrize("query", ["\ud800 fish", "fish " * 10_000, "\0fish", "?!", "魚"])
def test_any_text_is_a_query(real: Mesh, query: str) -> None:
    assert real.ask(query).notes == []


@dataclass
class Coordinates:
    """An encoder that knows a few texts, each by where it lies."""

    places: Mapping[str, Sequence[float]]
    model: str = "coordinates"
    dimension: int = 3

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([np.array(self.places[t]) / np.linalg.norm(self.places[t]) for t in texts], np.float32)


# Four say "gasket"; the last one does not, but means what they mean. "bridge" is a little nearer to the question alone.
GASKETS = {f"gasket {n}": (0.7, 0.7, 0.0) for n in range(4)}
PLACES = {"gasket": (1, 0, 0), **GASKETS, "a seal ring": (0.6, 0.8, 0.0), "a bridge": (0.62, 0.0, 0.78)}


@pytest.mark.parametrize("engines", ["fakes", "embedded"])
def test_more_of_what_words_and_meaning_found_first_comes_before_what_is_near_by_chance(
    tmp_path: Path, engines: str
) -> None:
    encoder = Coordinates(PLACES)
    mesh = Mesh(encoder, InMemoryVectorIndex(), InMemoryFulltextIndex())
    if engines == "embedded":
        mesh = Mesh(encoder, FaissVectorIndex(tmp_path / "v"), TantivyFulltextIndex(tmp_path / "w"))
    texts = [text for text in PLACES if text != "gasket"]
    mesh.add("a.000001", {text: text for text in texts})
    assert [hit.path for hit in mesh.ask("gasket").hits] == [
        *sorted(GASKETS, key=lambda text: chunk("a.000001", text, text, "text").chunk_id), "a seal ring", "a bridge",
    ]  # fmt: skip
    # Meaning alone has nobody to ask whether its first hits are right.
    alone = Mesh(encoder, mesh.vectors, InMemoryFulltextIndex(), mesh.lake)
    assert [hit.path for hit in alone.ask("gasket").hits][-2:] == ["a bridge", "a seal ring"]


class ForgetfulVectors(InMemoryVectorIndex):
    def vectors_of(self, model: str, hits: Sequence[Hit]) -> NDArray[np.float32]:
        raise IndexDownError("No vectors any more.", remedy="Start the server.")


def test_an_index_that_goes_down_in_the_middle_leaves_what_it_found_and_is_named(mesh: Mesh) -> None:
    broken = Mesh(mesh.encoder, ForgetfulVectors(), mesh.words)
    broken.add("a.000001", {"f": "fish", "g": "bird"})
    result = broken.ask("fish")
    assert result.hits[0].why.partition(":")[0] == "words #1, meaning #1"
    assert result.notes == ["Not searched by what the first hits mean: No vectors any more. Start the server."]


class DownVectors(InMemoryVectorIndex):
    def search(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> list[Hit]:
        raise IndexDownError("No vectors.", remedy="Start the server.")


class DownWords(InMemoryFulltextIndex):
    def search(self, query: str, *, limit: int, where: Filter | None = None) -> list[Hit]:
        raise IndexDownError("No words.", remedy="Start the server.")


class DownEncoder(FakeEncoder):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise ModelError("No model.", remedy="Install it.")


def test_what_is_down_costs_its_half_of_the_answer_and_is_named(mesh: Mesh) -> None:
    mesh.add("a.000001", {"f": "fish", "g": "bird"})
    for broken, note, why in (
        (Mesh(mesh.encoder, DownVectors(), mesh.words, mesh.lake), "by meaning: No vectors. Start", "words #1"),
        (Mesh(DownEncoder(), mesh.vectors, mesh.words, mesh.lake), "by meaning: No model. Install", "words #1"),
        (Mesh(mesh.encoder, mesh.vectors, DownWords(), mesh.lake), "by words: No words. Start", "meaning #1"),
    ):
        result = broken.ask("fish")
        assert (result.hits[0].path, result.hits[0].score, result.hits[0].why.partition(":")[0]) == ("f", 1.0, why)
        assert len(result.notes) == 1
        assert note in result.notes[0]
    result = Mesh(DownEncoder(), DownVectors(), DownWords()).ask("fish")
    assert result.hits == []
    assert len(result.notes) == 2


def test_a_model_that_is_not_on_this_machine_leaves_the_answer_by_words(mesh: Mesh) -> None:
    mesh.add("a.000001", {"f": "fish", "g": "bird"})
    missing = connect_encoder(Settings(embedding_model="no-such/model"))
    result = Mesh(missing, mesh.vectors, mesh.words, mesh.lake).ask("fish")
    assert [hit.path for hit in result.hits] == ["f"]
    (note,) = result.notes
    assert "Not searched by meaning" in note
    assert "no-such/model" in note
    assert "MESH_EMBEDDING_MODEL" in note


@pytest.mark.parametrize("engines", ["fakes", "embedded"])
def test_a_changed_model_is_named_until_something_was_embedded_with_it(
    mesh: Mesh, tmp_path: Path, engines: str
) -> None:
    if engines == "embedded":
        mesh = Mesh(mesh.encoder, FaissVectorIndex(tmp_path / "v"), TantivyFulltextIndex(tmp_path / "w"))
    changed = Mesh(FakeEncoder(32), mesh.vectors, mesh.words, mesh.lake)
    assert changed.ask("fish").notes == []
    mesh.add("a.000001", {"f": "fish"})
    mesh.add("b.000001", {"g": "fish soup"})
    result = changed.ask("fish")
    assert [hit.why.partition(":")[0] for hit in result.hits] == ["words #1", "words #2"]
    (note,) = result.notes
    assert note.startswith("Not searched by meaning: nothing was embedded with fake-32 yet, only with fake-256.")
    assert "`chunk_embeddings`" in note
    assert changed.ask("a paraphrase without its words").notes == [note]
    changed.add("a.000001", {"f": "fish"})
    assert changed.ask("fish").notes == []
    assert changed.ask("fish", where=Filter(dataset="b")).notes == [note]
    assert changed.ask("fish", where=Filter(kind="code")).notes == []


def test_the_engines_and_the_fakes_agree_on_what_is_first(mesh: Mesh, tmp_path: Path) -> None:
    engines = Mesh(mesh.encoder, FaissVectorIndex(tmp_path / "v"), TantivyFulltextIndex(tmp_path / "w"))
    texts = {path: text for path, (text, _) in NEEDLES.items()}
    for each in (mesh, engines):
        each.add("a.000001", texts)
    for path, (text, _) in NEEDLES.items():
        assert mesh.ask(text).hits[0].path == engines.ask(text).hits[0].path == path
