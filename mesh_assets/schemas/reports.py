"""Reports: what a slice or a dataset amounts to, as Markdown; the HTML lies beside, under the reports folder."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

REPORTS = Table(
    name="reports",
    grain="the report of one slice or dataset",
    key=("subject",),
    columns=(
        Column("subject", pa.string(), "Key of the slice or dataset."),
        Column("title", pa.string(), "Its title."),
        Column("findings", pa.int64(), "Findings in it."),
        Column("markdown", pa.string(), "The report as Markdown."),
        Column("html", pa.string(), "Name of its HTML file under the reports folder.", volatile=True),
    ),
)
