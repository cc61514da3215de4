"""Statements that the data itself can be asked about: how an answer may bring a query or a prediction with a claim.

A query is one SELECT over tables of the case's own dataset, a prediction a few fields and never code. What the data
says belongs to `simulation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from mesh_assets.insights.locators import shorten
from mesh_assets.insights.wording import duration
from mesh_assets.schemas import ATTACHED, TABLES

Check = Literal["query", "prediction"]
CHECKS: tuple[Check, ...] = get_args(Check)
# Tables that a query of a claim may read, by the asset that makes them.
QUERIED = ("log_events", "log_templates", "series", "series_points", "chunk_sets", "symbols", "slice_insights")
# Nobody reads a longer query beside a claim; what lies further ahead than a year is no prediction that a log can test.
MAX_QUERY, MAX_SECONDS = 2_000, 366 * 86_400
# Where a prediction does not say how often it comes true, it says at least as often as not.
DEFAULT_SHARE = 0.5
# Columns that a node is not told of: they are there, and say nothing that a claim is about.
_UNTOLD = frozenset(
    "chunk_id symbol_id insight_id dataset slice extent_start byte_start byte_stop row row_start row_stop source_hash "
    "place context example evidence docstring gaps bases format".split()
)
_CHANGES = ("above", "below", "rises", "falls")
_SHOWN = 60

_CONDITION: dict[str, object] = {
    "type": "object",
    "description": "Either message: words of a log message, <*> for what varies. Or series (its name), is, and value.",
    "properties": {
        "message": {"type": "string", "minLength": 3, "maxLength": 500},
        "series": {"type": "string", "minLength": 1, "maxLength": 200},
        "is": {"type": "string", "enum": list(_CHANGES)},
        "value": {"type": "number"},
    },
    "additionalProperties": False,
}


def with_checks(schema: Mapping[str, object], checks: Sequence[Check]) -> Mapping[str, object]:
    """`schema`, of an answer, where each claim may bring what can be checked."""
    if not checks:
        return schema
    made = cast("dict[str, Any]", deepcopy(dict(schema)))
    claim: dict[str, Any] = made["properties"]["claims"]["items"]
    forms = {"query": _query_form, "prediction": _prediction_form}
    claim["properties"] |= {check: forms[check]() for check in checks}
    return made


def _query_form() -> dict[str, object]:
    tables = [(TABLES | ATTACHED)[asset] for asset in QUERIED]
    named = ((table.name, (each.name for each in table.columns if each.name not in _UNTOLD)) for table in tables)
    told = "; ".join(f"{table}({', '.join(columns)})" for table, columns in named)
    return {
        "type": "string",
        "maxLength": MAX_QUERY,
        "description": "Optional. One DuckDB SELECT that shows the claim: it gives the numbers that the claim states, "
        f"or the one word true or false. Tables of this dataset: {told}.",
    }


def _prediction_form() -> dict[str, object]:
    return {
        "type": "object",
        "description": "Optional. What the claim says will follow, tested on the past: after `when` (without it after "
        "any moment) comes `then` within the seconds, in at least this share of cases.",
        "properties": {
            "when": _CONDITION,
            "then": _CONDITION,
            "within_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["then", "within_seconds"],
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class Sign:
    """What is seen: a `message` of a log, or a `series` that is above or below `value`, or rises or falls by it from
    one point to the next.
    """

    message: str = ""
    series: str = ""
    change: str = ""
    value: float = 0.0

    def __str__(self) -> str:
        if self.message:
            return f"`{shorten(self.message, _SHOWN)}`"
        by = " by" if self.change in ("rises", "falls") else ""
        return f"`{shorten(self.series, _SHOWN)}` {self.change}{by} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Prediction:
    """`then` comes within so many seconds after `when`, after any moment where that is None, in this share of cases."""

    then: Sign
    within: float
    when: Sign | None = None
    share: float = DEFAULT_SHARE

    def __str__(self) -> str:
        after = f"after {self.when}" if self.when is not None else "at any moment"
        return f"{after}, {self.then} within {duration(self.within)}, in {self.share:.0%} of cases or more"


def query_of(claim: Mapping[str, object]) -> str:
    """The query that a claim brings, empty where it brings none."""
    query = claim.get("query")
    return query.strip() if isinstance(query, str) and len(query) <= MAX_QUERY else ""


def prediction_of(claim: Mapping[str, object]) -> Prediction | str | None:
    """The prediction that a claim brings, None where it brings none; a sentence where it is none that can be tested."""
    found = claim.get("prediction")
    if not isinstance(found, Mapping):
        return None
    fields = cast("Mapping[str, object]", found)
    then, when = _sign(fields.get("then")), _sign(fields["when"]) if fields.get("when") else None
    within, share = _number(fields.get("within_seconds")), _number(fields.get("share", DEFAULT_SHARE))
    if isinstance(then, str) or isinstance(when, str):
        return "It names neither a message nor a series with what becomes of it."
    if within is None or not 0 < within <= MAX_SECONDS or share is None or not 0 <= share <= 1:
        return "It says no time within which it comes true, or no share of cases."
    return Prediction(then, within, when, share)


def _sign(value: object) -> Sign | str:
    fields = cast("Mapping[str, object]", value if isinstance(value, Mapping) else {})
    message, series, change = (str(fields.get(name) or "").strip() for name in ("message", "series", "is"))
    number = _number(fields.get("value"))
    if bool(message) == bool(series):
        return "neither"
    if message:
        return Sign(message=message)
    return Sign("", series, change, number) if change in _CHANGES and number is not None else "neither"


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # JSON has numbers of any length
        return None
