"""What a check says. Nothing is looked at here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one subject. `wrong` loses work or stops it, `warn` may; both say what to do in `remedy`."""

    subject: str
    level: Level
    what: str
    remedy: str = ""


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.level != "wrong" for finding in findings)
