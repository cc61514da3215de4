"""Parquet and Arrow become rows with the names of their columns, in bounded memory, and what is broken is said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks import members
from mesh_assets.chunks.protocol import Piece
from mesh_assets.chunks.tabular import columnar, grids
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.tabular.readings import cut, parts, pieces, reading, rows


def parquet(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def arrow_file(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def arrow_stream(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


WRITERS = pytest.mark.parametrize(
    ("form", "write"), [("parquet", parquet), ("arrow", arrow_file), ("arrow", arrow_stream)]
)


@WRITERS
def test_rows_have_header_place_and_time(form: str, write: Callable[[pa.Table], bytes]) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(hours=n) for n in range(200)]
    table = pa.table({"id": range(200), "city": ["Köln, Süd", 'the "old" one', None, ""] * 50, "at": moments})
    found = pieces(parts(write(table), form))
    assert found[0].text.endswith("3 columns: id (integer), city (text), at (timestamp)\n")
    assert found[1].text.startswith("id,city,at\n") and found[1].context == ""
    assert all(piece.context == "id,city,at" for piece in found[2:])
    assert (found[1].row_start, found[-1].row_stop) == (0, 200)
    assert found[-1].place == f"rows {found[-1].row_start} to 199"
    assert (found[1].time_start, found[-1].time_stop) == (moments[0], moments[-1])
    cells = rows(list(found))
    assert cells[1] == ["0", "Köln, Süd", "2024-01-01T00:00:00Z"]
    assert [row[1] for row in cells[2:5]] == ['the "old" one', "", ""]
    assert len(cells) == 201


@WRITERS
def test_every_type_says_what_it_holds(form: str, write: Callable[[pa.Table], bytes]) -> None:
    table = pa.table(
        {
            "flag": [True, None],
            "price": [Decimal("1.50"), None],
            "day": [date(2024, 2, 29), None],
            "tags": [["a", "b,c"], None],
            "box": [{"w": 1, "in": {"k": "é"}}, None],
            "raw": [b"\xff\x00", b"text"],
            "kind": pa.array(["x\ny", "z"]).dictionary_encode(),
            "took": [timedelta(minutes=90), None],
            "half": pa.array([1.5, None], pa.float16()),
            "none": pa.nulls(2),
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        }
    )
    header, first, second = rows(parts(write(table), form, tokens=512))
    cells = dict(zip(header, first, strict=True))
    assert json.loads(cells["tags"]) == ["a", "b,c"]
    assert json.loads(cells["box"]) == {"w": 1, "in": {"k": "é"}}
    assert cells["raw"] == "0xff00" and second[5] == "text"
    assert (cells["flag"], cells["price"], cells["day"], cells["half"]) == ("true", "1.50", "2024-02-29", "1.5")
    assert (cells["kind"], cells["took"], cells["none"]) == ("x y", "1:30:00", "")


texts = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-(2**60), 2**60), texts | st.none(), st.floats() | st.none()), max_size=30))
def test_a_row_that_fits_is_never_split(values: list[tuple[int, str | None, float | None]]) -> None:
    table = pa.table({name: [row[at] for row in values] for at, name in enumerate(("n", "word", "x"))})
    found = pieces(parts(parquet(table), "parquet"))
    assert all(piece.text.endswith("\n") for piece in found)
    assert [int(row[0]) for row in rows(list(found))[1:]] == [row[0] for row in values]
    assert all(a.row_stop == b.row_start for a, b in pairwise(found[1:]))


def test_a_row_too_long_for_a_window_is_cut_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "MAX_ROW", 5000)
    monkeypatch.setattr(grids, "BLOCK", 2000)
    long = "word " * 4000
    found = pieces(parts(parquet(pa.table({"id": [1, 2, 3], "body": ["a", long, "b"]})), "parquet"))
    inside = [piece for piece in found if piece.row_start == 1]
    assert len(inside) > 50 and all(piece.tokens <= 64 for piece in inside)
    assert "".join(piece.text for piece in inside).count("word") == 4000
    assert (found[-1].text, found[-1].row_start, found[-1].place) == ("3,b\n", 2, "row 2")


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"id": range(500), "name": [f"name {n % 7}" for n in range(500)]})
    whole = cut(parquet(table), "parquet", 64)
    monkeypatch.setattr(grids, "BLOCK", 700)
    monkeypatch.setattr(columnar, "BATCH_BYTES", 300)
    assert cut(parquet(table), "parquet", 64) == whole
    described = whole[0]
    assert isinstance(described, Piece)
    in_groups = cut(parquet(table, row_group_size=33), "parquet", 64)
    assert in_groups == whole


def test_one_text_in_many_rows_is_not_unpacked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # 300 kB of text for each of 200 rows, in a file of a few kB: more than 200 times its size.
    monkeypatch.setattr(members, "ROOM_FLOOR", 1 << 20)
    text = "x" * 300_000
    table = pa.table({"body": pa.array([text] * 200)})
    chunker_input = parquet(table, compression="zstd")
    assert len(chunker_input) < 5000
    with pytest.raises(FormatError, match="more than 200 times"):
        cut(chunker_input, "parquet", 256)


def test_a_broken_row_group_is_named_and_the_others_are_used() -> None:
    table = pa.table({"id": pa.array(range(4000), pa.int64()), "word": [f"word {n}" for n in range(4000)]})
    data = bytearray(parquet(table, row_group_size=1000, compression="snappy", use_dictionary=False))
    meta = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(1).column(1)
    data[meta.data_page_offset : meta.data_page_offset + 200] = b"\xff" * 200
    found = cut(bytes(data), "parquet", 256)
    rejects = [part for part in found if isinstance(part, Reject)]
    assert [(reject.reason, reject.detail[:19]) for reject in rejects] == [("broken row group", "Row group 2 of 4, 1")]
    ids = {int(row[0]) for row in rows(found)[1:]}
    assert {0, 999, 2000, 3999} <= ids


@WRITERS
def test_a_file_cut_off_keeps_what_can_be_read(form: str, write: Callable[[pa.Table], bytes]) -> None:
    table = pa.table({"id": range(1000), "word": [f"word {n}" for n in range(1000)]})
    data = write(table)
    try:
        found = cut(data[: len(data) // 2], form, 64)
    except FormatError as error:
        assert error.reason.startswith("broken ") and "CSV" in error.remedy
    else:
        assert any(isinstance(part, Reject) for part in found)
        assert reading(found).startswith("Table")


def test_text_that_is_no_utf8_is_shown_as_bytes() -> None:
    bad = pa.array([b"\xff\xfe", b"ok"], pa.binary()).view(pa.string())
    assert [row[0] for row in rows(parts(parquet(pa.table({"s": bad})), "parquet"))] == ["s", "0xfffe", "ok"]
