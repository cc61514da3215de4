"""What a node says, as it may be kept and shown on this machine: without the keys and passwords of its evidence.

A node outside knows them as `[KEY_1]`, which is read back in its answer, so that quotes can be looked up; one on this
machine was told them. Addresses of people stay: who is meant is part of many an answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh_assets.insights.secrets import mask
from mesh_assets.mesh.redaction.redact import redact

_HIDDEN = "****"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys and passwords of some texts, longest first, which are never shown."""

    values: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, texts: Sequence[str]) -> Secrets:
        """Those that redaction finds in `texts`."""
        found = redact(texts, kinds=("KEY", "PASSWORD"))
        return cls(tuple(sorted(set(found.values.values()), key=len, reverse=True)))

    def hide(self, text: str) -> str:
        """`text` with stars for each of them, and for whatever else looks like one."""
        for value in self.values:
            text = re.sub(rf"(?<![0-9A-Za-z]){re.escape(value)}(?![0-9A-Za-z])", _HIDDEN, text)
        return mask(text, filler=_HIDDEN)
