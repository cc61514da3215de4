"""How the command prints. Drop text is hostile in a terminal too: no escape sequence of it gets there."""

from __future__ import annotations

import json
import sys

from rich.console import Console

from mesh_assets.errors import SettingsError
from mesh_assets.slices import dataset_key
from mesh_assets.storage.lake import Lake

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


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def duration(seconds: float) -> str:
    """A duration for people."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def known_dataset(lake: Lake, name: str) -> str:
    """The key of a dataset, given by its key or by the name of its folder; SettingsError names those that exist."""
    known = lake.datasets("drop_manifests")
    if name in known:
        return name
    if dataset_key(name) in known:
        return dataset_key(name)
    raise SettingsError(
        f"There is no dataset {name!r}.", remedy=f"Those that were read: {', '.join(known) or 'none yet'}."
    )
