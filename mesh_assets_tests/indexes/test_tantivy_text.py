"""What the embedded full-text index adds: stems, writers that wait, readers beside them, crashes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tantivy

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Document
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets_tests.indexes.test_fulltext_contract import doc, found

# Another process that holds the writer's place until its input ends, or kills itself in the middle of its work.
OTHER = """
import os, signal, sys
from pathlib import Path
from mesh_assets.indexes.protocol import Document
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
def documents():
    for i in range(2000):
        yield Document(chunk_id=f"{i + 1000:032x}", kind="text", path="f", symbol="", text="fish " * 200)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("holding", flush=True)
    sys.stdin.read()
TantivyFulltextIndex(Path(sys.argv[1])).replace_slice("a.000001", documents())
"""


def other(root: Path, what: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", OTHER, str(root), what]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_words_are_found_in_their_other_forms(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path)
    index.replace_slice("a.000001", [doc(1, "The pumps were failing at café Zoë"), doc(2, "unrelated")])
    assert found(index, "pump fails") == [1]
    assert found(index, "cafe zoe") == [1]


def test_all_forms_of_a_word_count_as_one_word(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path)
    filler = [doc(i, f"filler number {i}") for i in range(10, 40)]
    entries = [doc(1, "pumps here"), doc(2, "pump here"), doc(3, "pumping there"), doc(4, "pump there")]
    index.replace_slice("a.000001", [*filler, *entries])
    scores = {int(hit.chunk_id, 16): hit.score for hit in index.search("pumped", limit=9)}
    assert sorted(scores) == [1, 2, 3, 4]
    assert len({round(score, 4) for score in scores.values()}) == 1, "however rare a form is"
    assert index.search("pump pumps", limit=9)[0].score == pytest.approx(scores[1], rel=1e-3)


def test_an_index_of_a_former_format_goes_when_the_new_one_begins(tmp_path: Path) -> None:
    (tmp_path / "words-0").mkdir()
    (tmp_path / "words-0" / "meta.json").write_text("an index of a former format")
    index = TantivyFulltextIndex(tmp_path)
    assert index.held("a.000001") is None
    assert found(index, "fish") == []
    index.replace_slice("a.000001", [doc(1, "fish")])
    assert not (tmp_path / "words-0").exists()
    assert found(index, "fish") == [1]


def test_a_dataset_is_forgotten_in_an_index_of_a_former_format_too(tmp_path: Path) -> None:
    (tmp_path / "words-0").mkdir()
    (tmp_path / "words-0" / "meta.json").write_text("a.000001")
    TantivyFulltextIndex(tmp_path).forget_dataset("a", lambda _: [])
    assert not (tmp_path / "words-0").exists()


def test_a_writer_waits_for_the_other_one_and_then_writes(tmp_path: Path) -> None:
    with other(tmp_path, "hold") as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"holding\n"
        with pytest.raises(IndexDownError, match="pending"):
            TantivyFulltextIndex(tmp_path, lock_wait_seconds=0).replace_slice("a.000002", [doc(1, "bird")])
        assert found(TantivyFulltextIndex(tmp_path), "fish") == []
        threading.Timer(0.2, process.stdin.close).start()
        TantivyFulltextIndex(tmp_path, lock_wait_seconds=30).replace_slice("a.000002", [doc(1, "bird")])
    assert found(TantivyFulltextIndex(tmp_path), "bird") == [1]
    assert len(found(TantivyFulltextIndex(tmp_path), "fish", 5000)) == 2000


def test_a_writer_that_is_killed_leaves_the_former_entries_and_its_place(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path, lock_wait_seconds=0)
    index.replace_slice("a.000001", [doc(1, "fish")])
    with other(tmp_path, "kill") as process:
        assert process.wait() == -signal.SIGKILL
    assert found(index, "fish") == [1]
    index.replace_slice("a.000001", [doc(2, "fish")])
    assert found(index, "fish") == [2]


def test_readers_see_all_of_the_old_or_all_of_the_new_while_a_writer_replaces(tmp_path: Path) -> None:
    writer = TantivyFulltextIndex(tmp_path)
    versions = [[doc(i, "fish") for i in range(first, first + 50)] for first in (0, 100)]
    expected = [{int(d.chunk_id, 16) for d in version} for version in versions]
    writer.replace_slice("a.000001", versions[0])
    stop = threading.Event()
    seen: list[set[int]] = []
    faults: list[Exception] = []

    def read() -> None:
        reader = TantivyFulltextIndex(tmp_path)
        while not stop.is_set():
            try:
                seen.append(set(found(reader, "fish", 200)))
            except Exception as error:  # noqa: BLE001
                faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for turn in range(15):
        writer.replace_slice("a.000001", versions[(turn + 1) % 2])
    stop.set()
    for thread in readers:
        thread.join()
    assert not faults
    assert seen
    assert all(result in expected for result in seen)


def test_an_index_that_several_processes_create_at_once_loses_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from mesh_assets.indexes.protocol import Document\n"
        "from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex\n"
        "n = int(sys.argv[2])\n"
        "TantivyFulltextIndex(Path(sys.argv[1])).replace_slice(f'a.{n:06d}',"
        " [Document(chunk_id=f'{n:032x}', kind='text', path='f', symbol='', text='fish')])\n"
    )
    root = tmp_path / "not" / "yet"
    started = [subprocess.Popen([sys.executable, "-c", code, str(root), str(n)]) for n in range(4)]
    assert [process.wait() for process in started] == [0, 0, 0, 0]
    assert found(TantivyFulltextIndex(root), "fish") == [0, 1, 2, 3]
    assert [path.name for path in root.glob("[!.]*")] == ["words-5"]


def test_many_slices_do_not_pile_up_as_segments(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path)
    for i in range(40):
        index.replace_slice(f"a.{i:06d}", [doc(i, "fish")])
    assert len(found(index, "fish", 99)) == 40
    assert len(list(tmp_path.rglob("*.idx"))) < 16


def test_a_damaged_index_is_down_with_a_remedy(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path)
    index.replace_slice("a.000001", [doc(1, "fish")])
    (meta,) = tmp_path.rglob("meta.json")
    meta.write_text("{")
    with pytest.raises(IndexDownError, match="delete the folder"):
        found(index, "fish")

    def documents() -> Iterator[Document]:
        yield doc(1, "fish")

    with pytest.raises(IndexDownError, match="delete the folder"):
        index.replace_slice("a.000001", documents())


def test_a_folder_that_cannot_be_made_means_that_the_index_is_down(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where the folder should be")
    with pytest.raises(IndexDownError):
        TantivyFulltextIndex(tmp_path / "root").replace_slice("a.000001", [doc(1, "fish")])


def test_an_index_that_was_deleted_or_is_damaged_holds_nothing(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path)
    index.replace_slice("a.000001", [doc(i, "fish") for i in range(3)])
    (folder,) = tmp_path.glob("words-*")
    for file in folder.iterdir():
        if file.suffix == ".lock":
            continue
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        assert index.held("a.000001") in (None, 3)
        file.write_bytes(content)
    assert index.held("a.000001") == 3
    (folder / "meta.json").write_text("{")
    assert index.held("a.000001") is None
    shutil.rmtree(folder)
    assert index.held("a.000001") is None
    index.replace_slice("a.000001", [doc(1, "fish")])
    assert index.held("a.000001") == 1


def _stored(root: Path) -> list[str]:
    """The slice of every entry that any segment holds, deleted ones too, read as the engine stores them."""
    (folder,) = root.glob("words-*")
    searcher = tantivy.Index.open(str(folder)).searcher()
    sizes = [segment["max_doc"] for segment in json.loads((folder / "meta.json").read_text())["segments"]]
    places = [tantivy.DocAddress(number, row) for number, size in enumerate(sizes) for row in range(size)]
    return [searcher.doc(place)["slice"][0] for place in places]


def test_nothing_of_a_forgotten_dataset_is_left_in_a_segment_not_even_what_was_replaced(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path)
    others = {f"a-b.{n:06d}": [doc(100 * n + i, f"bird {n}") for i in range(5)] for n in range(9)}
    index.replace_slice("a.000001", [doc(9000 + i, "fish") for i in range(40)])
    for key, documents in others.items():  # small segments are merged, so entries of several slices lie in one
        index.replace_slice(key, documents)
    index.replace_slice("a.000001", [doc(9000 + i, "old fish") for i in range(40)])
    assert _stored(tmp_path).count("a.000001") == 80, "the replaced ones are still there"
    (tmp_path / "words-0").mkdir()
    (tmp_path / "words-0" / "meta.json").write_text("an index of a former format")
    rewritten: list[str] = []

    def documents_of(key: str) -> list[Document]:
        rewritten.append(key)
        return others[key]

    index.forget_dataset("a", documents_of)
    assert {key.split(".")[0] for key in _stored(tmp_path)} == {"a-b"}
    assert [index.held(key) for key in others] == [5] * 9
    assert not (tmp_path / "words-0").exists()
    assert rewritten
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"a.000001" in path.read_bytes()]
    rewritten.clear()
    index.replace_slice("a.000001", [doc(1, "fish")])
    index.forget_dataset("a", documents_of)
    assert rewritten == [], "a segment of its own goes without anything being written again"


def test_a_source_that_fails_while_a_dataset_is_forgotten_costs_the_others_nothing(tmp_path: Path) -> None:
    index = TantivyFulltextIndex(tmp_path)
    for version in range(2):
        for n in range(9):
            index.replace_slice(f"a.{n:06d}", [doc(n, f"fish {version}")])
            index.replace_slice(f"b.{n:06d}", [doc(100 + n, f"fish {version}")])

    def failing(_: str) -> Iterator[Document]:
        yield doc(1, "fish")
        raise RuntimeError("the lake went away")

    with pytest.raises(RuntimeError):
        index.forget_dataset("a", failing)
    assert set(found(index, "fish", 99)) == set(range(100, 109))
    index.forget_dataset("a", lambda key: [doc(100 + int(key[-6:]), "fish 1")])
    assert {key.split(".")[0] for key in _stored(tmp_path)} == {"b"}
    assert set(found(index, "fish", 99)) == set(range(100, 109))
