"""A report as one self-contained HTML file: no script, nothing loaded, text of drops inert and visible.

Every value that the template prints passes `visible` and is escaped by jinja; only the SVG of `plots` is markup.
Pictures are in the page itself, as `data:` of a JPEG.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mesh_assets.reports.model import Report
from mesh_assets.reports.plots import bar_chart, bars, line_chart
from mesh_assets.reports.prose import amount, figure, one_line, place, show_command, span, visible, words
from mesh_assets.reports.values import Breakdown, Series


def html_report(report: Report) -> str:
    """The page of `report`, complete and of a bounded size."""
    return _environment().get_template("report.html.j2").render(report=report)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "amount": amount,
        "command": show_command,
        "figure": figure,
        "jpeg": _jpeg,
        "line": one_line,
        "place": place,
        "words": words,
    }
    environment.filters.update(filters)
    functions: dict[str, Callable[..., str]] = {
        "span": span,
        "line_chart": _line_chart,
        "bar_chart": _bar_chart,
        "bars": _bars,
    }
    environment.globals.update(functions)
    return environment


def _finalize(value: object) -> object:
    return value if isinstance(value, Markup) else visible(str(value))


def _jpeg(image: bytes) -> str:
    return f"data:image/jpeg;base64,{b64encode(image).decode('ascii')}"


def _line_chart(series: Series, title: str) -> Markup:
    return Markup(line_chart(series, title))  # noqa: S704  plots escapes every text


def _bar_chart(breakdown: Breakdown, title: str) -> Markup:
    return Markup(bar_chart(breakdown, title))  # noqa: S704  plots escapes every text


def _bars(heights: tuple[float, ...], title: str) -> Markup:
    return Markup(bars(heights, title))  # noqa: S704  plots escapes every text
