"""The form of the small programs in each language that the tests know the symbols of."""

from __future__ import annotations

from typing import NamedTuple


class Defined(NamedTuple):
    """What is expected of one definition."""

    type: str
    signature: str
    doc: str | None = None
    calls: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()


class Program(NamedTuple):
    """A program, what it imports, and its definitions in order."""

    text: str
    imports: tuple[str, ...]
    symbols: dict[str, Defined]
