"""A report becomes a document, a page, a summary and one row of the table of reports."""

from __future__ import annotations

from mesh_assets.reports.rendering import render, report_batch
from mesh_assets.schemas.reports import REPORTS
from mesh_assets_tests.reports.samples import incident, of_slice, plain


def test_the_same_insights_give_the_same_bytes() -> None:
    insights = [incident(), plain("topic", "Payments", chunks=3, kinds={"a": 1, "b": 2})]
    assert render(of_slice(*insights)) == render(of_slice(*reversed(insights)))


def test_the_row_names_the_subject_counts_findings_and_holds_the_document() -> None:
    report = of_slice(incident())
    rendered = render(report)
    batch = report_batch(report, rendered, "slices/shop.000001.html")
    assert batch.schema == REPORTS.schema
    assert batch.to_pylist() == [
        {
            "subject": "shop.000001",
            "title": "Slice shop.000001",
            "findings": 1,
            "markdown": rendered.markdown,
            "html": "slices/shop.000001.html",
        }
    ]


def test_text_that_utf8_cannot_hold_does_not_reach_a_file() -> None:
    rendered = render(of_slice(plain("odd", "a", figure="\ud800", counts={"\udfff": 1})))
    for text in (rendered.markdown, rendered.html, rendered.ui):
        text.encode()
