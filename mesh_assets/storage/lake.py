"""The lake: Parquet files by asset, dataset and slice, the store of record.

    <state>/lake/<asset>/<dataset>/<slice>.parquet          a table of a slice
    <state>/lake/<asset>/<dataset>.parquet                  a table of a dataset
    <state>/lake/<table>/<dataset>/<slice>.parquet          a table that an asset makes beside its own
    <state>/lake/rejects/<asset>/...                        what that stage could not process

Rejects and attached tables are published first and the main file last, so a main file means a finished stage. Its
footer says what it was made from and by which version, which is how a second run knows that there is nothing to do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from mesh_assets.errors import CorruptTableError, KeyFormatError, MeshError, MissingUpstreamError
from mesh_assets.indexes.graph_file import SUFFIX
from mesh_assets.schemas import ATTACHED, TABLES
from mesh_assets.schemas.outcome import Produced, StageOutput
from mesh_assets.schemas.rejects import REJECTS, Reject, rejects_batch
from mesh_assets.schemas.table import Table
from mesh_assets.slices import SliceKey, check_dataset_key, is_dataset_key, is_slice_of
from mesh_assets.stages import ASSETS, PARTITIONS
from mesh_assets.storage.files import publishing, remove_files, remove_folder

_FOOTER = "mesh"
# Assets that write one row for each row that they have done.
_ROW_FOR_ROW = frozenset({"raw_partitions", "chunk_embeddings", "chunk_insights"})
# Writing at level 3 takes a third more time than at 1 and saves 3 to 5% of the disk; 9 takes three times as long again.
_COMPRESSION_LEVEL = 1
# A drop of files that nothing can read has one reject for each.
_REJECTS_AT_ONCE = 10_000
# Readers hold one row group at a time; batches are gathered up to this before one is written.
_ROW_GROUP_BYTES = 16 << 20
# Of tables that are read by row: one costs 0.5 ms instead of 9, and the file is 15% larger (50,000 chunks of code).
_SMALL_ROW_GROUP_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Footer:
    """What a table says of itself. `input_hash` and `pipeline_version` tell whether it is stale.

    `content_hash` identifies the rows for the next stage. `passing` counts rejects that another try may not have.
    `made_at` is in seconds since 1970.
    """

    asset: str
    partition: str
    rows: int
    rows_in: int
    done: int
    rejects: int
    skipped: int
    passing: int
    reject_rows: int
    bytes_in: int
    input_hash: str
    content_hash: str
    pipeline_version: str
    run_id: str
    seconds: float
    made_at: float
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def conserved(self) -> bool:
        """Whether every row of the input is done, rejected or skipped, and what is done was written."""
        written = self.rows == self.done or self.asset not in _ROW_FOR_ROW
        return written and self.rows_in == self.done + self.rejects + self.skipped


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A published table: its file and its footer. Rows are read when asked for, a batch at a time."""

    path: Path
    footer: Footer

    def batches(self, columns: Sequence[str] | None = None, *, rows: int = 2048) -> Iterator[pa.RecordBatch]:
        """The rows in order, in batches of exactly `rows` but for the last: equal tables give aligned batches."""
        names = list(columns) if columns is not None else None
        held: list[pa.RecordBatch] = []
        count = 0
        with opened(self.path) as file:
            for part in file.iter_batches(batch_size=rows, columns=names, use_threads=False):
                held.append(part)
                count += part.num_rows
                while count >= rows:  # a batch of the reader ends at the end of its row group
                    table = pa.Table.from_batches(held)
                    yield table.slice(0, rows).combine_chunks().to_batches()[0]
                    held = table.slice(rows).to_batches()
                    count -= rows
        if count:
            yield pa.Table.from_batches(held).combine_chunks().to_batches()[0]

    def table(self, columns: Sequence[str] | None = None, *, where: tuple[str, str] | None = None) -> pa.Table:
        """All rows at once, or those whose column has a value: for what is small by nature."""
        names = list(columns) if columns is not None else None
        rows = pads.field(where[0]) == where[1] if where is not None else None
        return pads.dataset(self.path).to_table(columns=names, filter=rows)

    def rows(
        self, columns: Sequence[str] | None = None, *, where: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """The same as dictionaries."""
        return self.table(columns, where=where).to_pylist()


@dataclass(frozen=True, slots=True)
class UpToDate(StageOutput):
    """What an asset returns whose table was made from the same by the same code: there is nothing to do."""

    table: LakeTable


def opened(path: Path) -> pq.ParquetFile:
    """A file of the lake to be read in order. With Arrow's prefetching it would hold, compressed, all that was read."""
    return pq.ParquetFile(path, pre_buffer=False)


class Lake:
    """Reads and publishes tables below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, asset: str, partition: str) -> Path:
        """Where the table of `asset` for a dataset or slice lies. KeyFormatError for a key that is neither."""
        return self.root / asset / _below(asset, partition)

    def rejects_path(self, asset: str, partition: str) -> Path:
        """Where the rejects of that table lie."""
        return self.root / "rejects" / asset / _below(asset, partition)

    def find(self, asset: str, partition: str) -> LakeTable | None:
        """The table if it was published, else None. CorruptTableError where it cannot be read."""
        path = self.path(asset, partition)
        try:
            metadata = pq.read_metadata(path).metadata
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            raise CorruptTableError(
                f"{path} cannot be read: {error}", remedy="Delete it and materialize its partition again."
            ) from error
        try:
            footer = Footer(**json.loads((metadata or {})[_FOOTER.encode()]))
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptTableError(
                f"{path} was not written by the mesh.", remedy="Move it out of the lake; nothing else belongs there."
            ) from error
        return LakeTable(path, footer)

    def read(self, asset: str, partition: str) -> LakeTable:
        """The table; MissingUpstreamError where it was never published."""
        table = self.find(asset, partition)
        if table is None:
            raise MissingUpstreamError(
                f"{asset} of {partition} was never made.", remedy=f"Materialize {asset} for {partition} first."
            )
        return table

    def rejects(self, asset: str, partition: str) -> Iterator[pa.RecordBatch]:
        """The rejects of a table, as batches of `REJECTS`; none where the table was never published."""
        path = self.rejects_path(asset, partition)
        if path.exists():
            with opened(path) as file:
                yield from file.iter_batches(use_threads=False)

    def manifests(self) -> tuple[dict[str, Footer], list[str]]:
        """The manifest's footer of each dataset, and what is wrong with those that cannot be read."""
        found: dict[str, Footer] = {}
        damaged: list[str] = []
        for dataset in self.datasets("drop_manifests"):
            try:
                found[dataset] = self.read("drop_manifests", dataset).footer
            except MeshError as error:
                damaged.append(str(error))
        return found, damaged

    def datasets(self, asset: str) -> list[str]:
        """Keys of the datasets that have a table of a dataset-partitioned asset."""
        return sorted(path.stem for path in (self.root / asset).glob("[!.]*.parquet"))

    def all_datasets(self) -> set[str]:
        """Keys of the datasets of which any table or rejects are there, with a manifest or without."""
        found = {
            path.stem if path.suffix == ".parquet" and path.is_file() else path.name
            for folder in self._folders()
            for path in folder.glob("[!.]*")
        }
        return {key for key in found if is_dataset_key(key)}

    def slices(self, dataset: str) -> set[str]:
        """Keys of the slices of a dataset of which any table or rejects are there."""
        check_dataset_key(dataset)
        return {
            path.stem
            for folder in self._folders()
            for path in (folder / dataset).glob("[!.]*.parquet")
            if is_slice_of(path.stem, dataset)
        }

    def delete_slices(self, dataset: str, slice_keys: Collection[str]) -> int:
        """Delete every table of these slices of a dataset, and their rejects; how many files went.

        KeyFormatError where one is no key of a slice of it, before anything is deleted.
        """
        check_dataset_key(dataset)
        for key in slice_keys:
            if SliceKey.parse(key).dataset != dataset:
                raise KeyFormatError(f"{key} is no slice of {dataset}.", remedy="`mesh status` lists the datasets.")
        names = {f"{key}{suffix}" for key in slice_keys for suffix in (".parquet", SUFFIX)}
        for folder in self._folders():
            for key in slice_keys:
                remove_folder(folder / dataset / f"{key}.parts")  # what a stage that was cut off keeps for its retry
        return sum(remove_files(folder / dataset, names) for folder in self._folders())

    def delete_dataset(self, dataset: str) -> int:
        """Delete every table of a dataset and of its slices, and all rejects; how many files went.

        Tables of assets that earlier versions had go too. KeyFormatError for what is no key.
        """
        check_dataset_key(dataset)
        return sum(
            remove_folder(folder / dataset) + remove_files(folder, {f"{dataset}.parquet"}) for folder in self._folders()
        )

    def _folders(self) -> list[Path]:
        """The folders of tables and those of rejects; `rejects` itself holds no tables, but assets."""
        rejects = self.root / "rejects"
        return [
            path
            for parent in (self.root, rejects)
            for path in (sorted(parent.iterdir()) if parent.is_dir() else ())
            if path.is_dir() and path != rejects
        ]

    def publish(self, asset: str, partition: str, produced: Produced, *, version: str, run_id: str) -> LakeTable:
        """Drain what a stage produced into its files: rejects first, the main file last, each renamed into place.

        Memory is bounded by a row group. An exception of the stage leaves everything as it was.
        """
        path = self.path(asset, partition)
        with publishing(path, run_id) as temporary, _writer(temporary, TABLES[asset]) as writer:
            # Left in the other order: what is attached is published before the file of the asset.
            with ExitStack() as beside:
                attached: dict[str, _Rows] = {}
                for table in ASSETS[asset].attached:
                    place = beside.enter_context(publishing(self.path(table, partition), run_id))
                    attached[table] = _Rows(beside.enter_context(_writer(place, ATTACHED[table])))
                rows = _drain(_Rows(writer, TABLES[asset].by_row), attached, produced)
                footer = _footer(asset, partition, produced, rows, version=version, run_id=run_id)
                for table, written in attached.items():
                    own = replace(footer, asset=table, rows=written.rows)
                    written.writer.add_key_value_metadata({_FOOTER: json.dumps(asdict(own))})
            writer.add_key_value_metadata({_FOOTER: json.dumps(asdict(footer))})
            self._publish_rejects(asset, partition, produced.outcome.rejects, run_id)
        produced.published()
        return LakeTable(path, footer)

    def _publish_rejects(self, asset: str, partition: str, rejects: list[Reject], run_id: str) -> None:
        with (
            publishing(self.rejects_path(asset, partition), run_id) as temporary,
            pq.ParquetWriter(temporary, REJECTS.schema, compression="zstd") as writer,
        ):
            for start in range(0, len(rejects), _REJECTS_AT_ONCE):
                writer.write_batch(rejects_batch(rejects[start : start + _REJECTS_AT_ONCE]))


def _below(asset: str, partition: str) -> Path:
    if PARTITIONS[asset] == "dataset":
        return Path(f"{check_dataset_key(partition)}.parquet")
    return Path(SliceKey.parse(partition).dataset, f"{partition}.parquet")


def _writer(path: Path, table: Table) -> pq.ParquetWriter:
    # Arrow names columns that have a dictionary, and parts of nested ones by paths: those tables have no varied ones.
    repeating = [column.name for column in table.columns if not column.varied]
    all_repeat = len(repeating) == len(table.columns)
    return pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        use_dictionary=cast("bool", all_repeat or repeating),  # its stubs know no names
        write_page_checksum=True,  # vectors are copied from table to table for years
    )


