"""The stage gives stable ids, true locators and one row of rejects for each extent that it could not use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa
import pytest

from mesh_assets.chunks import stage
from mesh_assets.chunks.protocol import Attached, Chunker, Part, Piece, Source, one_by_one
from mesh_assets.chunks.registry import direct_chunker
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.errors import FormatError, SourceChangedError, SourceError
from mesh_assets.schemas import ATTACHED
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import AttachedRows, Outcome
from mesh_assets_tests.chunks.sources import source


def run(*sources: Source, tokens: int = 64) -> tuple[list[dict[str, object]], Outcome]:
    outcome = Outcome(unit="extents", total=len(sources))
    batches = list(chunk_batches(sources, slice_key="set.000001", chunk_tokens=tokens, outcome=outcome))
    assert all(batch.schema == CHUNKS.schema for batch in batches)
    table = pa.Table.from_batches(batches, schema=CHUNKS.schema)
    return table.to_pylist(), outcome


def ids(text: str, **changes: object) -> list[object]:
    rows, _ = run(replace(source(text), **changes))
    return [row["chunk_id"] for row in rows]


TEXT = "".join(f"Paragraph {n} " + "says a word " * (n * 7 % 11) + "and ends.\n\n" for n in range(200))


FILES = {
    ("text", "plain"): TEXT,
    ("text", "markdown"): "".join(
        f"# Part {n}\n\nWords on part {n}. " + "They go on. " * 12 + "\n\n" for n in range(60)
    ),
    ("code", "python"): "".join(
        f"def f{n}(a):\n" + f"    a += {n}\n" * (n % 9) + "    return a\n\n\n" for n in range(90)
    ),
    ("log", "log"): "".join(f"2026-11-22 10:{n // 60:02}:{n % 60:02} INFO request served\n" for n in range(1500)),
    ("structured", "csv"): "id,name\n" + "".join(f"{n:06},row\n" for n in range(2000)),
    ("structured", "jsonl"): "".join(f'{{"id": {n:06}, "name": "row"}}\n'.replace(" 0", " 1") for n in range(2000)),
}


@pytest.mark.parametrize(("kind", "form"), FILES)
def test_a_line_inserted_near_the_top_changes_few_ids(kind: str, form: str) -> None:
    first, second, rest = FILES[kind, form].partition("\n")
    texts = (first + second + rest, first + second + rest[: rest.find("\n") + 1] + rest)
    before, after = ({row["chunk_id"] for row in run(source(text, kind, form), tokens=128)[0]} for text in texts)
    assert len(before) >= 25
    assert len(after - before) <= len(before) / 3


def test_equal_contents_have_ids_of_their_own_and_a_second_run_the_same() -> None:
    text = "# A\n\nSame words in each of these sections, said again and again and again here.\n\n" * 30
    rows, _ = run(source(text, "text", "markdown"))
    again, _ = run(source(text, "text", "markdown"))
    assert rows == again
    assert len({row["chunk_id"] for row in rows}) == len(rows) > 5
    assert len({row["text"] for row in rows}) < len(rows)


def test_ids_depend_on_dataset_path_and_extent() -> None:
    every = [ids(TEXT), ids(TEXT, dataset="other"), ids(TEXT, path="b"), ids(TEXT, start=5, stop=5 + len(TEXT))]
    assert len({tuple(each) for each in every}) == 4
    assert all(len(str(each)) == 32 for each in every[0])


def test_locators_count_from_the_start_of_the_file() -> None:
    rows, _ = run(source('{"a": 1}\nbad\n', "structured", "jsonl", start=1000))
    assert (rows[0]["byte_start"], rows[0]["byte_stop"], rows[0]["extent_start"]) == (1000, 1009, 1000)
    _, outcome = run(source('{"a": 1}\nbad\n', "structured", "jsonl", start=1000))
    (reject,) = outcome.rejects
    assert (reject.byte_start, reject.byte_stop, reject.detail) == (1009, 1013, "line 2")
    assert (outcome.done, outcome.rejected, outcome.bytes_in) == (1, 0, 13)


def test_what_has_no_chunker_is_a_reject_with_a_remedy() -> None:
    given = [source(b"\x7fELF", "unknown", "elf"), source("x", "text", "latex"), source("x", "unknown", "unknown")]
    rows, outcome = run(*given, source("fine\n"))
    assert [row["text"] for row in rows] == ["fine\n"]
    reasons = [reject.reason for reject in outcome.rejects]
    assert reasons == ["no chunker for elf", "no chunker for latex", "no chunker for unknown"]
    assert all("chunker" in reject.remedy for reject in outcome.rejects)
    assert outcome.done + outcome.rejected == 4


def test_white_space_and_undecodable_bytes_are_content() -> None:
    rows, outcome = run(source(" \n\n"), source(b"caf\xe9 \xff\n", path="b"))
    assert [row["text"] for row in rows] == [" \n\n", "caf\ufffd \ufffd\n"]
    assert outcome.done == 2


def test_an_empty_extent_is_done_without_chunks() -> None:
    rows, outcome = run(source(""))
    assert (rows, outcome.done) == ([], 1)


def failing(size: int) -> Source:
    """An extent of `size` bytes whose file disappears after half of them."""

    class Vanishing(BinaryIO):
        left = size // 2

        def read(self, wanted: int = -1) -> bytes:
            if self.left <= 0:
                raise OSError(5, "Input/output error")
            self.left -= wanted
            return b"A sentence. " * (wanted // 12)

        def __exit__(self, *exc: object) -> None:
            return None

        def __enter__(self) -> BinaryIO:
            return self

    return replace(source("", path="gone"), stop=size, open=Vanishing)


def test_an_extent_that_fails_midway_leaves_no_chunk() -> None:
    rows, outcome = run(failing(10 << 20), source("fine\n"))
    assert [row["path"] for row in rows] == ["a/file"]
    assert [(reject.path, reject.reason) for reject in outcome.rejects] == [("gone", "cannot be read")]


def test_a_large_extent_that_changed_since_intake_is_a_reject_as_any_other() -> None:
    def changed() -> BinaryIO:
        raise SourceChangedError("changed since intake", "big is not what intake read.", remedy="Nothing to do.")

    for kind, form in (*FILES, ("structured", "json")):
        given = replace(source("", kind, form, path="big"), stop=stage.WHOLE_BYTES + 1, open=changed)
        rows, outcome = run(given, source("fine\n"))
        assert [row["path"] for row in rows] == ["a/file"]
        assert [(reject.path, reject.reason) for reject in outcome.rejects] == [("big", "changed since intake")]
        assert (outcome.done, outcome.rejected) == (1, 1)


def test_a_large_extent_that_fails_stops_the_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "WHOLE_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="gone"):
        run(failing(10 << 20))


def test_batches_are_bounded() -> None:
    text = "".join(f"Paragraph {n} is here.\n\n" for n in range(30000))
    batches = list(chunk_batches([source(text)], slice_key="s.000001", chunk_tokens=32, outcome=Outcome()))
    assert len(batches) > 1
    assert max(batch.num_rows for batch in batches) <= stage.BATCH_ROWS


class _OneByOne:
    """A chunker whose pieces come each by itself."""

    def __init__(self, chunker: Chunker) -> None:
        self._chunker = chunker

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        yield from one_by_one(self._chunker.chunk(source, chunk_tokens=chunk_tokens))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "latin-1"])
def test_pieces_in_columns_are_the_rows_that_they_are_one_by_one(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = (
        "head\n"
        + "".join(f"Jan  1 10:00:{n:02} h\u00e9 a: {'x y ' * (n * n % 90)}{n}\n\tmore\n" for n in range(60))
        + "end"
    )
    table = "".join(f'{n},"a {"- " * (n % 40)}\n{n}"\n' for n in range(99)) + "1\n"
    lines = "".join(f'{{"at": "2024-01-01 00:00:{n:02}", "n": {n}}}\n' for n in range(60)) + "no\n"
    given = [
        replace(source(text.encode(encoding) + b"\xff", kind, form, encoding=encoding, path=form), start=7)
        for text, kind, form in ((log, "log", "log"), (table, "structured", "csv"), (lines, "metric", "jsonl"))
    ]
    given = [replace(each, stop=each.stop + 7) for each in given]
    rows, outcome = run(*given, source("Some words.\n" * 99))
    assert len({row["time_stop"] for row in rows}) > 30 and len({row["row_stop"] for row in rows}) > 30

    def single(kind: str, form: str) -> Chunker:
        chunker = direct_chunker(kind, form)
        assert chunker is not None
        return _OneByOne(chunker)

    monkeypatch.setattr(stage, "chunker_for", single)
    again, other = run(*given, source("Some words.\n" * 99))
    assert again == rows
    assert other.rejects == outcome.rejects


class _Album:
    """Two files in one, pictures attached to the pieces of the second."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        del chunk_tokens
        yield replace(source, path=f"{source.path}!/a.txt", kind="text", format="plain")
        yield _piece("one\n")
        yield replace(source, path=f"{source.path}!/b.py", kind="code", format="python")
        for name in ("f", "g"):
            yield _piece("same\n")
            yield Attached("symbols", _symbol(name))


