"""Pieces of a reading that a medium's chunker writes part by part, and how moments and places in it are written.

What the parts say belongs to the chunkers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, fitted_context, prose_cuts
from mesh_assets.chunks.protocol import Piece
from mesh_assets.chunks.tokens import estimate_tokens
from mesh_assets.chunks.windows import Window, codec_for

# Characters kept of one text that a file carries: a description is shorter, a program's settings are no description.
MAX_TEXT = 2000
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff]+")


@dataclass(slots=True)
class Reading:
    """The reading of one file as far as it is written. `context` is what each piece needs to be understood alone."""

    context: str
    limit: int
    byte: int = 0
    line: int = 1

    @classmethod
    def of(cls, path: str, chunk_tokens: int) -> Reading:
        """A reading of the file `path`: its folder and name are what people told of it, and so the context."""
        return cls("/".join(path.split("/")[-2:]), chunk_tokens)

    def write(
        self, text: str, *, place: str | None = None, times: tuple[datetime, datetime] | None = None
    ) -> Iterator[Piece]:
        """The pieces of the next part: one where it fits, else cut as prose is. `text` gets a line break at its end."""
        text = text.rstrip("\n") + "\n"
        window = Window(text, self.byte, self.byte + len(text.encode()), self.line, codec_for("utf-8"), final=True)
        cutter = Cutter.of(window, "text")
        own = estimate_tokens(text, "text")
        # What fits alone is not split for the sake of its context.
        room = self.limit - own if own <= self.limit else self.limit // CONTEXT_SHARE
        context = fitted_context(self.context, room, "text")
        for stop, _ in prose_cuts(text, cutter.meter, 0, len(text), self.limit - context[1]):
            yield cutter.cut(stop, context=context, times=times, place=place)
        self.byte, self.line = cutter.byte, cutter.line


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """`text` without characters that are no text, at most `limit` of it."""
    kept = _CONTROLS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return kept if len(kept) <= limit else kept[:limit].rstrip() + " …"


def one_line(text: str, limit: int = MAX_TEXT) -> str:
    """The same with each run of white space as one space."""
    return " ".join(clean(text, limit).split())


def clock(seconds: float) -> str:
    """A moment in a recording as players write it: `0:12`, `1:02:03`."""
    whole = round(seconds)
    minutes, left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def span(start: float, stop: float) -> str:
    """A part of a recording: `0:12 to 0:31`."""
    return f"{clock(start)} to {clock(stop)}"