@dataclass(slots=True)
class _Rows:
    """Rows on their way into a file: batches gathered into row groups."""

    writer: pq.ParquetWriter
    by_row: bool = False
    rows: int = 0
    _held: list[pa.RecordBatch] = field(default_factory=list[pa.RecordBatch])
    _bytes: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self.rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._bytes >= _ROW_GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._held:
            table = pa.Table.from_batches(self._held)
            groups = -(-self._bytes // _SMALL_ROW_GROUP_BYTES) if self.by_row else 1
            self.writer.write_table(table, row_group_size=-(-table.num_rows // max(groups, 1)) or None)
            self._held, self._bytes = [], 0


def _drain(own: _Rows, attached: Mapping[str, _Rows], produced: Produced) -> int:
    """All rows into their files; how many the table of the asset itself has."""

    def drain_attached() -> None:
        for table, rows in attached.items():
            for batch in produced.attached.take(table):
                rows.add(batch)

    for batch in produced.batches:
        own.add(batch)
        drain_attached()
    drain_attached()
    for rows in (own, *attached.values()):
        rows.flush()
    return own.rows


def _identity(produced: Produced) -> str:
    # The same input gives the same rows, unless something was down.
    outcome = produced.outcome
    incomplete = outcome.skipped or outcome.passing
    return f"{produced.input_hash}-{outcome.skipped}-{outcome.passing}" if incomplete else produced.input_hash


def _footer(asset: str, partition: str, produced: Produced, rows: int, *, version: str, run_id: str) -> Footer:
    outcome = produced.outcome
    return Footer(
        asset=asset,
        partition=partition,
        rows=rows,
        rows_in=outcome.total,
        done=outcome.done,
        rejects=outcome.rejected,
        skipped=outcome.skipped,
        passing=outcome.passing,
        reject_rows=len(outcome.rejects),
        bytes_in=outcome.bytes_in,
        input_hash=produced.input_hash,
        content_hash=str(produced.extra.pop("content_hash", _identity(produced))),
        pipeline_version=version,
        run_id=run_id,
        seconds=round(outcome.seconds, 3),
        made_at=time.time(),
        extra=produced.extra,
    )
