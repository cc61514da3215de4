"""What the embedded vector index adds: near-exact recall, readers beside a writer, crashes, damaged files."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes import faiss_codes
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets_tests.indexes.test_vector_contract import MODEL, Batch, batch, found, ids, unit, vectors


def only_file(root: Path) -> Path:
    (file,) = (path for path in root.rglob("*") if path.is_file())
    return file


def test_recall_against_exact_search_is_at_least_95_percent(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    centres = random.normal(size=(200, 384))
    values = unit(centres[random.integers(200, size=20_000)] + 0.7 * random.normal(size=(20_000, 384)))
    index = FaissVectorIndex(tmp_path)
    for part in range(4):
        rows = slice(part * 5000, (part + 1) * 5000)
        index.replace_slice(f"a.{part:06d}", MODEL, [batch(values[rows], part * 5000)])
    queries = unit(values[:30] + 0.02 * random.normal(size=(30, 384)))
    recalled = 0
    for query in queries:
        exact = np.argsort(-(values @ query), kind="stable")[:10]
        recalled += len({ids(1, int(row))[0] for row in exact} & set(found(index, query)))
    assert recalled / 300 >= 0.95


def test_a_rebuild_is_the_same_bytes(tmp_path: Path) -> None:
    parts = [batch(vectors(10)), batch(vectors(5, 1), 10, "code")]
    FaissVectorIndex(tmp_path / "x").replace_slice("a.000001", MODEL, parts)
    whole = (parts[0][0] + list(parts[1][0]), [*parts[0][1], *parts[1][1]], np.concatenate([parts[0][2], parts[1][2]]))
    FaissVectorIndex(tmp_path / "y", run_id="other").replace_slice("a.000001", MODEL, [whole])
    assert only_file(tmp_path / "x").read_bytes() == only_file(tmp_path / "y").read_bytes()


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_truncated_file_is_named_with_what_to_do(tmp_path: Path, length: int) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(9))])
    file = only_file(tmp_path)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(IndexDownError, match=r"a\.000001\.vectors.*materialize") as caught:
        found(index, vectors(1)[0])
    assert "rebuilt" in caught.value.remedy
    assert index.held("a.000001", MODEL) is None
    index.replace_slice("a.000001", MODEL, [batch(vectors(9))])
    assert index.held("a.000001", MODEL) == 9
    assert len(found(index, vectors(1)[0])) == 9


@pytest.mark.parametrize("content", [b"x" * 4096, b"MESHVEC2" + b"\0" * 200 + b"\xff\xff\xff\x7fMESHVEC2"])
def test_a_foreign_file_is_named(tmp_path: Path, content: bytes) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(9))])
    only_file(tmp_path).write_bytes(content)
    with pytest.raises(IndexDownError, match=r"a\.000001\.vectors"):
        found(index, vectors(1)[0])
    assert index.held("a.000001", MODEL) is None


def test_a_slice_whose_file_or_folder_was_deleted_is_no_longer_held(tmp_path: Path) -> None:
    index = FaissVectorIndex(tmp_path / "root")
    for key in ("a.000001", "a.000002"):
        index.replace_slice(key, MODEL, [batch(vectors(9))])
    next(tmp_path.rglob("a.000001.vectors")).unlink()
    assert (index.held("a.000001", MODEL), index.held("a.000002", MODEL)) == (None, 9)
    shutil.rmtree(tmp_path / "root")
    assert index.held("a.000002", MODEL) is None


def test_a_file_that_cannot_be_opened_means_that_the_index_is_down(tmp_path: Path) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(9))])
    file = only_file(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(IndexDownError, match="cannot be read"):
        index.held("a.000001", MODEL)


def test_a_damaged_file_does_not_hide_which_models_are_held(tmp_path: Path) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(9))])
    only_file(tmp_path).write_bytes(b"")
    assert index.models() == frozenset()
    index.replace_slice("a.000002", MODEL, [batch(vectors(9))])
    (tmp_path / "notes.txt").write_text("a stray file")
    assert index.models() == {MODEL}


def test_a_query_of_another_length_is_refused(tmp_path: Path) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(9))])
    with pytest.raises(IndexDownError, match="64 dimensions"):
        found(index, vectors(1, dimension=8)[0])


def test_a_slice_that_goes_away_between_listing_and_opening_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(3))])
    index.replace_slice("a.000002", MODEL, [batch(vectors(3), 3)])
    listed = sorted(tmp_path.rglob("*.vectors"))
    listed[0].unlink()
    monkeypatch.setattr(faiss_codes, "_vector_files", lambda *_: listed)
    assert set(found(index, vectors(1)[0])) == set(ids(3, 3))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see what is mapped")
def test_a_reader_that_goes_on_keeps_nothing_of_what_was_forgotten_or_replaced(tmp_path: Path) -> None:
    reader, writer = FaissVectorIndex(tmp_path), FaissVectorIndex(tmp_path)
    for key in ("a.000001", "b.000001", "c.000001"):
        writer.replace_slice(key, MODEL, [batch(vectors(9))])
    assert found(reader, vectors(1)[0])
    writer.forget_dataset("a")
    writer.replace_slice("b.000001", MODEL, [batch(vectors(5, 1), 10)])
    found(reader, vectors(1)[0])
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]
    assert mapped and not [line for line in mapped if line.endswith("(deleted)")]


def test_readers_see_all_of_the_old_or_all_of_the_new_while_a_writer_replaces(tmp_path: Path) -> None:
    values = vectors(500)
    versions = [batch(values), batch(values, 1000)]
    FaissVectorIndex(tmp_path).replace_slice("a.000001", MODEL, [versions[0]])
    expected = [set(ids(500)), set(ids(500, 1000))]
    stop = threading.Event()
    seen: list[set[str]] = []
    faults: list[Exception] = []

    def read() -> None:
        reader = FaissVectorIndex(tmp_path)
        while not stop.is_set():
            try:
                seen.append(set(found(reader, values[0], 500)))
            except Exception as error:  # noqa: BLE001
                faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for turn in range(20):
        FaissVectorIndex(tmp_path).replace_slice("a.000001", MODEL, [versions[(turn + 1) % 2]])
    stop.set()
    for thread in readers:
        thread.join()
    assert not faults
    assert seen
    assert all(result in expected for result in seen)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
def batches():
    for part in range(100):
        if part == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield [f"{part:032x}"], ["text"], np.ones((1, 64), np.float16)
FaissVectorIndex(Path(sys.argv[1]), run_id="killed").replace_slice("a.000001", sys.argv[2], batches())
"""


