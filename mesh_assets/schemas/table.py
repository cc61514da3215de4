"""What a table is: columns with their types and meaning, a key, a grain. No table is defined here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa

from mesh_assets.errors import CorruptTableError


@dataclass(frozen=True, slots=True)
class Column:
    """One column. A `volatile` one says when or where, not what: it is left out of the table's content hash.

    Values of a `varied` one hardly repeat: a dictionary of them costs time and space.
    """

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False
    volatile: bool = False
    varied: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the lake: `grain` says what a row is, `key` names the columns that identify it.

    Of one that is read `by_row` a few rows are asked for at a time, so it is stored in small row groups.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    by_row: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema that is written."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    def batch(self, rows: list[dict[str, object]]) -> pa.RecordBatch:
        """`rows` as a batch; a missing nullable column is null. TypeError or ArrowInvalid where a row does not fit."""
        return self.cast(pa.RecordBatch.from_pylist(rows, schema=self.schema))

    def cast(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`batch` with exactly this schema; CorruptTableError names a missing column or a null where none may be."""
        arrays: list[pa.Array[Any]] = []
        for column in self.columns:
            index = batch.schema.get_field_index(column.name)
            if index < 0:
                raise CorruptTableError(
                    f"A batch of table {self.name} lacks the column {column.name}.",
                    remedy="This is a defect of the stage that made it; report it with the run's log.",
                )
            array = cast("pa.Array[Any]", batch.column(index))
            if array.null_count and not column.nullable:
                raise CorruptTableError(
                    f"A batch of table {self.name} has {array.null_count} nulls in {column.name}.",
                    remedy="This is a defect of the stage that made it; report it with the run's log.",
                )
            arrays.append(array if array.type == column.type else array.cast(column.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)
