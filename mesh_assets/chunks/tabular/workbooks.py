"""Workbooks: XLSX by openpyxl, XLS by xlrd, ODS from its XML. What a table in a sheet is belongs to `sheets`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from io import StringIO
from itertools import groupby, islice
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.tabular.grids import Grid
from mesh_assets.chunks.tabular.opening import office_file, seekable
from mesh_assets.chunks.tabular.sheets import MAX_COLUMNS, MAX_ROWS, Row, Sheet
from mesh_assets.chunks.tabular.xml_events import Element, forget, xml_events
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject, printable

if TYPE_CHECKING:
    from xlrd.book import Book
    from xlrd.sheet import Cell
    from xlrd.sheet import Sheet as XlsSheet

# xlrd holds a whole workbook as objects.
MAX_XLS = 256 << 20
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"


def xlsx_grids(source: Source) -> Iterator[Grid | Reject]:
    """The tables of an Excel workbook: values, not formulas, as Excel last saved them."""
    with seekable(source) as stream:
        import openpyxl

        with office_file(source, stream):
            pass
        stream.seek(0)
        # Links to other workbooks are not followed; charts, which hold no rows, are left out.
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        for sheet in cast("list[_ReadOnlySheet]", book.worksheets):
            sheet.reset_dimensions()  # what the file declares may be wrong, or a million blank rows
            yield from Sheet(sheet.title, _xlsx_rows(sheet)).grids()


class _ReadOnlySheet(Protocol):
    """What openpyxl gives of a sheet in its read-only mode."""

    title: str

    def reset_dimensions(self) -> None: ...

    def iter_rows(self, *, values_only: bool) -> Iterator[tuple[object, ...]]: ...


def _xlsx_rows(sheet: _ReadOnlySheet) -> Iterator[Row]:
    for number, cells in enumerate(islice(sheet.iter_rows(values_only=True), MAX_ROWS), 1):
        if cells:
            yield Row(number, cells)


def xls_grids(source: Source) -> Iterator[Grid | Reject]:
    """The tables of a workbook of Excel 97 or older. FormatError for one that is encrypted, or too large."""
    if source.stop - source.start > MAX_XLS:
        raise FormatError(
            "too large",
            f"{printable(source.path)} is a workbook of more than {MAX_XLS >> 20} MiB in the old format.",
            remedy="Save it as .xlsx or CSV.",
        )
    with source.open() as stream:
        content = stream.read()
    import xlrd

    # What xlrd thinks of a file it would print.
    book = xlrd.open_workbook(file_contents=content, on_demand=True, ragged_rows=True, logfile=StringIO())
    for number in range(book.nsheets):
        sheet = book.sheet_by_index(number)
        yield from Sheet(sheet.name, _xls_rows(book, sheet)).grids()
        book.unload_sheet(number)


def _xls_rows(book: Book, sheet: XlsSheet) -> Iterator[Row]:
    for number in range(sheet.nrows):
        yield Row(number + 1, [_xls_cell(book, cell) for cell in sheet.row(number)])


def _xls_cell(book: Book, cell: Cell) -> object:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return xlrd.xldate_as_datetime(cast(float, cell.value), book.datemode)
        except (ValueError, OverflowError):
            return cell.value
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return bool(cell.value)
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return cast("dict[object, str]", xlrd.error_text_from_code).get(cell.value, "#ERROR!")
    return cell.value


def ods_grids(source: Source) -> Iterator[Grid | Reject]:
    """The tables of a spreadsheet in the OpenDocument format."""
    with (
        seekable(source) as stream,
        office_file(source, stream) as archive,
        archive.open("content.xml") as content,
    ):
        found = _ods_rows(cast("BinaryIO", content))
        for (_, name), rows in groupby(found, key=lambda each: each[0]):
            yield from Sheet(name, (row for _, row in rows)).grids()


def _ods_rows(content: BinaryIO) -> Iterator[tuple[tuple[int, str], Row]]:
    """Number and name of a sheet with each row of it that is not blank."""
    sheet, number, tables = (0, ""), 0, 0
    tags = (f"{_TABLE}table", f"{_TABLE}table-row")
    for event, element in xml_events(content, tags):
        if element.tag == tags[0]:
            if event == "start":
                tables += 1
                sheet, number = (tables, element.get(f"{_TABLE}name") or f"Sheet {tables}"), 0
            else:
                forget(element)
        elif event == "end":
            times = _count(element, f"{_TABLE}number-rows-repeated", MAX_ROWS)
            cells = _ods_cells(element)
            for repeat in range(times if cells else 0):
                if number + repeat < MAX_ROWS:
                    yield sheet, Row(number + repeat + 1, cells)
            number += times
            forget(element)


def _count(element: Element, name: str, most: int) -> int:
    try:
        return min(max(int(element.get(name, "1")), 1), most)
    except ValueError:
        return 1


def _ods_cells(row: Element) -> Sequence[object]:
    cells: list[object] = []
    blank = 0
    for cell in row:
        if cell.tag not in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            continue
        times = _count(cell, f"{_TABLE}number-columns-repeated", MAX_COLUMNS)
        value = _ods_cell(cell)
        if value in (None, ""):
            blank += times
            continue
        cells += [None] * min(blank, MAX_COLUMNS - min(len(cells), MAX_COLUMNS))
        cells += [value] * min(times, MAX_COLUMNS - min(len(cells), MAX_COLUMNS))
        blank = 0
    return cells


def _ods_cell(cell: Element) -> object:
    kind = cell.get(f"{_OFFICE}value-type")
    try:
        if kind in ("float", "percentage", "currency"):
            number = float(cell.get(f"{_OFFICE}value"))
            return int(number) if number.is_integer() and abs(number) < 1e15 else number
        if kind == "date":
            return datetime.fromisoformat(cell.get(f"{_OFFICE}date-value"))
        if kind == "boolean":
            return cell.get(f"{_OFFICE}boolean-value") == "true"
    except ValueError:
        pass
    return "\n".join("".join(line.itertext()) for line in cell.iter(f"{_TEXT}p")) or None
