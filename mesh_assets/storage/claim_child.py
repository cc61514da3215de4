"""The process that runs queries which a model wrote: over the files that it is given, one after another, with limits.

DuckDB heeds an interrupt late and does not count all memory, so the kernel bounds both and the parent ends what takes
too long. It gives up network and all other files (`walls`) before it reads the first query, and DuckDB opens no file
but those. Started by `claim_queries`; nothing else imports this.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from mesh_assets.chunks.walls import raise_walls
from mesh_assets.errors import QueryError
from mesh_assets.storage.duckdb_query import AT_OPEN, close_world, run_query
from mesh_assets.storage.duckdb_types import text
from mesh_assets.wording import shorten

# What a query may hold; what it does not count (long texts and lists) the limit of the process ends.
_MEMORY = "256MB"
_CELL = 200
# Rows of each table that a query sees: all, the first, none.
_SEEN = {"rows": None, "of_one_row": 1, "of_nothing": 0}


def main() -> None:
    """Answer lines of JSON on standard input until it is closed; the first one has the files of each table.

    It runs in the folder of the lake, so that their names have nothing that would be a pattern.
    """
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hardest = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory if hardest == resource.RLIM_INFINITY else min(memory, hardest)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.chdir(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing that a library prints is an answer
    tables: dict[str, list[str]] = json.loads(sys.stdin.buffer.readline())
    raise_walls(sorted({str(Path(path).parent.absolute()) for paths in tables.values() for path in paths}))
    lakes = {name: _connected(tables, rows) for name, rows in _SEEN.items()}
    for line in sys.stdin.buffer:
        request = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + 1 + int(request["seconds"])
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        print(json.dumps(_answer(lakes, request["sql"], request["limit"])), file=answers, flush=True)


def _connected(tables: Mapping[str, Sequence[str]], rows: int | None) -> duckdb.DuckDBPyConnection:
    """A database of its own where each table has so many rows, all where that is None."""
    connection = duckdb.connect(config=AT_OPEN | {"memory_limit": _MEMORY, "threads": 1, "temp_directory": ""})
    for called, paths in tables.items():
        table = connection.from_parquet(list(paths))
        (table if rows is None else table.limit(rows)).create_view(called)
    files = sorted(path for paths in tables.values() for path in paths)
    connection.execute(f"SET allowed_paths = [{', '.join(map(text, files))}]")
    close_world(connection)
    return connection


def _answer(lakes: Mapping[str, duckdb.DuckDBPyConnection], sql: str, limit: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, connection in lakes.items():
        try:
            rows = [[_plain(cell) for cell in row] for row in run_query(connection, sql, limit=limit + 1).rows]
        except (QueryError, MemoryError, RecursionError) as error:
            if name == "rows":
                return {"lack": _lack(error)}
            continue  # it may break where there is nothing to read
        found[name] = rows[:limit]
        if name == "rows":
            found["more"] = len(rows) > limit
    return found


def _lack(error: Exception) -> str:
    said = error.message.partition("\n")[0] if isinstance(error, QueryError) else "it takes too much memory."
    return shorten(said, _CELL)


def _plain(cell: object) -> object:
    """A cell as JSON has it: numbers and truth stay, the beginning of everything else is text."""
    if cell is None or isinstance(cell, bool | float) or (isinstance(cell, int) and abs(cell) < 1 << 63):
        return cell
    return float(cell) if isinstance(cell, Decimal | int) else str(cell)[:_CELL]


if __name__ == "__main__":
    main()
