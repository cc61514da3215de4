"""Insights, rejects and facts to make reports of; each argument left out has a harmless value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from mesh_assets.insights.protocol import Insight
from mesh_assets.reports.model import Facts, Report, dataset_report, slice_report
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.insights import INSIGHTS
from mesh_assets.schemas.rejects import Reject, rejects_batch

START = datetime(2024, 3, 14, 10, 0, tzinfo=UTC)


def citation(*, path: str = "app.log", line: int = 7, quote: str = "pool exhausted") -> Citation:
    return Citation("shop", path, 100 * line, 100 * line + 14, "ab12cd34ef5600ff", line, quote)


def incident(
    *,
    title: str = "Burst of errors in app.log",
    statement: str = "240 errors a minute instead of 3.",
    start: datetime = START,
    minutes: int = 20,
    score: float = 0.9,
    evidence: tuple[Citation, ...] | None = None,
) -> Insight:
    x = [(start + timedelta(minutes=i)).isoformat() for i in range(minutes)]
    y = [240.0 if i > 15 else 3.0 for i in range(minutes)]
    return Insight(
        "log",
        "log_incident",
        title,
        statement,
        score,
        {"series": {"x": x, "y": y, "unit": "errors in 1 minute", "marked": [min(16, minutes - 1), minutes - 1]}},
        (citation(),) if evidence is None else evidence,
        start,
        start + timedelta(minutes=minutes),
    )


def plain(type_: str, title: str, statement: str = "", *, score: float = 0.3, **value: object) -> Insight:
    return Insight("text", type_, title, statement or f"About {title}.", score, dict(value), (citation(),))


def batch(*insights: Insight, slice_key: str = "shop.000001") -> pa.RecordBatch:
    return INSIGHTS.batch([insight.row(dataset="shop", slice_key=slice_key) for insight in insights])


def rejects(*listed: Reject) -> dict[str, list[pa.RecordBatch]]:
    return {"chunk_sets": [rejects_batch(list(listed))]}


def facts(*slices: str, files: int = 12, size: int = 12_345_678, chunks: int = 340, **more: object) -> Facts:
    keys = slices or ("shop.000001",)
    return Facts(dataset="shop", slices=keys, files=files, size=size, chunks=chunks, made=START, **more)  # type: ignore[arg-type]


def of_slice(*insights: Insight, unread: tuple[Reject, ...] = ()) -> Report:
    return slice_report(facts(), [batch(*insights)], rejects(*unread))


def of_dataset(*slices: list[Insight]) -> Report:
    keys = [f"shop.{number:06d}" for number in range(1, len(slices) + 1)]
    batches = [batch(*insights, slice_key=key) for key, insights in zip(keys, slices, strict=True)]
    return dataset_report(facts(*keys), batches, {})


def section(report: Report, key: str):  # noqa: ANN201
    return next(section for section in report.sections if section.key == key)
