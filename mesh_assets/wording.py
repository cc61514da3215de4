"""Numbers, sizes and durations as every report, insight and command writes them: one unit for one thing.

Sentences of insights belong to `insights.wording`, moments and hostile text to `reports.prose`.
"""

from __future__ import annotations

from datetime import timedelta

_SECONDS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, with an ellipsis where some were left off."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def count(value: float) -> str:
    """1234 as `1,234`, 0.12345 as `0.123`, 3.0 as `3`; beyond 15 digits as `1.2e+20`."""
    if abs(value) >= 1e15:
        return f"{value:.2g}"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


def size(length: float) -> str:
    """12345678 bytes as `12.3 MB`: decimal units, three digits."""
    return _scaled(length, ("B", "kB", "MB", "GB", "TB", "PB", "EB"))


def brief(value: float) -> str:
    """1234567 as `1.23 M`, for the axis of a chart; below a thousand as `count` gives it."""
    scaled = _scaled(abs(value), ("", "k", "M", "G", "T", "P", "E")).rstrip()
    return f"-{scaled}" if value < 0 else scaled


def _scaled(value: float, units: tuple[str, ...]) -> str:
    step = 0
    while value >= 999.5 and step < len(units) - 1:
        value /= 1000
        step += 1
    return f"{count(float(f'{value:.3g}'))} {units[step]}"


def duration(length: timedelta) -> str:
    """The two largest units: `2 d 3 h`, `20 min`, `45 s`; below a second `0.25 s`."""
    seconds = abs(length.total_seconds())
    if seconds < 1:
        return f"{seconds:.2g} s"
    parts: list[str] = []
    left = int(seconds)
    for unit, worth in _SECONDS:
        whole, left = divmod(left, worth)
        if whole:
            parts.append(f"{whole:,} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])
