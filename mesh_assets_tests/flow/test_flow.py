"""From drop to search hit, with the real sensors, jobs, model and engines, on real files."""

from __future__ import annotations

import os
import shutil
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest

from mesh_assets.errors import CitationError
from mesh_assets.indexes.protocol import Filter
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.schemas.citations import Citation
from mesh_assets.search.hybrid import search
from mesh_assets.search.protocol import SearchHit
from mesh_assets.slices import LOOSE_FILES
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.opening import open_citation
from mesh_assets.storage.status import dataset_status
from mesh_assets_tests.flow.location import Location

SENTENCE = "The ferry to the island was cancelled because thick fog lay over the harbour."
INSIDE_ZIP = "My parrot has learned to imitate the doorbell of the neighbours."
PARAPHRASE = "boat service suspended owing to poor visibility"
STDLIB = Path(sysconfig.get_paths()["stdlib"])


@dataclass
class Dropped:
    location: Location
    runs: list[str]

    def find(self, query: str, **where: str) -> list[SearchHit]:
        settings = self.location.settings
        return search(
            query,
            encoder=connect_encoder(settings),
            vectors=connect_vector_index(settings),
            words=connect_fulltext_index(settings),
            chunks=LakeChunks(self.location.lake),
            where=Filter(**where),
        ).hits


def _fill(drops: Path) -> None:
    code = drops / "code"
    for name in ("json", "concurrent"):
        shutil.copytree(STDLIB / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    notes = drops / "Field notes, 2026"
    notes.mkdir()
    (notes / "travel.md").write_text(f"# Travel\n\n## Monday\n\n{SENTENCE}\n\n## Tuesday\n\nWe walked to the museum.\n")
    (notes / "recipes.md").write_text("# Bread\n\nKnead the dough for ten minutes and let it rest overnight.\n" * 4)
    (notes / "prices.csv").write_text("item,price\n" + "".join(f"item {n},{n}.50\n" for n in range(400)))
    (notes / "empty.txt").touch()
    with zipfile.ZipFile(notes / "old.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "letters/uncle.md", f"# Letters\n\n{'Nothing new. ' * 400}\n\n## From an uncle\n\n{INSIDE_ZIP}\n"
        )
        archive.writestr("letters/latin.txt", "Une lettre très brève.\n".encode("cp1252"))
    (notes / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(2000))
    (notes / "link.md").symlink_to("/etc/passwd")
    (notes / "latin.txt").write_bytes("Café crème et déjà vu.\n".encode("cp1252"))
    os.close(os.open(os.fsencode(notes) + b"/caf\xe9.txt", os.O_CREAT | os.O_WRONLY))
    (drops / "loose.txt").write_text("I lie outside any dataset.\n")


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dropped]:
    location = Location(tmp_path_factory.mktemp("flow"))
    _fill(location.settings.drops)
    yield Dropped(location, location.settle())
    location.instance.dispose()


def _notes(dropped: Dropped) -> str:
    (key,) = [k for k in dropped.location.lake.datasets("drop_manifests") if k.startswith("Field-notes")]
    return key


def test_every_file_is_in_a_chunk_or_in_rejects(dropped: Dropped) -> None:
    lake, drops = dropped.location.lake, dropped.location.settings.drops
    for dataset, folder in DropArea(drops, 0).folders().items():
        seen: set[str] = set()
        for slice_key in lake.read("drop_manifests", dataset).footer.extra["slices"]:
            seen |= set(lake.read("chunk_sets", slice_key).table(["path"])["path"].to_pylist())
            for asset in ("raw_partitions", "chunk_sets"):
                seen |= {row["path"] for batch in lake.rejects(asset, slice_key) for row in batch.to_pylist()}
        seen |= {row["path"] for batch in lake.rejects("drop_manifests", dataset) for row in batch.to_pylist()}
        on_disk = {
            os.fsencode(path.relative_to(drops / folder)).decode("utf-8", "backslashreplace")
            for path in (drops / folder).rglob("*")
            if not path.is_dir()
        }
        assert {path.partition("!/")[0] for path in seen} == on_disk
    loose = [row for batch in lake.rejects("drop_manifests", LOOSE_FILES) for row in batch.to_pylist()]
    assert [(row["path"], row["reason"]) for row in loose] == [("loose.txt", "outside any dataset")]
    assert all(row["remedy"] for row in loose)


def test_every_dataset_is_done_and_reported(dropped: Dropped) -> None:
    location = dropped.location
    for dataset in ("code", _notes(dropped)):
        status = dataset_status(location.lake, dataset)
        assert status.done
        assert status.chunks
        html = location.settings.state / "reports" / dataset / "index.html"
        assert html.read_text().startswith("<!DOCTYPE html>")
    report = (location.settings.state / "reports" / _notes(dropped) / "index.md").read_text()
    for reason in ("empty", "symbolic link", "broken png", "name is not UTF-8"):
        assert reason in report


@pytest.mark.parametrize("query", ["ferry cancelled fog harbour", SENTENCE, PARAPHRASE])
def test_a_sentence_is_found_by_its_words_and_by_its_meaning_and_opens(dropped: Dropped, query: str) -> None:
    hit = dropped.find(query)[0]
    assert (hit.dataset, hit.path) == (_notes(dropped), "travel.md")
    area = DropArea(dropped.location.settings.drops, 0)
    opened = open_citation(Citation.parse(str(hit.citation)), dropped.location.lake, area)
    assert SENTENCE.encode() in opened.content
    assert not opened.changed


