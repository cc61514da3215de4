"""`mesh sql`: a query over the whole lake, read only."""

from __future__ import annotations

import csv as csv_format
import json as json_format
import math
import signal
import sys
import uuid
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated, cast

import duckdb
import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.cli.console import console, errors, print_json, safe, safe_lines
from mesh_assets.errors import SettingsError
from mesh_assets.settings import load_settings
from mesh_assets.storage.duckdb_files import views_database
from mesh_assets.storage.duckdb_query import Result, TableSummary, lake_connection, run_query, table_summaries
from mesh_assets.wording import shorten

# Of a longer value, a chunk's text or a vector, the beginning is enough to see which it is.
_CELL = 200
# Characters below which a column is no longer read.
_NARROWEST = 8
_SHOWN = 50


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT; without it, the tables are listed.")] = "",
    limit: Annotated[int | None, typer.Option(min=0, help="Rows to show; 50 as a table, all as JSON or CSV.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a row.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
) -> None:
    """Query the lake by SQL: chunks, insights, rejects, reports, what each stage cost. Nothing can be changed by it."""
    if json and csv:
        raise SettingsError("--json and --csv exclude each other.", remedy="Leave one of them out.")
    root = load_settings().state / "lake"
    with lake_connection(root, uuid.uuid4().hex) as connection, _ended_by_ctrl_c():
        if query:
            _print(run_query(connection, query), limit=limit, json=json, csv=csv)
        elif csv:
            raise SettingsError("There is no list of tables as CSV.", remedy="Give a query, or use --json.")
        else:
            _print_tables(connection, views_database(root), json=json)


@contextmanager
def _ended_by_ctrl_c() -> Generator[None]:
    """Ctrl-C ends the process at once: DuckDB heeds it too late, and reading leaves nothing behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _print(result: Result, *, limit: int | None, json: bool, csv: bool) -> None:
    every = sys.maxsize if json or csv else _SHOWN
    count = every if limit is None else limit
    shown = islice(result.rows, count)
    if json:
        _print_rows_as_json(result.columns, shown)
    elif csv:
        writer = csv_format.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_of_csv(name) for name in result.columns)
        writer.writerows([_of_csv(value) for value in row] for row in shown)
    else:
        if len(result.columns) * _NARROWEST > console.width:
            _print_records(result.columns, shown)
        else:
            console.print(_table(result.columns, list(shown)))
        left = sum(1 for _ in result.rows)
        if left:
            rows = f"{count:,} of {count + left:,} rows"
            errors.print(f"{rows} are shown: --limit {count + left} shows all, --csv and --json print all.")


def _print_records(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Each row as a block of its own, a column a line: side by side nobody could read so many."""
    for row in rows:
        block = Table(show_edge=False, pad_edge=False, show_header=False)
        block.add_column(style="dim", no_wrap=True)
        block.add_column(overflow="fold")
        for name, value in zip(columns, row, strict=True):
            block.add_row(escape(safe(name)), escape(safe_lines(shorten(_of_cell(value), _CELL))))
        console.print(block, "")


def _print_rows_as_json(columns: tuple[str, ...], rows: islice[tuple[object, ...]]) -> None:
    """A list of objects, one a line, written as they come: a result may be larger than memory."""
    separator = "[\n"
    for row in rows:
        line = {name: plain(value) for name, value in zip(columns, row, strict=True)}
        sys.stdout.write(f"{separator}{json_format.dumps(line, ensure_ascii=True)}")
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def plain(value: object) -> object:
    """A value of DuckDB as JSON has it: moments in ISO 8601, UTC; what JSON has no number for is null."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, timedelta | uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in cast("list[object]", value)]
    return value


def _table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for number, name in enumerate(columns):
        numbers = [row[number] for row in rows if row[number] is not None]
        is_number = bool(numbers) and all(isinstance(value, int | float | Decimal) for value in numbers)
        table.add_column(escape(safe(name)), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(safe_lines(shorten(_of_cell(value), _CELL))) for value in row))
    return table


def _of_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds" if value.microsecond else "seconds").removesuffix(
            "+00:00"
        )
    simple = plain(value)
    return json_format.dumps(simple, ensure_ascii=False) if isinstance(simple, dict | list) else str(simple)


def _of_csv(value: object) -> str:
    """A value as CSV has it: exactly as it is in a file or pipe, made safe where it would steer a terminal."""
    simple = plain(value)
    text = "" if simple is None else json_format.dumps(simple) if isinstance(simple, dict | list) else str(simple)
    return safe_lines(text) if sys.stdout.isatty() else text


def _print_tables(connection: duckdb.DuckDBPyConnection, path: Path, *, json: bool) -> None:
    found = table_summaries(connection)
    if json:
        tables = [{"table": t.name, "rows": t.rows, "about": t.comment, "columns": t.columns} for t in found]
        print_json({"database": str(path), "tables": tables})
        return
    shown = Table(show_edge=False, pad_edge=False)
    shown.add_column("table", no_wrap=True)
    shown.add_column("rows", justify="right")
    shown.add_column("columns", overflow="fold")
    for table in found:
        shown.add_row(table.name, f"{table.rows:,}", _columns_in_words(table))
    console.print(shown)
    console.print(
        f'\n`mesh sql "describe chunks"` shows types. Any program with DuckDB can open {path}', soft_wrap=True
    )


def _columns_in_words(table: TableSummary) -> str:
    return f"[dim]{escape(table.comment)}[/]\n{escape(', '.join(table.columns))}"
