"""How the command prints. Drop text is hostile in a terminal too: no escape sequence of it gets there."""

from __future__ import annotations

import json
import sys

from rich.console import Console

# Into a file or pipe, where nobody sees a terminal's edge, tables keep their columns.
_WIDTH = None if sys.stdout.isatty() else 160
console = Console(highlight=False, width=_WIDTH)
errors = Console(stderr=True, highlight=False)


def safe(text: str) -> str:
    """`text` on one line and without control characters: it can neither steer a terminal nor forge a line of it."""
    return safe_lines(text).replace("\n", "\ufffd")


def safe_lines(text: str) -> str:
    """The same for a text that may have several lines, as an answer or a value has."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in text)


def print_json(value: object) -> None:
    """`value` as JSON on standard output, for scripts."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True, default=str) + "\n")
