"""Small charts as SVG text, written by hand: nothing is loaded, the same numbers give the same bytes.

Charts that stand in a page take its text colour and its `--mark`; a sparkline stands alone as an image, so its colours
are fixed ones that can be told from white and from black. All text is made visible and escaped.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from mesh_assets.reports.prose import figure, one_line
from mesh_assets.reports.values import Breakdown, Series, at, coarsened, when
from mesh_assets.wording import brief, count, shorten

# Geometry in SVG units; at full width of the page one unit is about one CSS pixel.
_WIDTH, _HEIGHT = 720, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 24, 160
_ROW, _BAR_WIDTH = 22, 380
# Width of a letter of 11 units, on the generous side; letters of East Asian scripts are about twice as wide.
_LETTER = 7.2
_TICKS = 5
_ALONE = "#868e96"
_MARK = "var(--mark,#c92a2a)"
# A chart of two shares: left, right, top and bottom of its square.
_SIDE = (36, 236, 24, 224)
_FAINT = 'stroke="currentColor" stroke-opacity=".3"'
_FILLED = f'style="fill:{_MARK}" fill-opacity=".6"'


def line_chart(series: Series, title: str) -> str:
    """`series` over time (or over its labels), with what is marked in colour on a band, and both axes labelled."""
    places, step = _places(series)
    low, high = min(0.0, *series.y), _ceiling(max(0.0, *series.y))
    scale = (_BOTTOM - _TOP) / ((high - low) or 1.0)
    base = _BOTTOM + low * scale
    first, last = series.marked or (1, 0)

    def strokes(start: int, stop: int) -> str:
        return "".join(
            f"M{_n(places[i])} {_n(base)}V{_n(base - series.y[i] * scale)}" for i in range(start, stop) if series.y[i]
        )

    width = _n(min(max(step * 0.8, 1.0), 24.0))
    plain = strokes(0, first) + strokes(last + 1, len(places)) if series.marked else strokes(0, len(places))
    parts = [
        *_head(_WIDTH, _HEIGHT, title, _described(series)),
        *_band(series, places, step),
        *_y_axis(low, high, scale),
        f'<path d="{plain}" stroke="currentColor" stroke-opacity=".55" stroke-width="{width}"/>',
    ]
    if series.marked:
        parts.append(f'<path d="{strokes(first, last + 1)}" style="stroke:{_MARK}" stroke-width="{width}"/>')
    parts += _x_axis(series, places)
    parts.append(_text(_LEFT, 12, series.unit))
    return "".join([*parts, "</svg>"])


def bar_chart(breakdown: Breakdown, title: str) -> str:
    """A horizontal bar for each entry with its label and number; their lengths compare with the longest."""
    entries = breakdown.entries
    highest = max((n for _, n in entries), default=1.0) or 1.0
    described = "; ".join(f"{one_line(label)}: {figure(n, breakdown.name)}" for label, n in entries[:3])
    labels = [shorten(one_line(label), 36) for label, _ in entries]
    left = max(map(_letters, labels), default=0) * _LETTER + 10
    parts = _head(_WIDTH, _ROW * max(len(entries), 1) + 4, title, described)
    for i, (_, n) in enumerate(entries):
        middle = i * _ROW + _ROW / 2 + 6
        length = max(_BAR_WIDTH * max(n, 0.0) / highest, 1.0)
        parts.append(_text(0, middle, labels[i]))
        parts.append(
            f'<rect x="{_n(left)}" y="{i * _ROW + 4}" width="{_n(length)}" height="{_ROW - 7}" rx="2" '
            'fill="currentColor" fill-opacity=".4"/>'
        )
        parts.append(_text(left + length + 6, middle, figure(n, breakdown.name)))
    return "".join([*parts, "</svg>"])


def bars(heights: tuple[float, ...], title: str) -> str:
    """How values are distributed, as bars in one line of text."""
    highest = max(heights, default=0.0) or 1.0
    width = 5 * len(heights)
    drawn = "".join(
        f"M{5 * i} 16V{_n(16 - max(15 * height / highest, 1.0))}h4V16z"
        for i, height in enumerate(heights)
        if height > 0
    )
    name = html.escape(one_line(title))
    return (
        f'<svg class="bars" role="img" aria-label="{name}" viewBox="0 0 {width} 16" width="{width}" height="16">'
        f'<path d="{drawn}" fill="currentColor" fill-opacity=".55"/></svg>'
    )


def reliability_chart(bins: Sequence[tuple[float, float, int]], title: str) -> str:
    """What was stated against what was right, a circle for each bin (stated, right, answers); on the line both agree.

    Shares are 0..1. The area of a circle grows with the answers in its bin.
    """
    most = max((answers for _, _, answers in bins), default=1) or 1
    described = "; ".join(f"stated {stated:.2f}, right {right:.2f}" for stated, right, _ in bins)
    parts = [*_square(title, described), f'<path d="M{_SIDE[0]} {_SIDE[3]}L{_SIDE[1]} {_SIDE[2]}" {_FAINT}/>']
    for stated, right, answers in bins:
        x, y = _in_square(stated, right)
        parts.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(2 + 4 * (answers / most) ** 0.5)}" {_FILLED}/>')
    return "".join([*parts, *_named("stated", "right"), "</svg>"])


def risk_coverage_chart(points: Sequence[tuple[float, float]], title: str) -> str:
    """The share of wrong answers (risk) among the surest, by the share of answers that is kept (coverage), 0..1."""
    last = points[-1] if points else (0.0, 0.0)
    described = f"Of all that is kept, {last[1]:.0%} is wrong where {last[0]:.0%} is kept."
    path = "L".join(f"{_n(x)} {_n(y)}" for x, y in (_in_square(*point) for point in points))
    drawn = [f'<path d="M{path}" fill="none" style="stroke:{_MARK}"/>'] if points else []
    return "".join([*_square(title, described), *drawn, *_named("kept", "wrong"), "</svg>"])


def _square(title: str, described: str) -> list[str]:
    """The frame of a chart of two shares."""
    left, right, top, bottom = _SIDE
    frame = f'<path d="M{left} {top}V{bottom}H{right}V{top}z" fill="none" {_FAINT}/>'
    return [*_head(_SIDE[1] + 20, _SIDE[3] + 28, title, described), frame]


def _in_square(x: float, y: float) -> tuple[float, float]:
    left, right, top, bottom = _SIDE
    return left + (right - left) * min(max(x, 0.0), 1.0), bottom - (bottom - top) * min(max(y, 0.0), 1.0)


def _named(x: str, y: str) -> list[str]:
    """Both axes with their ends and names."""
    left, right, top, bottom = _SIDE
    return [
        *(_text(left - 6, at + 4, end, anchor="end") for at, end in ((bottom, "0"), (top, "1"))),
        *(_text(at, bottom + 16, end, anchor="middle") for at, end in ((left, "0"), (right, "1"))),
        _text((left + right) / 2, bottom + 16, x, anchor="middle"),
        _text(left + 4, top - 8, y),
    ]


def standing_alone(chart: str) -> str:
    """A chart as an image of its own, in a colour that can be told from white and from black."""
    return chart.replace("currentColor", _ALONE)


def sparkline(series: Series) -> str:
    """The shape of `series` in under 600 characters, for a place that has room for few; what is marked is red."""
    # 32 points of at most 5 characters each keep the whole small enough for a data URI in the Dagster UI.
    small = coarsened(series, 32)
    low, high = min(0.0, *small.y), max(0.0, *small.y)
    heights = [round(18 - 16 * (y - low) / ((high - low) or 1.0)) for y in small.y]
    first, last = small.marked or (0, 0)
    marked = _relative(heights, max(first - 1, 0), last)
    red = f'<path stroke="#e03131" d="{marked}"/>' if small.marked else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(heights) * 3} 20" width="240" height="40" '
        f'fill="none" stroke="#4c8bf5"><path d="{_relative(heights, 0, len(heights) - 1)}"/>{red}</svg>'
    )


def _relative(heights: list[int], first: int, last: int) -> str:
    """The path through `heights`, three units apart, in relative steps: the shortest way to write it."""
    steps = "".join(f"3{b - a:+d} ".replace("+", " ") for a, b in pairwise(heights[first : last + 1]))
    return f"M{first * 3} {heights[first]}l{steps}".rstrip()


def _head(width: int, height: int, title: str, described: str) -> list[str]:
    name = html.escape(one_line(title))
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{name}"><title>{name}</title><desc>{html.escape(described)}</desc>'
    ]


def _places(series: Series) -> tuple[list[float], float]:
    """Where each point lies from left to right, and how wide one is: by time where all x are times, else evenly."""
    inner = _WIDTH - _LEFT - _RIGHT
    times = _times(series)
    steps = [(b - a).total_seconds() for a, b in pairwise(times)]
    if not steps or min(steps) <= 0:
        step = inner / len(series.x)
        return [_LEFT + (i + 0.5) * step for i in range(len(series.x))], step
    least = min(steps)
    whole = (times[-1] - times[0]).total_seconds() + least
    return [
        _LEFT + inner * ((moment - times[0]).total_seconds() + least / 2) / whole for moment in times
    ], inner * least / whole


def _times(series: Series) -> list[datetime]:
    """The moments of all x; an empty list where one is no moment."""
    times = [moment for x in series.x if (moment := when(x)) is not None]
    return times if len(times) == len(series.x) else []


def _band(series: Series, places: list[float], step: float) -> list[str]:
    if series.marked is None:
        return []
    first, last = series.marked
    left, right = places[first] - step / 2 - 2, places[last] + step / 2 + 2
    labels = _labels(series)
    label = labels[first] if first == last else f"{labels[first]} to {labels[last]}"
    anchor, x = ("end", right) if left > _WIDTH / 2 else ("start", left)
    return [
        f'<rect x="{_n(left)}" y="{_TOP - 6}" width="{_n(right - left)}" height="{_BOTTOM - _TOP + 6}" '
        f'style="fill:{_MARK}" fill-opacity=".12"/>',
        _text(x, 12, label, anchor=anchor, style=f"fill:{_MARK}"),
    ]


def _y_axis(low: float, high: float, scale: float) -> list[str]:
    parts: list[str] = []
    for value in sorted({low, 0.0, high / 2, high}):
        y = _BOTTOM - (value - low) * scale
        parts.append(f'<path d="M{_LEFT} {_n(y)}H{_WIDTH - _RIGHT}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(_text(_LEFT - 6, y + 4, brief(value), anchor="end"))
    return parts


def _x_axis(series: Series, places: list[float]) -> list[str]:
    """Labels under the axis: a handful of moments, or the first and last label."""
    labels = _labels(series)
    chosen = [0, len(labels) - 1]
    if _times(series) and len(labels) > _TICKS:
        chosen = sorted({round(i * (len(labels) - 1) / (_TICKS - 1)) for i in range(_TICKS)})
    parts: list[str] = []
    for i in chosen:
        anchor = "start" if i == 0 else "end" if i == len(labels) - 1 else "middle"
        x = _LEFT if i == 0 else _WIDTH - _RIGHT if anchor == "end" else places[i]
        parts.append(_text(x, _BOTTOM + 16, labels[i], anchor=anchor))
    return parts


def _labels(series: Series) -> list[str]:
    """What to write for each x: times as short as the whole span allows, other labels shortened."""
    times = _times(series)
    if not times:
        return [shorten(one_line(x), 24) for x in series.x]
    whole = times[-1] - times[0]
    if whole < timedelta(minutes=10):
        pattern = "%H:%M:%S"
    elif times[0].date() == times[-1].date():
        pattern = "%H:%M"
    else:
        pattern = "%m-%d %H:%M" if whole < timedelta(days=60) else "%Y-%m-%d"
    return [f"{moment:{pattern}}" for moment in times]


def _described(series: Series) -> str:
    peak = max(range(len(series.y)), key=lambda i: series.y[i])
    x = [one_line(at(label)) for label in series.x]
    text = f"From {x[0]} to {x[-1]}, at most {count(series.y[peak])} {one_line(series.unit)} at {x[peak]}."
    if series.marked:
        text += f" Marked from {x[series.marked[0]]} to {x[series.marked[1]]}."
    return text


def _letters(text: str) -> int:
    """How many letters wide `text` is."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _ceiling(value: float) -> float:
    """The next round number at or above `value`: one digit (or 1.5, 2.5) times a power of ten; 1 for zero."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(f"{value:.0f}") - 1) if value >= 1 else 10.0 ** int(f"{value:e}".split("e")[1])
    return next((m * power for m in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if m * power >= value), value)


def _text(x: float, y: float, text: str, *, anchor: str = "start", style: str = "") -> str:
    styled = f' style="{style}"' if style else ' fill="currentColor"'
    escaped = html.escape(one_line(text))
    return f'<text x="{_n(x)}" y="{_n(y)}" font-size="11" text-anchor="{anchor}"{styled}>{escaped}</text>'


def _n(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")
