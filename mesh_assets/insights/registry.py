"""What is said of a slice: the accumulators, made fresh for each run. Adding one is a line here."""

from __future__ import annotations

from collections.abc import Callable

from mesh_assets.insights.code import CodeInsight
from mesh_assets.insights.duplicates import DuplicateInsight
from mesh_assets.insights.entity_counts import EntityInsight
from mesh_assets.insights.media import MediaInsight
from mesh_assets.insights.overview import OverviewInsight
from mesh_assets.insights.protocol import SliceInsight
from mesh_assets.insights.series_insight import SeriesInsight
from mesh_assets.insights.summary import SummaryInsight
from mesh_assets.insights.tables import TableInsight
from mesh_assets.insights.topics import TopicInsight

SLICE_INSIGHTS: tuple[Callable[[], SliceInsight], ...] = (
    OverviewInsight,
    TopicInsight,
    SummaryInsight,
    EntityInsight,
    TableInsight,
    SeriesInsight,
    CodeInsight,
    MediaInsight,
    DuplicateInsight,
)


def slice_accumulators() -> list[SliceInsight]:
    """A fresh accumulator of each sort."""
    return [make() for make in SLICE_INSIGHTS]
