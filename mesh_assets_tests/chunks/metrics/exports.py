"""Exports of OpenTelemetry, as its collector writes them."""

from __future__ import annotations

import json
from typing import Any

SECOND = 10**9
START = 1_700_000_000 * SECOND


def attributes(**values: str) -> list[dict[str, Any]]:
    return [{"key": key.replace("_", "."), "value": {"stringValue": value}} for key, value in values.items()]


def point(value: float, second: int = 0, **labels: str) -> dict[str, Any]:
    moment = str(START + second * SECOND)
    return {"asDouble": value, "timeUnixNano": moment, "attributes": attributes(**labels)}


def gauge(name: str, *points: dict[str, Any], text: str = "", unit: str = "") -> dict[str, Any]:
    return {"name": name, "description": text, "unit": unit, "gauge": {"dataPoints": list(points)}}


def resource(*metrics: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {
        "resource": {"attributes": attributes(**labels)},
        "scopeMetrics": [{"scope": {"name": "meter"}, "metrics": list(metrics)}],
    }


def export(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceMetrics": list(resources)}


def lines(*documents: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(document)}\n" for document in documents)
