"""DuckDB's side of a schema: column types, quoted names and texts, tables that have the columns of now, comments."""

from __future__ import annotations

from typing import Any, cast

import duckdb
import pyarrow as pa

from mesh_assets.schemas.table import Table

_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.binary(): "BLOB",
    pa.float16(): "FLOAT",  # DuckDB has none: it widens what it reads
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}


def duckdb_type(kind: pa.DataType) -> str:
    """What DuckDB calls an Arrow type of our schemas; KeyError for one that they do not use yet."""
    if pa.types.is_list(kind):
        return f"{duckdb_type(kind.value_type)}[]"
    if pa.types.is_map(kind):
        return f"MAP({duckdb_type(kind.key_type)}, {duckdb_type(kind.item_type)})"
    if pa.types.is_struct(kind):
        fields = cast("list[pa.Field[Any]]", list(kind))
        return f"STRUCT({', '.join(f'{name(field.name)} {duckdb_type(field.type)}' for field in fields)})"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return _TYPES[kind]


def name(text: str) -> str:
    """`text` as a quoted name."""
    return '"' + text.replace('"', '""') + '"'


def text(value: str) -> str:
    """`value` as a quoted text."""
    return "'" + value.replace("'", "''") + "'"


def table_sql(table: Table, called: str) -> str:
    """The statement that creates `table` with all its columns and no rows."""
    columns = ", ".join(f"{name(c.name)} {duckdb_type(c.type)}" for c in table.columns)
    return f"CREATE TABLE {name(called)} ({columns})"


def comments_sql(table: Table, called: str, kind: str) -> list[str]:
    """Statements that put the schema's words on a table or view (`kind`) and on its columns."""
    about = f"COMMENT ON {kind} {name(called)} IS {text(f'One row: {table.grain}.')}"
    return [
        about,
        *(f"COMMENT ON COLUMN {name(called)}.{name(c.name)} IS {text(c.doc)}" for c in table.columns),
    ]


def columns_of(connection: duckdb.DuckDBPyConnection, called: str) -> dict[str, str]:
    """Names and DuckDB types of a table's columns, in order; empty where there is no such table."""
    found = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE table_name = ? AND schema_name = ? AND database_name = current_database() ORDER BY column_index",
        [called, "main"],
    )
    return dict(found.fetchall())


def adapt(connection: duckdb.DuckDBPyConnection, table: Table, called: str) -> None:
    """Give a table exactly the columns of its schema. Rows that are there keep what they have; a new column is null."""
    found = columns_of(connection, called)
    expected = {column.name: duckdb_type(column.type) for column in table.columns}
    if list(found.items()) == list(expected.items()):
        return
    before = f"{called} before"
    if found:
        connection.execute(f"ALTER TABLE {name(called)} RENAME TO {name(before)}")
    connection.execute(table_sql(table, called))
    if found:
        kept = [column for column in expected if column in found]
        targets = ", ".join(map(name, kept))
        values = ", ".join(f"TRY_CAST({name(column)} AS {expected[column]})" for column in kept)
        # Identifiers come from our schemas alone and are quoted.
        connection.execute(f"INSERT INTO {name(called)} ({targets}) SELECT {values} FROM {name(before)}")  # noqa: S608
        connection.execute(f"DROP TABLE {name(before)}")
    for statement in comments_sql(table, called, "TABLE"):
        connection.execute(statement)
