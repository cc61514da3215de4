"""Entry point of the stage: a report in each of its forms, and its row in the table of reports."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from mesh_assets.reports.html import html_report
from mesh_assets.reports.markdown import markdown_report, ui_summary
from mesh_assets.reports.model import Report
from mesh_assets.reports.prose import one_line
from mesh_assets.schemas.reports import REPORTS


@dataclass(frozen=True, slots=True)
class Rendered:
    """One report as a Markdown document, as an HTML page, and as the few lines that the Dagster UI shows inline."""

    markdown: str
    html: str
    ui: str


def render(report: Report) -> Rendered:
    """`report` in all its forms; the same report gives the same bytes, all of them encodable as UTF-8."""
    return Rendered(markdown_report(report), html_report(report), ui_summary(report))


def report_batch(report: Report, rendered: Rendered, html_name: str) -> pa.RecordBatch:
    """The one row of `REPORTS`; `html_name` is where the caller put the page, under the reports folder."""
    row: dict[str, object] = {
        "subject": report.subject,
        "title": one_line(report.title),
        "findings": report.findings,
        "markdown": rendered.markdown,
        "html": html_name,
    }
    return REPORTS.batch([row])
