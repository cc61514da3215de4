"""A lake with a log and a series where one thing follows on another, for tests of claims that are put to the data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mesh_assets.schemas import ATTACHED, TABLES
from mesh_assets.schemas.citations import Citation
from mesh_assets.storage.lake import Lake

START = datetime(2026, 11, 1, tzinfo=UTC)
TEMPLATES = {
    "lag": "WARN replica lag <*> s",
    "lost": "ERROR pool no connection left max <*>",
    "beat": "INFO heartbeat <*>",
}
LEVELS = {"lag": "WARN", "lost": "ERROR", "beat": "INFO"}
# The replica lags 30 times; 24 times the pool is lost 40 s later, and 6 times for no such reason.
LAGS, FOLLOWED, ALONE = 30, 24, 6


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def events() -> list[tuple[float, str]]:
    """Seconds and names of what the log says."""
    found = [(3600.0 * n, "lag") for n in range(LAGS)] + [(3600.0 * n + 40, "lost") for n in range(FOLLOWED)]
    found += [(3600.0 * n + 1900, "lost") for n in range(ALONE)]
    return sorted([*found, *((60.0 * n + 7, "beat") for n in range(60 * LAGS))])


def publish(lake: Lake, asset: str, slice_key: str, rows: Iterable[dict[str, object]]) -> None:
    """A file of the lake with these rows; fields that are left out are null, or empty where they may not be."""
    schema = (TABLES | ATTACHED)[asset].schema
    empty = {field.name: None if field.nullable else _EMPTY.get(field.type, "") for field in schema}
    path = lake.path(asset, slice_key)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([empty | row for row in rows], schema=schema), path)


_EMPTY: dict[pa.DataType, object] = {pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): False}


def past_lake(root: Path, dataset: str = "shop") -> Lake:
    """The lake, with the dataset in one slice."""
    lake, key = Lake(root), f"{dataset}.000000"
    own: dict[str, object] = {"dataset": dataset, "slice": key}
    rows = events()
    example = Citation(dataset, "shop.log", 0, 1, "0" * 12, 1, "x").row()
    publish(
        lake,
        "log_events",
        key,
        (
            own | {"chunk_id": "c", "path": "shop.log", "byte_start": n, "byte_stop": n + 1, "time": _at(seconds)}
            | {"level": LEVELS[name], "template_id": f"{dataset}-{name}"}
            for n, (seconds, name) in enumerate(rows)
        ),
    )  # fmt: skip
    times = {name: [seconds for seconds, each in rows if each == name] for name in TEMPLATES}
    publish(
        lake,
        "log_templates",
        key,
        (
            own | {"template_id": f"{dataset}-{name}", "log": "shop.log", "template": text, "events": len(times[name])}
            | {"time_start": _at(times[name][0]), "time_stop": _at(times[name][-1]), "example": example}
            for name, text in TEMPLATES.items()
        ),
    )  # fmt: skip
    values = [95.0 if n % 60 == 1 and n < 60 * FOLLOWED else 20.0 for n in range(60 * LAGS)]
    publish(
        lake,
        "series",
        key,
        [
            own | {"series_id": "cpu", "path": "cpu.csv", "name": "cpu", "points": len(values), "seconds": 60.0}
            | {"labels": {}, "time_start": _at(0), "time_stop": _at(60.0 * len(values))}
        ],
    )  # fmt: skip
    points = ({"series_id": "cpu", "time": _at(60.0 * n), "row": n, "value": value} for n, value in enumerate(values))
    publish(lake, "series_points", key, points)
    return lake
