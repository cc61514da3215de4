"""Deviations that belong together become one finding: when, what against what was usual, in sentences, with lines."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mesh_assets.chunks.log_records import LEVELS
from mesh_assets.insights.log_scales import Deviation
from mesh_assets.insights.log_series import Series
from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.template_miner import ANY, written
from mesh_assets.insights.wording import amount, duration, period, rate, usual
from mesh_assets.schemas.citations import Citation

# What a deviation needs to be reported: about ten errors where none were, or twenty expected events that are missing.
LEAST_STRENGTH = 2.5
# A log with more incidents than this, and than it has days, is restless; then of the further ones only those near the
# strongest are worth a person's time.
MANY = 4
MAX_INCIDENTS = 12
_MAX_SENTENCES = 4
_MAX_CITATIONS = 6
_LEVEL_WORDS = {*LEVELS, "WARNING", "ERR", "V", "D", "I", "W", "E", "F"}
# Of a burst of errors, one message that makes up this share is named as the burst.
_NEARLY_ALL = 0.6


def incidents(deviations: Iterable[Deviation], *, days: float = 1.0) -> list[Insight]:
    """Findings of type `log_incident`, strongest first, of logs that span so many days."""
    ranked = sorted((d for d in deviations if d.strength >= LEAST_STRENGTH), key=lambda d: -d.strength)
    groups: list[list[Deviation]] = []
    for deviation in ranked:
        group = next((group for group in groups if any(_belong(deviation, other) for other in group[:4])), None)
        if group is None:
            groups.append([deviation])
        else:
            group.append(deviation)
    scored = sorted(((_group_strength(group), group) for group in groups), key=lambda item: -item[0])
    many = max(MANY, int(min(days, MAX_INCIDENTS)))
    scored = [item for place, item in enumerate(scored) if place < many or item[0] >= 0.5 * scored[0][0]]
    return [_insight(strength, group) for strength, group in scored[:MAX_INCIDENTS]]


def _belong(one: Deviation, other: Deviation) -> bool:
    """Whether two deviations are one event: the same time, or one at the edge of the other."""
    slack = 2.0 * max(one.width, other.width)
    if one.start > other.stop + slack or other.start > one.stop + slack:
        return False
    shorter, longer = sorted((one.seconds, other.seconds))
    overlap = min(one.stop, other.stop) - max(one.start, other.start)
    return (
        abs(one.start - other.start) <= max(slack, 0.5 * shorter)
        or min(abs(one.start - other.stop), abs(other.start - one.stop)) <= slack
        or overlap >= 0.5 * longer
        or (overlap >= 0.8 * shorter and shorter >= 0.1 * longer)
    )


def _group_strength(group: list[Deviation]) -> float:
    first, *rest = [deviation.strength for deviation in group]
    return first + min(0.5 * first, 0.2 * sum(rest))


def _insight(strength: float, group: list[Deviation]) -> Insight:
    main = group[0]
    said = _worth_saying(group)
    start, stop = _moment(main.start), _moment(main.stop)
    carrier = _carrier(main, said)
    sentences = [_phrase(deviation) for deviation in said if deviation is not carrier]
    if carrier is not None:
        sentences[0] += f", nearly all of them `{_series_text(carrier.series)}`"
        sentences[0] += ", which appeared for the first time" if carrier.is_new else ""
    where = "" if len({d.source for d in said}) > 1 else f" in {main.source}"
    first = f"{period(start, stop)}{where}: {sentences[0]}."
    more = [_capital(sentence) + "." for sentence in sentences[1:]]
    return Insight(
        kind="log",
        type="log_incident",
        title=f"{_title(carrier if carrier and carrier.is_new else main)} in {main.source}, {start:%Y-%m-%d %H:%M}",
        statement=" ".join((first, *more)),
        score=0.5 + 0.49 * (1 - math.exp(-strength / 8)),
        value=_value(main, group),
        evidence=tuple(_evidence(said)),
        time_start=start,
        time_stop=stop,
    )


def _worth_saying(group: list[Deviation]) -> list[Deviation]:
    """The main deviation and the strongest of those that say something else; a message that is new is always named."""
    said: list[Deviation] = []
    named: set[tuple[str, object]] = set()
    for deviation in sorted(group, key=lambda d: (d is not group[0], not d.is_new, -d.strength)):
        key = (deviation.kind, deviation.series.words or deviation.severity)
        if key not in named and len(said) < _MAX_SENTENCES:
            named.add(key)
            said.append(deviation)
    return said


def _carrier(main: Deviation, said: list[Deviation]) -> Deviation | None:
    """The message that a burst of a level or of all records consists of, if it is one."""
    if main.series.name == "template" or main.kind != "burst":
        return None
    return next(
        (
            deviation
            for deviation in said
            if deviation.series.name == "template"
            and deviation.kind in ("burst", "new")
            and deviation.observed >= _NEARLY_ALL * main.observed
        ),
        None,
    )


def _moment(seconds: float) -> datetime:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def template_text(words: tuple[str, ...], *, example: str = "", characters: int = 90) -> str:
    """A template as people read it: without what stands before the message, `…` where it varies.

    The signs between its words are those of `example`, a line that has it.
    """
    kept = list(words)
    while len(kept) > 2 and (
        kept[0][0] in "<[(" or kept[0].strip(":|-").upper() in _LEVEL_WORDS or not any(c.isalpha() for c in kept[0])
    ):
        kept.pop(0)
    text = written(tuple(kept), example) or " ".join(kept)
    text = mask(text.replace("<n>", "…").replace("<id>", "…").replace("<path>", "…").replace(ANY, "…"))
    return (text[: characters - 1] + "…" if len(text) > characters else text).replace("`", "'")


def _series_text(series: Series, *, characters: int = 90) -> str:
    """The template of a series as its first line writes it."""
    example = series.cells[min(series.cells)].first.text if series.cells else ""
    return template_text(series.words, example=example, characters=characters)


def _what(deviation: Deviation) -> str:
    """The events of a deviation in the plural."""
    return {"total": "records", "error": "errors", "warning": "warnings"}.get(deviation.series.name, "times")


def _phrase(deviation: Deviation) -> str:
    d = deviation
    if d.kind == "shift":
        moved = "rose" if d.observed > d.expected else "fell"
        return f"`{_around(d)}` {moved} to about {amount(d.observed)} from {amount(d.expected)}"
    name = _series_text(d.series) if d.series.name == "template" else ""
    if d.kind == "silence":
        missing = f"where about {amount(d.expected)} were to be expected"
        came = "none" if d.observed == 0 else f"only {amount(d.observed)}"
        if name:
            return f"`{name}` stopped for {duration(d.seconds)}: {came} {missing}"
        return (
            f"{'no' if d.observed == 0 else 'only ' + amount(d.observed)} {_what(d)} in {duration(d.seconds)} {missing}"
        )
    if d.kind == "drift":
        times = f"{amount(d.observed)} times instead of {usual(d.expected)}"
        return f"`{name}` came more often for {duration(d.seconds)}: {times}"
    if name:
        if d.is_new:
            return f"`{name}` appeared for the first time, {amount(d.observed)} times in {duration(d.seconds)}"
        return f"`{name}` came {amount(d.observed)} times instead of {usual(d.expected)}"
    return rate(d.observed, d.expected, d.seconds, _what(d))


def _around(deviation: Deviation) -> str:
    """The number that shifted with the words beside it: `took … ms`."""
    label, said = deviation.label.split(), deviation.series.words
    if len(label) > 1 and label[0].strip(",:;()") in said[1:]:  # one more word says more: `queue depth …`
        before = said[said.index(label[0].strip(",:;()"), 1) - 1]
        label = [before, *label] if before[0].isalpha() else label
    return template_text(tuple(label))


def _title(deviation: Deviation) -> str:
    d = deviation
    name = _series_text(d.series, characters=60) if d.series.name == "template" else _what(d)
    if d.kind == "shift":
        return f"{'Jump' if d.observed > d.expected else 'Fall'} of `{_around(d)}`"
    if d.kind == "silence":
        return "Silence" if d.series.name == "total" else f"`{name}` stopped"
    if d.kind == "drift":
        return f"More and more `{name}`"
    if d.series.name == "template":
        return f"{'New message' if d.is_new else 'Burst of'} `{name}`"
    return f"Burst of {name}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _value(main: Deviation, group: list[Deviation]) -> dict[str, object]:
    plot = main.plot
    stamps = [_moment(time).isoformat() for time in plot.times]
    unit = "typical value" if main.kind == "shift" else f"{_what(main)} in {duration(plot.seconds)}"
    return {
        "deviations": [
            {
                "source": d.source,
                "kind": d.kind,
                "what": _series_text(d.series) if d.series.words else _what(d),
                "observed": round(d.observed, 3),
                "baseline": round(d.expected, 3),
                "new": d.is_new,
                "start": _moment(d.start).isoformat(),
                "stop": _moment(d.stop).isoformat(),
            }
            for d in group[:12]
        ],
        "series": {"x": stamps, "y": plot.y, "unit": unit, "marked": list(plot.marked)},
    }


def _evidence(said: list[Deviation]) -> list[Citation]:
    """The first lines of each deviation that is named, the main one's before the others', none twice."""
    cited: dict[tuple[str, int], Citation] = {}
    for depth in range(3):
        for deviation in said:
            if depth < len(deviation.shown) and len(cited) < _MAX_CITATIONS:
                citation = deviation.shown[depth].citation()
                cited.setdefault((citation.path, citation.byte_start), citation)
    return list(cited.values())
