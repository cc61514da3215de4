"""The timeline of the lake, asked by DuckDB: the embedded engine behind `search.timeline.Timeline`.

Files are in order of time, so that of each only the parts are read that a window reaches.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb

from mesh_assets.search.timeline import Bucket, Moment, Spoken, Window

# What logs call an event that someone should look at.
_ERRORS = "('ERROR', 'FATAL', 'CRITICAL', 'SEVERE', 'ALERT', 'EMERGENCY')"
_WITHIN = """
    ($start IS NULL OR time >= $start) AND ($stop IS NULL OR time < $stop)
    AND ($dataset IS NULL OR dataset = $dataset) AND ($level IS NULL OR level = $level)
"""
_SPAN = f"SELECT min(time), max(time) FROM moments WHERE {_WITHIN}"  # noqa: S608  # all of it is ours
_BUCKETS = f"""
SELECT time_bucket($every, time, TIMESTAMPTZ '1970-01-01 00:00:00+00') AS start, count(*) FILTER (what = 'event'),
       count(*) FILTER (what = 'event' AND level IN {_ERRORS}), count(*) FILTER (what = 'point')
FROM moments WHERE {_WITHIN} GROUP BY start ORDER BY start
"""  # noqa: S608
_TEMPLATES = f"""
SELECT of_id, any_value(named.template), any_value(named.log), mode(level), count(*) AS events, min(time), max(time)
FROM moments
JOIN (SELECT template_id, any_value(template) AS template, any_value(log) AS log FROM log_templates GROUP BY 1) named
    ON named.template_id = of_id
WHERE what = 'event' AND {_WITHIN} GROUP BY of_id ORDER BY events DESC, of_id LIMIT $limit
"""  # noqa: S608
_MOMENTS = f"""
WITH found AS (
    SELECT * FROM moments WHERE {_WITHIN}
    ORDER BY coalesce(abs(epoch_us(time) - epoch_us($near::TIMESTAMPTZ)), epoch_us(time)), path, place
    LIMIT $limit
),
called AS (
    SELECT template_id AS id, any_value(template) AS said FROM log_templates
    WHERE template_id IN (SELECT of_id FROM found) GROUP BY 1
    UNION ALL
    SELECT series_id, any_value(name) FROM series WHERE series_id IN (SELECT of_id FROM found) GROUP BY 1
)
SELECT time, what, dataset, slice, path, chunk_id, place, said, level, source, value
FROM found LEFT JOIN called ON id = of_id ORDER BY time, path, place
"""  # noqa: S608


class LakeTimeline:
    """The timeline behind an open `lake.duckdb` (`storage.duckdb_query.lake_connection`)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def span(self, window: Window) -> tuple[datetime, datetime] | None:
        """See the Protocol."""
        ((first, last),) = self._rows(_SPAN, window)
        return None if first is None else (first, last)

    def buckets(self, window: Window, every: timedelta) -> list[Bucket]:
        """See the Protocol. Spans begin at multiples of `every` since 1970."""
        return [Bucket(*row) for row in self._rows(_BUCKETS, window, every=every)]

    def templates(self, window: Window, *, limit: int = 10) -> list[Spoken]:
        """See the Protocol."""
        return [Spoken(*row) for row in self._rows(_TEMPLATES, window, limit=limit)]

    def moments(self, window: Window, *, near: datetime | None = None, limit: int = 100) -> list[Moment]:
        """See the Protocol."""
        return [Moment(*row) for row in self._rows(_MOMENTS, window, near=near, limit=limit)]

    def _rows(self, query: str, window: Window, **more: object) -> list[tuple[Any, ...]]:
        asked = {"start": window.start, "stop": window.stop, "dataset": window.dataset, "level": window.level}
        return self._connection.execute(query, {**asked, **more}).fetchall()
