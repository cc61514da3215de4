"""Tells formats of metrics from the first lines of a file. Each is told by what hardly anything else has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from mesh_assets.intake.metric_lines import EXPORT, INFLUX_LINE, PROMETHEUS_LINE, PROMETHEUS_TYPE

# The share of the lines that must be samples; of those of a file that says types of metrics, so many of the others.
_MOST, _HALF = 0.9, 0.5
# Samples for each line that is none: of line protocol, which has no word that says what it is.
_SURE = 3
# Lines of which one must be a sample, before all are looked at.
_FIRST = 8
# A number of fewer digits is no moment of this century in any unit.
_MOMENT_DIGITS = 10
# Endings of files of which plain samples are enough.
_PROMETHEUS_NAMES, _INFLUX_NAMES = frozenset({".prom", ".openmetrics"}), frozenset({".lp", ".influx"})


def metric_format(text: str, lines: Sequence[str], suffix: str) -> str | None:
    """`prometheus`, `influx` or `otlp`, by the sample `text` of a file and its `lines`; None for anything else."""
    if any("{" in line for line in lines[:_FIRST]) and 'Metrics"' in text and _is_export(text, lines):
        return "otlp"
    first = list(islice(_held(lines), _FIRST))
    if _is_prometheus(first, lines, suffix):
        return "prometheus"
    # A point may go on in the next line, so lines are looked at together.
    if any("=" in line for line in first) and _tally("\n".join(first))[1] and _is_influx("\n".join(lines), suffix):
        return "influx"
    return None


def _is_prometheus(first: list[str], lines: Sequence[str], suffix: str) -> bool:
    """Samples of metrics whose type is said, or that have labels; a word with a number behind it may be anything."""
    is_typed = any("#" in line[:4] and PROMETHEUS_TYPE.match(line) for line in lines)
    is_said = is_typed or suffix in _PROMETHEUS_NAMES
    if not is_said and not any("{" in line and _is_sample(line) for line in first):
        return False
    held = list(_held(lines))
    if not is_said and 2 * sum("{" in line for line in held) < len(held):
        return False
    return sum(map(_is_sample, held)) >= (_HALF if is_typed else _MOST) * len(held)


def _held(lines: Sequence[str]) -> Iterator[str]:
    """Those of `lines` that are neither blank nor comments."""
    return (line for line in lines if (start := line.lstrip("\ufeff \t")[:1]) and start != "#")


def _is_export(text: str, lines: Sequence[str]) -> bool:
    begun = sum(EXPORT.match(line) is not None for line in lines)
    return EXPORT.match(text) is not None or 2 * begun > sum(bool(line.strip()) for line in lines)


def _is_sample(line: str) -> bool:
    match = PROMETHEUS_LINE.match(line)
    return match is not None and match["value"] is not None


def _is_influx(text: str, suffix: str) -> bool:
    """Lines with tags or a moment, nearly all of the others samples too; by such a name, samples of any sort."""
    telling, good, bad = _tally(text)
    if suffix in _INFLUX_NAMES:
        return good > 0 and good >= bad
    return telling > 0 and telling >= _MOST * good and (bad == 0 or (good >= _SURE and good >= _SURE * bad))


def _tally(text: str) -> tuple[int, int, int]:
    """How many lines of `text` are telling, how many are points, and how many are neither point nor comment.

    Telling ones can hardly be anything else: they have tags, or a moment.
    """
    telling = good = bad = 0
    for match in INFLUX_LINE.finditer(text):
        name, tags, _, time, note = match.groups()
        good += name is not None
        telling += name is not None and "=" not in name and (bool(tags) or len(time or "") >= _MOMENT_DIGITS)
        bad += name is None and note is None and match.end() > match.start()
    return telling, good, bad
