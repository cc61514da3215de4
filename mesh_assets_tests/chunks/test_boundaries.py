"""Files larger than a slice are cut between records, and the chunks of the parts are those of records, none cut."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from blake3 import blake3

from mesh_assets.chunks.boundaries import FileSplitter
from mesh_assets.chunks.protocol import Piece, Source, one_by_one
from mesh_assets.chunks.registry import chunker_for
from mesh_assets.chunks.sources import verified_sources
from mesh_assets.errors import SourceChangedError
from mesh_assets.intake.extents import ADDED, Extent
from mesh_assets.intake.sources import Identity
from mesh_assets.intake.stage import SourceReader
from mesh_assets.schemas.outcome import Outcome

MIB = 1 << 20
TRACE = (
    "Traceback (most recent call last):\n"
    '  File "shop.py", line 17, in pay\n    raise Timeout(2026)\n'
    "Timeout: 2026-01-01\n"
)


def _log(number: int) -> str:
    moment = f"2026-03-{number // 7000 % 28 + 1:02d} {number // 300 % 24:02d}:{number // 5 % 60:02d}:{number % 60:02d}"
    return f"{moment} INFO worker-{number % 7} request {number} took {number % 97} ms\n" + TRACE * (number % 11 == 0)


def _syslog(number: int) -> str:
    moment = f"Mar {number // 7000 % 28 + 1:2d} {number // 300 % 24:02d}:00:{number % 60:02d}"
    return f"{moment} host sshd[{number}]: try {number}\n"


def _csv(number: int) -> str:
    if number == 0:
        return "id,name,comment\n"
    comment = f'"line one, of {number}\n7,8,9\nsaid ""so"", and\n\nmore"' if number % 3 == 0 else f"plain {number}"
    return f"{number},name {number},{comment}\n"


def _jsonl(number: int) -> str:
    return json.dumps({"id": number, "text": f"row {number} {{\n}}", "more": ["x"] * (number % 5)}) + "\n"


def _influx(number: int) -> str:
    return f'cpu,host=h{number % 7} load={number}i,said="{number},\n\nmore\n a=1" {1_700_000_000 + number}000000000\n'


def _prometheus(number: int) -> str:
    head = f"# HELP metric_{number} Of {number}.\n# TYPE metric_{number} gauge\n"
    return head + "".join(
        f'metric_{number}{{n="{n}"}} {n} {1_700_000_000_000 + number}\n' for n in range(number % 9 + 1)
    )


@dataclass
class File:
    """A file of generated records, with the offsets between them."""

    path: Path
    between: set[int]
    records: list[str]

    @property
    def identity(self) -> Identity:
        return Identity.of(self.path.stat())


def _write(folder: Path, name: str, record: Callable[[int], str], size: int) -> File:
    records: list[str] = []
    written = 0
    while written < size:
        records.append(record(len(records)))
        written += len(records[-1].encode())
    path = folder / name
    path.write_text("".join(records))
    os.utime(path, (1_780_000_000, 1_780_000_000))  # May 2026: what gives its year to a log that writes none
    return File(path, {0, *accumulate(len(part.encode()) for part in records)}, records)


def _splitter(folder: Path, probes: dict[tuple[int, int], str] | None = None) -> FileSplitter:
    known = probes or {}
    return FileSplitter(lambda: folder, lambda extent: known.get((extent.start, extent.stop)))


def _extents(file: File, ends: list[int]) -> list[Extent]:
    return [
        Extent(file.path.name, start, stop, file.identity, "d.000000", 1, ADDED) for start, stop in pairwise([0, *ends])
    ]


def _sources(folder: Path, extents: list[Extent]) -> list[Source]:
    outcome = Outcome()
    batches = list(SourceReader(folder, extents, outcome).batches({}))
    assert outcome.rejects == []
    return list(verified_sources(folder, "d", batches))


def _pieces(source: Source) -> list[Piece]:
    chunker = chunker_for(source.kind, source.format)
    assert chunker is not None
    pieces = [piece for piece in one_by_one(chunker.chunk(source, chunk_tokens=256)) if isinstance(piece, Piece)]
    assert [p.byte_start for p in pieces] == [0, *(p.byte_stop for p in pieces[:-1])]
    assert pieces[-1].byte_stop == source.stop - source.start
    return pieces


@pytest.mark.parametrize(
    ("name", "record", "form"),
    [
        ("app.log", _log, "log"),
        ("sys.log", _syslog, "log"),
        ("rows.csv", _csv, "csv"),
        ("rows.jsonl", _jsonl, "jsonl"),
        ("points", _influx, "influx"),
    ],
)
def test_a_large_file_is_cut_between_records_and_its_chunks_hold_whole_records(
    tmp_path: Path, name: str, record: Callable[[int], str], form: str
) -> None:
    file = _write(tmp_path, name, record, 2 * MIB + 400_000)
    size = file.identity.size
    cuts = _splitter(tmp_path).cuts(name, file.identity, start=0, target=MIB, growing=False)
    assert cuts is not None
    assert [round(cut / MIB, 1) for cut in cuts[:-1]] == [1.0, 2.0]
    assert cuts[-1] == size
    assert set(cuts) <= file.between
    sources = _sources(tmp_path, _extents(file, cuts))
    assert {(source.kind, source.format, source.encoding) for source in sources} == {
        (sources[0].kind, form, sources[0].encoding)
    }
    for source in sources:
        pieces = _pieces(source)
        ends = {piece.byte_stop + source.start for piece in pieces}
        assert ends <= file.between, "a record was cut"
        if form == "log":
            assert {piece.time_start.year for piece in pieces if piece.time_start} == {2026}
            assert all(piece.time_start is not None for piece in pieces)
        if form == "csv":
            assert all(p.context == "id,name,comment" for p in (pieces if source.start else pieces[1:]))
            assert (pieces[0].row_start, pieces[0].byte_start) == (0, 0)
            rows = sum(source.start <= at < source.stop for at in file.between)
            assert pieces[-1].row_stop == rows - (source.start == 0)
    (whole,) = _sources(tmp_path, _extents(file, [size]))
    texts = ["".join(piece.text for piece in _pieces(source)) for source in sources]
    assert "".join(texts) == "".join(piece.text for piece in _pieces(whole))
    assert {source.content_hash for source in sources}.isdisjoint({whole.content_hash})


def test_metrics_are_cut_where_one_is_described(tmp_path: Path) -> None:
    file = _write(tmp_path, "metrics", _prometheus, 2 * MIB + 400_000)
    cuts = _splitter(tmp_path).cuts("metrics", file.identity, start=0, target=MIB, growing=False)
    assert cuts is not None and len(cuts) == 3
    assert set(cuts) <= file.between
    for source in _sources(tmp_path, _extents(file, cuts)):
        assert source.format == "prometheus"
        assert all((piece.symbol or "").startswith("metric_") for piece in _pieces(source))


def test_a_quoted_cell_longer_than_the_window_moves_the_cut_behind_it(tmp_path: Path) -> None:
    text = "a,b,c\n" + "1,2,3\n" * 250_000
    at = text.index("\n", MIB - 20_000) + 1
    long = '7,"' + "more, of\nit\n" * 5_000 + '",9\n'
    path = tmp_path / "t.csv"
    path.write_text(text[:at] + long + text[at:])
    cuts = _splitter(tmp_path).cuts("t.csv", Identity.of(path.stat()), start=0, target=MIB, growing=False)
    assert cuts is not None
    assert cuts == [at, len(text) + len(long)]


@pytest.mark.parametrize(
    "content", [b"\0\1\2\n" * 500_000, ("é\n" * 500_000).encode("utf-16"), b"# A\n\ntext\n" * 200_000]
)
def test_what_has_no_records_is_not_cut(tmp_path: Path, content: bytes) -> None:
    name = "a.md" if content[:1] == b"#" else "a.bin"
    (tmp_path / name).write_bytes(content)
    found = Identity.of((tmp_path / name).stat())
    assert _splitter(tmp_path).cuts(name, found, start=0, target=MIB, growing=False) is None
    assert _splitter(tmp_path).cuts("gone", found, start=0, target=MIB, growing=False) is None


@pytest.mark.parametrize(
    ("name", "record"), [("app.log", _log), ("rows.csv", _csv), ("rows.jsonl", _jsonl), ("points", _influx)]
)
def test_a_growing_file_is_taken_to_its_last_complete_record(
    tmp_path: Path, name: str, record: Callable[[int], str]
) -> None:
    random.seed(3)
    file = _write(tmp_path, name, record, 20_000)
    content = file.path.read_bytes()
    for stop in (*random.sample(range(2_000, len(content)), 40), len(content)):
        file.path.write_bytes(content[:stop])
        cuts = _splitter(tmp_path).cuts(name, file.identity, start=0, target=MIB, growing=True)
        assert cuts is not None
        assert cuts[-1] in file.between
        complete = sorted(at for at in file.between if at <= stop)
        # A log's last record may go on (a stack trace), so the start of its last one is as far as is sure.
        assert cuts[-1] in ({*complete[-2:]} if name == "app.log" else {complete[-1]})


def test_an_append_is_told_from_a_rewrite(tmp_path: Path) -> None:
    file = _write(tmp_path, "app.log", _log, 2 * MIB)
    size = file.identity.size
    (extent,) = _extents(file, [size])
    batch = next(iter(SourceReader(tmp_path, [extent], Outcome()).batches({})))
    known = {(0, size): batch.to_pylist()[0]["probe"]}
    with file.path.open("a") as log:
        log.write(_log(1))
    assert _splitter(tmp_path, known).staying([extent], file.identity) == 1
    assert _splitter(tmp_path).staying([extent], file.identity) == 0, "what was never read cannot be compared"
    content = file.path.read_bytes()
    for at in (10, size - 10):
        file.path.write_bytes(content[:at] + b"!" + content[at + 1 :])
        assert _splitter(tmp_path, known).staying([extent], file.identity) == 0
    # What goes on with the last record belongs to it.
    file.path.write_bytes(content[:size] + TRACE.encode())
    parts = [Extent("app.log", 0, 100, file.identity, "d.000000", 1, ADDED), extent]
    assert _splitter(tmp_path, known).staying(parts, file.identity) == 1


def test_an_extent_is_read_while_its_file_goes_on_growing(tmp_path: Path) -> None:
    file = _write(tmp_path, "app.log", _log, 100_000)
    listed = _extents(file, [file.identity.size])
    with file.path.open("a") as log:
        log.write("2026-04-01 00:00:00 INFO more\n")
    (source,) = _sources(tmp_path, listed)
    with source.open() as stream:
        assert blake3(stream.read()).hexdigest(length=16) == source.content_hash
    file.path.write_bytes(file.path.read_bytes()[1000:])
    outcome = Outcome()
    assert list(SourceReader(tmp_path, listed, outcome).batches({})) == []
    assert [reject.reason for reject in outcome.rejects] == ["changed while read"]


def test_a_later_extent_is_refused_when_the_head_of_its_file_has_changed(tmp_path: Path) -> None:
    file = _write(tmp_path, "rows.csv", _csv, 3 * MIB)
    cuts = _splitter(tmp_path).cuts("rows.csv", file.identity, start=0, target=MIB, growing=False)
    sources = _sources(tmp_path, _extents(file, cuts or []))
    file.path.write_bytes(b"no" + file.path.read_bytes()[2:])
    with pytest.raises(SourceChangedError):
        _pieces(sources[1])
