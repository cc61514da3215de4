"""Logs as tables: each record (`LOG_EVENTS`), what they say (`LOG_TEMPLATES`), what stands out (`LOG_INSIGHTS`)."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.citations import CITATION
from mesh_assets.schemas.insights import INSIGHTS
from mesh_assets.schemas.table import Column, Table

LOG_TEMPLATES = Table(
    name="log_templates",
    grain="one template of one log in a slice",
    key=("template_id",),
    columns=(
        Column("template_id", pa.string(), "32 hex digits of dataset, log and template: the same in every slice."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("log", pa.string(), "Path of the log in its dataset; rotated files are one log."),
        Column("template", pa.string(), "The message with `<*>` for what varies."),
        Column("level", pa.string(), "The level that most of its events have.", nullable=True),
        Column("events", pa.int64(), "How many events of the slice have it; of a log of free text at least so many."),
        Column("time_start", TIMESTAMP, "The first of them, UTC.", nullable=True),
        Column("time_stop", TIMESTAMP, "The last of them.", nullable=True),
        Column("example", CITATION, "One of them."),
    ),
)

LOG_EVENTS = Table(
    name="log_events",
    grain="one record of a log",
    key=("chunk_id", "byte_start"),
    columns=(
        Column("chunk_id", pa.string(), "The chunk that holds the record."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("path", pa.string(), "Path of the file in its dataset."),
        Column("byte_start", pa.int64(), "Where the record starts in the file."),
        Column("byte_stop", pa.int64(), "Where it ends, its continuation lines included, exclusive."),
        Column("time", TIMESTAMP, "Its moment, UTC.", nullable=True),
        Column("level", pa.string(), "TRACE, DEBUG, INFO, NOTICE, WARN, ERROR ...", nullable=True),
        Column("source", pa.string(), "What wrote it: a component, a class, a process.", nullable=True),
        Column("template_id", pa.string(), "Its template.", nullable=True),
    ),
)

# Those of `slice_insights` that are about logs, before they are ranked with the others.
LOG_INSIGHTS = replace(INSIGHTS, name="log_insights", grain="one insight about the logs of a slice")
