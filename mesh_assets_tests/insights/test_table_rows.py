"""Tables are read as they were cut: the same delimiter, the same header, the same rows."""

from __future__ import annotations

import pytest

from mesh_assets.insights.table_rows import TableReader
from mesh_assets_tests.chunks.sources import cut


def read(text: str, form: str = "csv") -> list[dict[str, str]]:
    """The cells of all rows of a file, cut by its chunker."""
    pieces = cut(text, "structured", form)
    reader = TableReader(form)
    return reader.cells([piece.text for piece in pieces], pieces[0].context).frame.to_dicts()


@pytest.mark.parametrize(
    ("header", "row", "cells"),
    [
        ("country,2019,2020", "Peru,1,2", {"country": "Peru", "2019": "1", "2020": "2"}),
        ('"name, first, last";age', '"Doe, Ann";5', {"name, first, last": "Doe, Ann", "age": "5"}),
        (",a,b", "0,1,2", {"column 1": "0", "a": "1", "b": "2"}),
        ("id,text", '1,"two\nlines, one cell"', {"id": "1", "text": "two lines, one cell"}),
        ("id,size", '1,pipe 5"', {"id": "1", "size": 'pipe 5"'}),
    ],
)
def test_rows_have_the_columns_that_their_header_names(header: str, row: str, cells: dict[str, str]) -> None:
    assert read(f"{header}\n" + f"{row}\n" * 80) == [cells] * 80


def test_a_table_without_a_header_has_numbered_columns() -> None:
    assert read("1;2.5\n" * 80) == [{"column 1": "1", "column 2": "2.5"}] * 80
