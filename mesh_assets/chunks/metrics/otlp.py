"""Metrics of OpenTelemetry as JSON: what one export, or one of its `ResourceMetrics`, says as samples.

Source: `opentelemetry/proto/metrics/v1/metrics.proto` and "OTLP: JSON Protobuf Encoding" of the specification; parts of
histograms and summaries are called as the specification "Prometheus and OpenMetrics Compatibility" calls them. How
samples become text and chunks belongs to `otlp_reading`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple, cast

from mesh_assets.chunks.metrics.samples import Sample, checked

# Attributes of a resource that tell its series from those of others; the rest is said once, in `target_info`.
IDENTIFYING = (
    *("service.namespace", "service.name", "service.instance.id", "host.name"),
    *("k8s.namespace.name", "k8s.pod.name", "container.name", "container.id"),
)
TARGET_INFO = "target_info"
_KINDS = {
    "gauge": "gauge",
    "sum": "counter",
    "histogram": "histogram",
    "exponentialHistogram": "histogram",
    "summary": "summary",
}
# The flag of a point that says that there is no value.
_NO_VALUE = 1
# More buckets than this are no histogram that anything writes.
_MAX_BUCKETS = 10_000

_Object = dict[str, object]


@dataclass(slots=True)
class Metric:
    """One metric of one resource: what it is, and its samples. `faults` counts points that cannot be read."""

    name: str
    kind: str
    unit: str = ""
    text: str = ""
    samples: list[Sample] = field(default_factory=list[Sample])
    faults: int = 0


class Resource(NamedTuple):
    """What produced metrics: all that is said of it, and the metrics."""

    attributes: dict[str, str]
    metrics: Iterator[Metric]


def samples(document: object) -> Iterator[Sample]:
    """All samples of a parsed document; ValueError where it is no export."""
    for resource in resources(document):
        for metric in resource.metrics:
            yield from metric.samples


def resources(document: object) -> Iterator[Resource]:
    """The resources of a parsed document, an export or one `ResourceMetrics`. ValueError where it is neither."""
    if not isinstance(document, dict) or not (document.keys() & {"resourceMetrics", "scopeMetrics"}):
        raise ValueError("no resourceMetrics")
    found = cast("_Object", document)
    for each in _objects(found, "resourceMetrics") if "resourceMetrics" in found else [found]:
        attributes = _attributes(_object(each, "resource"))
        yield Resource(attributes, _metrics(each, identity(attributes)))


def identity(attributes: dict[str, str]) -> dict[str, str]:
    """The attributes of a resource that are labels of its samples: those that identify it, else all."""
    return {name: attributes[name] for name in IDENTIFYING if name in attributes} or attributes


def _metrics(resource: _Object, labels: dict[str, str]) -> Iterator[Metric]:
    scopes = _objects(resource, "scopeMetrics") or _objects(resource, "instrumentationLibraryMetrics")
    for scope in scopes:
        for metric in _objects(scope, "metrics"):
            yield _metric(metric, labels)


def _metric(said: _Object, labels: dict[str, str]) -> Metric:
    name = _string(said, "name")
    kind = next((kind for kind in _KINDS if isinstance(said.get(kind), dict)), None)
    if not name or kind is None:
        return Metric(name, "", faults=1)
    data = _object(said, kind)
    is_level = kind == "sum" and data.get("isMonotonic") is not True
    metric = Metric(name, "gauge" if is_level else _KINDS[kind], _string(said, "unit"), _string(said, "description"))
    read = _READERS[kind]
    for point in _objects(data, "dataPoints"):
        try:
            if _integer(point.get("flags", 0)) & _NO_VALUE:
                continue
            own = {**labels, **_attributes(point)}
            moment = _moment(point)
            metric.samples += [
                Sample(f"{name}{part}", {**own, **more}, moment, value) for part, more, value in read(point)
            ]
        except (ValueError, TypeError, OverflowError):
            metric.faults += 1
    return metric


# What a point says: the end of the sample's name, further labels, the value.
_Values = list[tuple[str, dict[str, str], float]]


def _number_values(point: _Object) -> _Values:
    value = _float(point["asDouble"]) if "asDouble" in point else float(_integer(point.get("asInt")))
    return [("", {}, value)]


def _common_values(point: _Object) -> _Values:
    found: _Values = [("_count", {}, float(_integer(point.get("count", 0))))]
    return found + [(f"_{name}", {}, _float(point[name])) for name in ("sum", "min", "max") if name in point]


def _histogram_values(point: _Object) -> _Values:
    counts, bounds = _list(point, "bucketCounts"), _list(point, "explicitBounds")
    if counts and len(counts) != len(bounds) + 1:
        raise ValueError("as many bounds as buckets")
    limits = [*map(_float, bounds), float("inf")]
    return _common_values(point) + _buckets(list(zip(limits, map(_integer, counts), strict=False)))


def _exponential_values(point: _Object) -> _Values:
    """Bucket `index` holds values up to `base ** (index + 1)`, where the base is 2 ** 2 ** -scale."""
    scale = _integer(point.get("scale", 0))
    if not -64 <= scale <= 64:
        raise ValueError("no such scale")
    exponent = 2.0**-scale
    negative, positive = (_object(point, side) for side in ("negative", "positive"))
    found: list[tuple[float, int]] = []
    first = _integer(negative.get("offset", 0))
    for at, count in reversed(list(enumerate(_list(negative, "bucketCounts")))):
        found.append((-(2.0 ** (exponent * (first + at))), _integer(count)))
    found.append((_float(point.get("zeroThreshold", 0.0)), _integer(point.get("zeroCount", 0))))
    first = _integer(positive.get("offset", 0))
    for at, count in enumerate(_list(positive, "bucketCounts")):
        found.append((2.0 ** (exponent * (first + at + 1)), _integer(count)))
    found.append((float("inf"), 0))
    return _common_values(point) + _buckets(found)


def _buckets(buckets: list[tuple[float, int]]) -> _Values:
    """Counts of all values up to each bound: `le` is what Prometheus calls it."""
    if len(buckets) > _MAX_BUCKETS:
        raise ValueError("too many buckets")
    totals = accumulate(count for _, count in buckets)
    return [
        ("_bucket", {"le": "+Inf" if bound == float("inf") else repr(bound)}, float(total))
        for (bound, _), total in zip(buckets, totals, strict=True)
    ]


def _summary_values(point: _Object) -> _Values:
    quantiles = [
        ("", {"quantile": repr(_float(each.get("quantile", 0.0)))}, _float(each.get("value", 0.0)))
        for each in _objects(point, "quantileValues")
    ]
    return quantiles + _common_values(point)


_READERS: dict[str, Callable[[_Object], _Values]] = {
    "gauge": _number_values,
    "sum": _number_values,
    "histogram": _histogram_values,
    "exponentialHistogram": _exponential_values,
    "summary": _summary_values,
}


def _moment(point: _Object) -> int | None:
    """Microseconds since 1970 UTC; 0 or nothing says that it is not known."""
    nanoseconds = _integer(point.get("timeUnixNano", 0))
    return checked(nanoseconds // 1000) if nanoseconds else None


def _attributes(said: _Object) -> dict[str, str]:
    return {_string(each, "key"): _any_value(each.get("value")) for each in _objects(said, "attributes")}


def _any_value(value: object) -> str:
    """An `AnyValue` as text: lists and objects as JSON writes them."""
    if not isinstance(value, dict) or not value:
        return ""
    name, said = next(iter(cast("_Object", value).items()))
    if isinstance(said, bool):
        return "true" if said else "false"
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, sort_keys=name != "arrayValue")


def _object(of: _Object, name: str) -> _Object:
    found = of.get(name)
    return cast("_Object", found) if isinstance(found, dict) else {}


def _list(of: _Object, name: str) -> list[object]:
    found = of.get(name)
    return cast("list[object]", found) if isinstance(found, list) else []


def _objects(of: _Object, name: str) -> list[_Object]:
    return [cast("_Object", each) for each in _list(of, name) if isinstance(each, dict)]


def _string(of: _Object, name: str) -> str:
    found = of.get(name)
    return found if isinstance(found, str) else ""


def _integer(value: object) -> int:
    """A whole number, which JSON of this format may write as text. TypeError or ValueError where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("no number")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("no whole number")
    return int(value)


def _float(value: object) -> float:
    """A number, or `NaN`, `Infinity`, `-Infinity` as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("no number")
    return float(value)