def test_a_file_in_an_archive_is_found_and_opens_exactly_its_bytes(dropped: Dropped) -> None:
    lake, area = dropped.location.lake, DropArea(dropped.location.settings.drops, 0)
    hit = dropped.find("parrot imitates doorbell")[0]
    assert (hit.path, hit.kind, hit.symbol) == ("old.zip!/letters/uncle.md", "text", "Letters > From an uncle")
    opened = open_citation(Citation.parse(str(hit.citation)), lake, area)
    assert opened.content.decode() == f"## From an uncle\n\n{INSIDE_ZIP}\n"
    assert (opened.line_start, opened.changed) == (5, False)
    (latin,) = [hit for hit in dropped.find("lettre") if hit.path == "old.zip!/letters/latin.txt"]
    cited = replace(latin.citation, byte_start=11, byte_stop=16)
    assert open_citation(cited, lake, area).content == "très".encode("cp1252") + b" "
    with pytest.raises(CitationError, match="nothing at that place"):
        open_citation(replace(cited, path="old.zip!/letters/gone.txt"), lake, area)


def test_filters_limit_the_search(dropped: Dropped) -> None:
    assert {hit.dataset for hit in dropped.find(SENTENCE, dataset="code")} == {"code"}
    assert {hit.kind for hit in dropped.find("decode a document", kind="code")} == {"code"}


def test_every_chunk_of_text_opens_exactly_its_bytes(dropped: Dropped) -> None:
    lake, area = dropped.location.lake, DropArea(dropped.location.settings.drops, 0)
    for dataset in ("code", _notes(dropped)):
        for slice_key in lake.read("drop_manifests", dataset).footer.extra["slices"]:
            encodings = {r["path"]: r["encoding"] for r in lake.read("raw_partitions", slice_key).rows()}
            covered: dict[str, int] = {}
            for row in lake.read("chunk_sets", slice_key).rows():
                if "!/" in row["path"]:
                    continue
                content = (area.folder_of(dataset) / row["path"]).read_bytes()
                assert content[row["byte_start"] : row["byte_stop"]].decode(encodings[row["path"]]) == row["text"]
                assert covered.get(row["path"], 0) == row["byte_start"], "a gap or an overlap"
                covered[row["path"]] = row["byte_stop"]
            for path, stop in covered.items():
                assert stop == (area.folder_of(dataset) / path).stat().st_size


def test_a_second_tick_requests_nothing_and_a_second_run_does_nothing(dropped: Dropped) -> None:
    location = dropped.location
    assert location.settle() == []
    before = {asset: location.files_of(asset) for asset in ("chunk_sets", "chunk_embeddings", "slice_insights")}
    location.cursors.clear()
    location.run_keys.clear()
    assert any(key.startswith("code.000000@") for key in location.settle())
    assert before == {asset: location.files_of(asset) for asset in before}


def test_an_edited_file_changes_its_slice_and_nothing_else(dropped: Dropped) -> None:
    location = dropped.location
    notes = _notes(dropped)
    before = location.files_of("chunk_sets")
    old = dropped.find(SENTENCE)[0]
    travel = area_path = DropArea(location.settings.drops, 0).folder_of(notes) / "travel.md"
    text = travel.read_text()
    travel.write_text(text.replace("ferry", "steamboat"))
    opened = open_citation(old.citation, location.lake, DropArea(location.settings.drops, 0))
    assert opened.changed
    runs = location.settle()
    assert {key.split("@")[0] for key in runs} == {notes, f"{notes}.000000"}
    changed = {name for name, seen in location.files_of("chunk_sets").items() if before[name] != seen}
    assert changed == {f"chunk_sets/{notes}/{notes}.000000.parquet"}
    assert "steamboat" in dropped.find("steamboat to the island")[0].snippet
    assert not [hit for hit in dropped.find("ferry") if "ferry" in hit.snippet]
    area_path.write_text(text)  # taken back: the same content, asked for again all the same
    assert any(key.startswith(f"{notes}.000000@") for key in location.settle())
    assert dropped.find(SENTENCE)[0].chunk_id == old.chunk_id


def test_a_deleted_index_is_built_again_when_its_slice_is_materialized(dropped: Dropped) -> None:
    location = dropped.location
    shutil.rmtree(location.settings.state / "indexes")
    assert dropped.find(SENTENCE) == []
    for key in (f"{_notes(dropped)}.000000", "code.000000"):
        location.run("index_job", dg.RunRequest(partition_key=key))
    assert dropped.find(PARAPHRASE)[0].path == "travel.md"


def test_a_file_that_was_only_touched_costs_one_reading(dropped: Dropped) -> None:
    location = dropped.location
    before = location.files_of("chunk_sets")
    os.utime(location.settings.drops / "code" / "json" / "decoder.py")
    assert any(key.startswith("code.000000@") for key in location.settle())
    assert location.files_of("chunk_sets") == before


def test_a_deleted_file_is_gone_from_lake_and_indexes(dropped: Dropped) -> None:
    location = dropped.location
    path = location.settings.drops / "code" / "concurrent" / "futures" / "thread.py"
    query = "ThreadPoolExecutor max_workers thread_name_prefix initializer"
    assert any(hit.path == "concurrent/futures/thread.py" for hit in dropped.find(query))
    path.unlink()
    location.settle()
    assert not [hit for hit in dropped.find(query) if hit.path == "concurrent/futures/thread.py"]
    assert location.settle() == []
