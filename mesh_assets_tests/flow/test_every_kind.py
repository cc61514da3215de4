"""A drop of every kind of file, from the folder to a search hit whose citation opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_assets.indexes.protocol import Filter
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.schemas.citations import Citation
from mesh_assets.search.hybrid import search
from mesh_assets.search.protocol import SearchHit
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.opening import open_citation
from mesh_assets_tests.chunks.samples import SAMPLES, sample
from mesh_assets_tests.flow.location import Location

# What is asked of each kind, and the file that answers.
ASKED = {
    "text": (
        "whales sing",
        {"read.md", "page.html", "paper.pdf", "letter.docx", "deck.pptx", "book.epub", "memo.rtf", "study.ipynb"},
    ),
    "code": ("function f return", {"mod.py", "mod.js", "mod.cpp"}),
    "image": ("picture 48 32", {"photo.png", "photo.jpg", "photo.gif", "photo.tif", "photo.webp"}),
    "audio": ("sound second", {"tone.wav"}),
    "video": ("video scene", {"clip.mp4"}),
    "structured": ("blue", {"rows.csv", "sheet.xlsx", "whales.sqlite", "whales.xml"}),
    "log": ("ERROR down", {"app.log"}),
    "metric": ("value", {"cpu.csv"}),
}


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    made = Location(tmp_path_factory.mktemp("kinds"))
    folder = made.settings.drops / "all"
    folder.mkdir()
    for name in SAMPLES:
        (folder / name).write_bytes(sample(name))
    series = "".join(f"2026-11-22 10:{n:02}:00,{n}.5\n" for n in range(50))
    (folder / "cpu.csv").write_text(f"timestamp,value\n{series}")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\n" + b"\xff" * 500)
    made.settle()
    yield made
    made.instance.dispose()


def found(location: Location, query: str, kind: str) -> list[SearchHit]:
    return search(
        query,
        encoder=connect_encoder(location.settings),
        vectors=connect_vector_index(location.settings),
        words=connect_fulltext_index(location.settings),
        chunks=LakeChunks(location.lake),
        where=Filter(kind=kind),
        limit=50,
    ).hits


@pytest.mark.parametrize("kind", ASKED)
def test_every_kind_is_found_and_its_citation_opens(location: Location, kind: str) -> None:
    query, answers = ASKED[kind]
    hits = found(location, query, kind)
    # The same words in several formats are one hit, which names the others.
    assert answers <= {Path(path).name for hit in hits for path in (hit.path, *(other.path for other in hit.others))}
    for hit in hits:
        opened = open_citation(Citation.parse(str(hit.citation)), location.lake, DropArea(location.settings.drops, 0))
        assert not opened.changed
        assert opened.content


def test_every_chunk_opens_exactly_as_its_text(location: Location) -> None:
    area = DropArea(location.settings.drops, 0)
    (key,) = location.lake.read("drop_manifests", "all").footer.extra["slices"]
    rows = location.lake.read("chunk_sets", key).rows()
    assert {row["path"].partition("!/")[0] for row in rows} >= set(SAMPLES)
    for row in rows:
        cited = Citation("all", row["path"], row["byte_start"], row["byte_stop"], row["source_hash"])
        opened = open_citation(cited, location.lake, area)
        assert opened.content.decode(opened.encoding or "utf-8") == row["text"], row["path"]
        assert (opened.place, opened.changed) == (row["place"], False)


def test_what_is_broken_is_a_reject_with_a_remedy(location: Location) -> None:
    (key,) = location.lake.read("drop_manifests", "all").footer.extra["slices"]
    rejects = [row for batch in location.lake.rejects("chunk_sets", key) for row in batch.to_pylist()]
    assert "broken.pdf" in {row["path"] for row in rejects}
    assert all(row["reason"] and row["remedy"] for row in rejects)