def test_a_writer_that_is_killed_leaves_the_former_entries_and_its_leftover_goes(tmp_path: Path) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(5), 50)])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), MODEL], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert set(found(index, vectors(1)[0])) == set(ids(5, 50))
    (leftover,) = tmp_path.rglob(".*.tmp")
    assert "killed" in leftover.name
    index.replace_slice("a.000001", MODEL, [batch(vectors(5), 60)])
    assert only_file(tmp_path).suffix == ".vectors"
    assert set(found(index, vectors(1)[0])) == set(ids(5, 60))


def test_a_source_that_fails_leaves_no_temporary_file(tmp_path: Path) -> None:
    def failing() -> Iterator[Batch]:
        yield batch(vectors(3))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        FaissVectorIndex(tmp_path).replace_slice("a.000001", MODEL, failing())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_written_means_that_the_index_is_down(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where the folder should be")
    with pytest.raises(IndexDownError, match="pending"):
        FaissVectorIndex(tmp_path / "root").replace_slice("a.000001", MODEL, [batch(vectors(3))])


FEW_FILES = """
import resource, sys
from pathlib import Path
import numpy as np
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
index = FaissVectorIndex(Path(sys.argv[1]))
for row in (0, 150, 299):
    print(index.search(sys.argv[2], np.load(sys.argv[3])[row], limit=1)[0].chunk_id)
"""


def test_more_slices_than_the_process_may_open_files_are_all_searched(tmp_path: Path) -> None:
    index = FaissVectorIndex(tmp_path / "index")
    values = vectors(300, dimension=8)
    for i in range(300):
        index.replace_slice(f"a.{i:06d}", MODEL, [batch(values[i : i + 1], i)])
    np.save(tmp_path / "values.npy", values)
    command = [sys.executable, "-c", FEW_FILES, str(tmp_path / "index"), MODEL, str(tmp_path / "values.npy")]
    answered = subprocess.run(command, check=False, capture_output=True, text=True)
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.split() == [ids(1, row)[0] for row in (0, 150, 299)]


@pytest.mark.parametrize("kinds", [["text"], ["text", "code"]])
def test_however_entries_are_divided_into_slices_the_same_are_found(tmp_path: Path, kinds: list[str]) -> None:
    values = vectors(3000)
    kind = (kinds * 3000)[:3000]
    for size in (3000, 100):
        index = FaissVectorIndex(tmp_path / str(size))
        for i in range(0, 3000, size):
            part = slice(i, i + size)
            entries = (ids(size, i), kind[part], values[part].astype(np.float16))
            index.replace_slice(f"a.{i:06d}", MODEL, [entries])
    for query in vectors(5, seed=1):
        whole, divided = (found(FaissVectorIndex(tmp_path / size), query, kind="text") for size in ("3000", "100"))
        assert whole == divided


@pytest.mark.parametrize("of_kind", [False, True])
@pytest.mark.parametrize("pieces", ["whole", "small"])
def test_where_the_nearest_lie_together_they_are_found_in_any_pieces_and_by_more_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: str, of_kind: bool
) -> None:
    monkeypatch.setattr(faiss_codes, "_CANDIDATES", 40)
    monkeypatch.setattr(faiss_codes, "_LEAST", 1)
    # The nearest ones lie together at the end: more than the share of one piece.
    near = unit(vectors(1, seed=1) + 0.05 * vectors(300, seed=2))
    values = np.concatenate([vectors(4000), near]).astype(np.float16)
    for part, start in enumerate(range(0, 4300, 430)):
        rows = slice(start, start + 430)
        FaissVectorIndex(tmp_path).replace_slice(f"a.{part:06d}", MODEL, [batch(values[rows], start)])
    query = vectors(1, seed=1)[0]

    def ask(index: FaissVectorIndex) -> list[str]:
        return found(index, query, kind="text") if of_kind else found(index, query)

    usual = ask(FaissVectorIndex(tmp_path))
    assert len(usual) == 10
    assert set(usual) <= set(ids(300, 4000))
    if pieces == "small":
        monkeypatch.setattr(faiss_codes, "PIECE", 96)
    monkeypatch.setattr(faiss_codes, "_ROWS_A_THREAD", 1)
    assert ask(FaissVectorIndex(tmp_path, threads=3)) == usual


