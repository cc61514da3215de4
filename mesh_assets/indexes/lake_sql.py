"""Queries of DuckDB over tables of one slice, for indexes that are themselves tables: streamed, in bounded memory.

What is asked belongs to `graph_rows` and `moment_rows`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

# What a query may hold before it writes to the disk: a slice run has other stages' memory beside it.
MEMORY = "192MB"
BATCH_ROWS = 16_384


def streamed(query: str, tables: Mapping[str, Path], parameters: Mapping[str, object]) -> Iterator[pa.RecordBatch]:
    """The rows of `query`, in which each of `tables` is a view called by its key, `$name` a parameter."""
    with connected({called: [path] for called, path in tables.items()}) as connection:
        yield from connection.sql(query, params=dict(parameters)).to_arrow_reader(BATCH_ROWS)


def gathered(
    queries: Sequence[str],
    tables: Mapping[str, Path],
    parameters: Mapping[str, object],
    *,
    columns: Mapping[str, str],
    order: str,
) -> Iterator[pa.RecordBatch]:
    """The rows of all `queries` in one order; `columns` are what each gives, with their types in SQL.

    One query is answered after the other: as parts of one, what each holds is held at once, more than the limit for a
    slice of a million chunks.
    """
    with connected({called: [path] for called, path in tables.items()}) as connection:
        connection.execute(f"CREATE TABLE found ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        for query in queries:
            connection.execute(
                f"INSERT INTO found {query}",
                {name: value for name, value in parameters.items() if f"${name}" in query},
            )
        yield from connection.sql(f"FROM found ORDER BY {order}").to_arrow_reader(BATCH_ROWS)


@contextmanager
def connected(tables: Mapping[str, Sequence[Path]], *, memory: str = MEMORY) -> Generator[duckdb.DuckDBPyConnection]:
    """A database of its own with a view for each of `tables` over its files, at least one each.

    DuckDB opens these files and its own temporary ones; extensions are never loaded.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": memory,
        "threads": 1,  # parallelism comes from runs side by side
    }
    with (
        tempfile.TemporaryDirectory(prefix="mesh-") as folder,
        closing(duckdb.connect(config=config | {"temp_directory": folder})) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        for called, paths in tables.items():
            connection.from_parquet(list(map(str, paths))).create_view(called)
        yield connection