def _piece(text: str) -> Piece:
    return Piece(text, 0, len(text), 1, 1, 2)


def _symbol(name: str) -> dict[str, object]:
    lists: dict[str, object] = {"imports": [], "calls": [], "bases": []}
    where: dict[str, object] = {"byte_start": 0, "byte_stop": 5, "line_start": 1, "line_stop": 1}
    said = {"symbol": name, "type": "function", "signature": f"{name}()", "language": "python"}
    return {"symbol_id": name, **said, **lists, **where}


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_files_in_a_file_have_paths_of_their_own_and_rows_that_belong_to_a_chunk_its_id(
    batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "chunker_for", lambda _kind, _form: _Album())
    monkeypatch.setattr(stage, "BATCH_ROWS", batch_rows)
    outcome, attached = Outcome(unit="extents", total=2), AttachedRows()
    given = [source("x", "unknown", "zip", path=name) for name in ("p.zip", "q.zip")]
    batches = list(chunk_batches(given, slice_key="s.000001", chunk_tokens=64, outcome=outcome, attached=attached))
    rows = pa.Table.from_batches(batches, schema=CHUNKS.schema).to_pylist()
    paths = [f"{outer}.zip!/{inner}" for outer in "pq" for inner in ("a.txt", "b.py", "b.py")]
    assert [row["path"] for row in rows] == paths
    assert [row["kind"] for row in rows] == ["text", "code", "code"] * 2
    assert len({row["chunk_id"] for row in rows}) == 6
    symbols = pa.Table.from_batches(attached.take("symbols"), schema=ATTACHED["symbols"].schema).to_pylist()
    assert [(row["symbol"], row["path"], row["slice"]) for row in symbols] == [
        (name, f"{outer}.zip!/b.py", "s.000001") for outer in "pq" for name in "fg"
    ]
    assert [row["chunk_id"] for row in symbols] == [row["chunk_id"] for row in rows if row["kind"] == "code"]
    assert (outcome.done, outcome.rejected) == (2, 0)


class _Breaking:
    def __init__(self, error: Exception, pieces: int) -> None:
        self._error, self._pieces = error, pieces

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        del source, chunk_tokens
        yield from [_piece("text")] * self._pieces
        raise self._error


def test_a_file_that_breaks_after_its_first_chunk_keeps_what_was_read_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = FormatError("broken", "a.pdf ends in page 3.", remedy="Save it again.")
    for pieces, rejected in ((2, 0), (0, 1)):
        breaking = _Breaking(error, pieces)
        monkeypatch.setattr(stage, "chunker_for", lambda _kind, _form, breaking=breaking: breaking)
        rows, outcome = run(replace(source("x" * 9, "text", "pdf"), encoding=None))
        assert len(rows) == pieces
        assert (outcome.done, outcome.rejected, outcome.passing) == (1 - rejected, rejected, 0)
        assert [(reject.reason, reject.is_part) for reject in outcome.rejects] == [("broken", not rejected)]