@pytest.mark.parametrize("different", [1, 60])
def test_equal_entries_of_several_kinds_come_by_their_ids_however_they_are_divided(
    tmp_path: Path, different: int
) -> None:
    some = vectors(different, dimension=64).astype(np.float16)
    kinds = ["text", "code", "log"] * 1000
    answers: set[tuple[str, ...]] = set()
    for parts in (1, 2, 10):
        index = FaissVectorIndex(tmp_path / str(parts))
        for number, rows in enumerate(np.array_split(np.arange(3000), parts)):
            entries = (ids(len(rows), int(rows[0])), [kinds[row] for row in rows], some[rows % different])
            index.replace_slice(f"a.{number:06d}", MODEL, [entries])
        answers.add(tuple(found(index, some[0].astype(np.float32))))
    assert answers == {tuple(ids(1, row * different)[0] for row in range(10))}


@pytest.mark.parametrize("said", [0.0, np.nan])
def test_a_query_that_says_nothing_finds_as_many_and_costs_no_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: float
) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(3000))])
    monkeypatch.setattr(faiss_codes, "SignScan", None)
    assert len(found(index, np.full(64, said, np.float32))) == 10
    assert index.search(MODEL, np.zeros(64, np.float32), limit=0) == []


def test_a_file_of_a_former_layout_is_no_damage(tmp_path: Path) -> None:
    index = FaissVectorIndex(tmp_path)
    index.replace_slice("a.000001", MODEL, [batch(vectors(9))])
    file = only_file(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"MESHVEC2", b"MESHVEC1"))
    with pytest.raises(IndexDownError, match="another version") as caught:
        found(index, vectors(1)[0])
    assert "mesh backfill a --stale" in caught.value.remedy
    assert index.held("a.000001", MODEL) is None


def test_vectors_of_two_lengths_in_one_slice_are_refused(tmp_path: Path) -> None:
    index = FaissVectorIndex(tmp_path)
    parts = [batch(vectors(3)), batch(vectors(3, dimension=8), 3)]
    with pytest.raises(ValueError, match="64 and of 8 dimensions"):
        index.replace_slice("a.000001", MODEL, parts)
    assert index.held("a.000001", MODEL) is None


def test_of_one_kind_among_others_the_same_are_found_as_where_it_is_alone(tmp_path: Path) -> None:
    values = vectors(6000, dimension=48)
    kinds = [("text", "code", "log")[(row * row) % 7 % 3] for row in range(6000)]
    mixed, alone = FaissVectorIndex(tmp_path / "mixed"), FaissVectorIndex(tmp_path / "alone")
    for part in range(2):
        rows = range(part * 3000, (part + 1) * 3000)
        everything = (ids(3000, rows[0]), [kinds[row] for row in rows], values[rows].astype(np.float16))
        mixed.replace_slice(f"a.{part:06d}", MODEL, [everything])
        of_kind = [row for row in rows if kinds[row] == "code"]
        chosen = ([ids(1, row)[0] for row in of_kind], ["code"] * len(of_kind), values[of_kind].astype(np.float16))
        alone.replace_slice(f"a.{part:06d}", MODEL, [chosen])
    for query in vectors(5, seed=1, dimension=48):
        assert found(mixed, query, kind="code") == found(alone, query)


def test_among_entries_that_lie_close_together_the_nearest_are_found(tmp_path: Path) -> None:
    """300 copies around each of 100 centres: Hamming distances alone do not tell the copies of a centre apart."""
    random = np.random.default_rng(11)
    centres = unit(random.normal(size=(100, 384)))
    noise = unit(random.normal(size=(30_000, 384)))
    values = unit(centres[random.integers(100, size=30_000)] + 0.75 * noise)
    for part in range(3):
        rows = slice(part * 10_000, (part + 1) * 10_000)
        FaissVectorIndex(tmp_path).replace_slice(f"a.{part:06d}", MODEL, [batch(values[rows], part * 10_000)])
    queries = unit(centres[:30] + 1.2 * unit(random.normal(size=(30, 384))))
    recalled = 0
    for query in queries:
        exact = np.argsort(-(values @ query), kind="stable")[:10]
        recalled += len({ids(1, int(row))[0] for row in exact} & set(found(FaissVectorIndex(tmp_path), query)))
    assert recalled / 300 >= 0.98
