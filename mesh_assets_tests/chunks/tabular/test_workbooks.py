"""Sheets become tables: what names their columns, where one ends, where its rows stand in the sheet."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import openpyxl
import pytest

from mesh_assets.chunks.protocol import Piece
from mesh_assets.errors import FormatError
from mesh_assets_tests.chunks.tabular.readings import cut, parts, pieces, reading, rows


def xlsx(sheets: dict[str, list[list[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, lines in sheets.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def ods(*rows_of: str, name: str = "Q1") -> bytes:
    content = (
        '<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
        'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
        f'<table:table table:name="{name}">{"".join(rows_of)}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
    return out.getvalue()


def cells(*values: str | float | None) -> str:
    made = ""
    for value in values:
        if value is None:
            made += "<table:table-cell/>"
        elif isinstance(value, str):
            made += f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'
        else:
            made += f'<table:table-cell office:value-type="float" office:value="{value}"/>'
    return f"<table:table-row>{made}</table:table-row>"


def test_each_sheet_is_a_table_with_the_rows_of_the_sheet() -> None:
    lines: list[list[object]] = [["region", "day", "sales"]]
    lines += [["north", datetime(2024, 1, 1 + n % 28), n / 2] for n in range(100)]
    found = pieces(parts(xlsx({"Q1": lines, "Q2": [["a"], [1]]}), "xlsx"))
    assert found[0].text == "Sheet Q1: 3 columns: region (text), day (timestamp), sales (number)\n"
    assert found[1].place is not None and found[1].place.startswith("sheet Q1, rows 2 to ")
    assert found[1].time_start == datetime(2024, 1, 1, tzinfo=UTC)
    of_first = [piece for piece in found if piece.symbol == "Q1"]
    assert of_first[-1].place is not None and of_first[-1].place.endswith(" 101") and of_first[-1].row_stop == 100
    assert rows(list(found), "Q1")[1:3] == [["north", "2024-01-01", "0"], ["north", "2024-01-02", "0.5"]]
    assert rows(list(found), "Q2") == [["a"], ["1"]]


def test_tables_of_one_sheet_are_told_apart_and_titles_are_none() -> None:
    lines: list[list[object]] = [
        ["Sales of the year"], [], ["", "", "x", "y"], ["", "", 1, 2], [], ["", "", 3, 4], [], [],
        ["name", "city", "age"], ["Ann", "Rome", 40], [], ["Source: the office"],
    ]  # fmt: skip
    found = parts(xlsx({"S": lines}), "xlsx")
    assert rows(found, "S") == [["x", "y"], ["1", "2"], ["3", "4"]]
    assert rows(found, "S (2)") == [["name", "city", "age"], ["Ann", "Rome", "40"]]
    titles = [part for part in found if isinstance(part, Piece) and part.row_start is None]
    assert [(title.text, title.place) for title in titles] == [
        ("Sales of the year\n", "sheet S, row 1"),
        ("Sheet S: 2 columns: x (integer), y (integer)\n", "sheet S"),
        ("Sheet S: 3 columns: name (text), city (text), age (integer)\n", "sheet S"),
        ("Source: the office\n", "sheet S, row 12"),
    ]


def test_a_table_without_names_counts_its_columns_and_cells_beside_it_stay() -> None:
    lines: list[list[object]] = [[1, 2], [3, 4], *([[n, n] for n in range(30)]), [5, 6, "note"]]
    found = rows(parts(xlsx({"S": lines}), "xlsx"), "S")
    assert found[0] == ["column 1", "column 2"]
    assert found[-1] == ["5", "6", "note"]


def test_values_are_read_and_not_formulas() -> None:
    found = reading(parts(xlsx({"S": [["a", "b"], [1, "=1+1"], [True, None]]}), "xlsx"))
    assert "=1+1" not in found and "true" not in found and "True" in found


def test_an_open_document_sheet_is_read_the_same_way() -> None:
    repeated = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    found = parts(ods(cells("city", "size"), cells("Köln", 2.5), cells("Rome", 3), repeated), "ods")
    assert rows(found, "Q1") == [["city", "size"], ["Köln", "2.5"], ["Rome", "3"]]
    assert reading(found).startswith("Sheet Q1: 2 columns: city (text), size (number)\n")
    (_, piece) = pieces(found)
    assert piece.place == "sheet Q1, rows 2 to 3"


def with_part(data: bytes, name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            if info.filename != name:
                new.writestr(info, old.read(info))
        new.writestr(name, content)
    return out.getvalue()


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    good = xlsx({"S": [["a"], [1]]})
    with pytest.raises(FormatError) as refused:
        cut(with_part(good, "xl/sharedStrings.xml", b" " * (80 << 20)), "xlsx", 64)
    assert refused.value.reason == "unpacks to too much"
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><sst>&a;</sst>'
    for form, data in (
        ("xlsx", with_part(good, "xl/sharedStrings.xml", bomb)),
        ("ods", with_part(ods(), "content.xml", bomb)),
    ):
        with pytest.raises(FormatError) as refused:
            cut(data, form, 64)
        assert refused.value.reason == "XML with entities"


@pytest.mark.parametrize(("form", "data"), [("xlsx", xlsx({"S": [["a"], [1]]})), ("ods", ods(cells("a")))])
def test_a_workbook_cut_off_says_so(form: str, data: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        cut(data[: len(data) // 2], form, 64)
    assert refused.value.reason.startswith("broken ")
