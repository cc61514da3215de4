"""`lake.duckdb`: the lake as people query it. A view for each table of the lake, and a copy of the tables of datasets.

    <state>/lake.duckdb             views, tables of datasets, and what they were made from
    <state>/lake/.empty.parquet     a file without rows, so that a view is there before anything was read

A view lists its files when it is queried, so new slices are in it at once. Dataset and slice are told by a file's place
in the lake, so that a query for one slice opens one file. Nothing of a drop becomes SQL: keys are checked, and names of
files are data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from mesh_assets.schemas import ATTACHED, TABLES
from mesh_assets.schemas.rejects import REJECTS
from mesh_assets.schemas.table import Column, Table
from mesh_assets.stages import ASSETS, DUCKDB_ASSETS, PARTITIONS
from mesh_assets.storage.duckdb_files import dataset_database, rewriting, views_database
from mesh_assets.storage.duckdb_types import adapt, comments_sql, duckdb_type, name, text
from mesh_assets.storage.files import publishing

# What the views were made from; a reader compares it with what they would be made from now.
IDENTITY = "lake_identity"
# The column of a row's file. DuckDB 2.0.0 has one of its own, `filename`, but breaks where a query selects by that,
# sorts, and takes the first rows (`ORDER BY ... LIMIT`).
_FILE = "file_of_the_row"
_ABOUT = "What the views were made from. They are made again with each report, and by `mesh sql` when this differs."
_DATASET = Column("dataset", pa.string(), "Key of the dataset.")
_SLICE = Column("slice", _DATASET.type, "Key of the slice; null for what is of the whole dataset.")
_ASSET = Column("asset", _DATASET.type, "Asset that the row is of.")


def publish_views(lake_root: Path, run_id: str) -> Path:
    """Make `lake.duckdb` of a lake anew, beside, and rename it; its path. LakeError where the disk refuses.

    No file of a slice is opened for it, so it takes the same time for one slice as for ten thousand.
    """
    root = lake_root.absolute()
    _publish_empty(root, run_id)
    # Told first: tables that are published meanwhile make it differ, and the views are made once more.
    identity = _identity(root)
    path, tables = views_database(root), dataset_database(root)
    with rewriting(path, run_id, start=tables) as connection:
        for asset in DUCKDB_ASSETS:
            adapt(connection, TABLES[asset], asset)
        for called, assets in _views().items():
            connection.execute(view_sql(root, called, assets))
            for statement in comments_sql(_shown(called), called, "VIEW"):
                connection.execute(statement)
        connection.execute(f"CREATE OR REPLACE TABLE {IDENTITY} AS SELECT {text(identity)} AS identity")
        connection.execute(f"COMMENT ON TABLE {IDENTITY} IS {text(_ABOUT)}")
    return path


def is_current(connection: duckdb.DuckDBPyConnection, lake_root: Path) -> bool:
    """Whether an open `lake.duckdb` is of this lake, at this place, by this code, with the tables of now."""
    try:
        found = connection.execute(f"SELECT identity FROM {IDENTITY}").fetchall()  # noqa: S608  # our own name
    except duckdb.CatalogException:
        return False
    root = lake_root.absolute()
    return found == [(_identity(root),)] and _empty_file(root).exists()


def view_sql(root: Path, called: str, assets: tuple[str, ...]) -> str:
    """The statement that creates the view over some assets' files below `root`."""
    table = _shown(called)
    parts: list[str] = []
    for grain in ("slice", "dataset"):
        chosen = [asset for asset in assets if PARTITIONS[asset] == grain]
        if chosen:
            files = [escape(str(_empty_file(root))), *(_pattern(root, called, asset) for asset in chosen)]
            columns = ", ".join(_expression(column, grain) for column in table.columns)
            parts.append(f"SELECT {columns} FROM {_scan(files, called)}")  # noqa: S608  # all of it is quoted
    return f"CREATE OR REPLACE VIEW {name(called)} AS " + " UNION ALL ".join(parts)


def escape(path: str) -> str:
    """A path that no character of is a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _views() -> dict[str, tuple[str, ...]]:
    """The name of each view with the assets whose files it shows."""
    views: dict[str, tuple[str, ...]] = {}
    for asset, table in (TABLES | ATTACHED).items():
        if asset not in DUCKDB_ASSETS:
            views[table.name] = (*views.get(table.name, ()), asset)
    return views | {REJECTS.name: tuple(asset for asset in ASSETS if asset not in DUCKDB_ASSETS)}


def _stored(called: str) -> Table:
    """The table as its files have it."""
    return next(table for table in (*TABLES.values(), *ATTACHED.values(), REJECTS) if table.name == called)


def _shown(called: str) -> Table:
    """The table as the view has it: dataset and slice first, and the asset where it is of several."""
    table, assets = _stored(called), _views()[called]
    where = [_DATASET]
    if any(PARTITIONS[asset] == "slice" for asset in assets):
        where.append(_SLICE)
    if len(assets) > 1:
        where.append(_ASSET)
    own = [column for column in table.columns if column.name not in {column.name for column in where}]
    return Table(table.name, table.grain, table.key, (*where, *own))


def _expression(column: Column, grain: str) -> str:
    """A column of a view: told by the place of the file, or read from it."""
    if column is _SLICE:
        return f"{f'parse_filename({_FILE}, true)' if grain == 'slice' else 'NULL::VARCHAR'} AS {name('slice')}"
    if column is _DATASET:
        place = f"split_part({_FILE}, '/', -2)" if grain == "slice" else f"parse_filename({_FILE}, true)"
        return f"{place} AS {name('dataset')}"
    if column is _ASSET:
        return f"split_part({_FILE}, '/', {-3 if grain == 'slice' else -2}) AS {name('asset')}"
    return name(column.name)


def _scan(files: list[str], called: str) -> str:
    """All rows of some files, each read by the columns of now: what an older file lacks is null in it."""
    fields = ", ".join(
        f"{text(c.name)}: {{name: {text(c.name)}, type: {text(duckdb_type(c.type))}, default_value: NULL}}"
        for c in _stored(called).columns
    )
    listed = ", ".join(map(text, files))
    options = f"filename = {text(_FILE)}, allow_empty = true, hive_partitioning = false"
    return f"read_parquet([{listed}], schema = MAP {{{fields}}}, {options})"


def _pattern(root: Path, called: str, asset: str) -> str:
    below = ("rejects", asset) if called == REJECTS.name else (asset,)
    stars = ("*", "*.parquet") if PARTITIONS[asset] == "slice" else ("*.parquet",)
    return "/".join((escape(str(root)), *below, *stars))


def _empty_file(root: Path) -> Path:
    return root / ".empty.parquet"


def _publish_empty(root: Path, run_id: str) -> None:
    if not _empty_file(root).exists():
        with publishing(_empty_file(root), run_id) as temporary:
            pq.write_table(pa.table({"nothing": pa.array([], pa.null())}), temporary)


def _identity(root: Path) -> str:
    """Changes with the place of the lake, with the schemas, with DuckDB, and with the tables of datasets."""
    return blake3("\n".join([duckdb.__version__, *_parts(root)]).encode()).hexdigest(length=16)


def _parts(root: Path) -> Iterator[str]:
    for called, assets in _views().items():
        yield view_sql(root, called, assets)
        yield from comments_sql(_shown(called), called, "VIEW")
    try:
        state = dataset_database(root).stat()
    except FileNotFoundError:
        return
    yield f"{state.st_ino} {state.st_mtime_ns} {state.st_size}"
