"""How the command prints. Drop text is hostile in a terminal too: no escape sequence of it gets there."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

from rich.console import Console

from mesh_assets import wording
from mesh_assets.wording import size as size

# Into a file or pipe, where nobody sees a terminal's edge, tables keep their columns.
_WIDTH = None if sys.stdout.isatty() else 160
console = Console(highlight=False, width=_WIDTH)
errors = Console(stderr=True, highlight=False)


def safe(text: str) -> str:
    """`text` without control characters other than newline and tab, so that it cannot steer a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in text)


def print_json(value: object) -> None:
    """`value` as JSON on standard output, for scripts."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True, default=str) + "\n")


def duration(seconds: float) -> str:
    """A duration for people, to the second."""
    return wording.duration(timedelta(seconds=round(seconds)))
