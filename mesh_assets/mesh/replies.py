"""What a completion says: whether it ended as it should, and its JSON value in the form of its schema.

A completion that is not plain JSON is repaired once, by one rule: what a model thought aloud is left out, then the
first JSON object in the rest is taken. Nothing is completed, guessed or asked again; what does not fit then is rejected
with the reason, and the text is kept by whoever paid for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from mesh_assets.mesh.json_schema import faults
from mesh_assets.mesh.protocol import Finish

_ENDS: Mapping[Finish, str] = {
    "length": "cut off: the answer ran into its limit of tokens",
    "refusal": "refused: the node declined to answer",
    "other": "not finished: the node stopped for another reason than being done",
}
# Reasoning models on servers that do not take their thoughts out.
_THOUGHTS = re.compile(r"^\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """The value of a completion, or why it has none (`rejected`)."""

    value: Mapping[str, object]
    rejected: str = ""
    is_repaired: bool = False


def read_reply(text: str, finish: Finish, schema: Mapping[str, object]) -> Reply:
    """The object that `text` holds, where the node was done and the object has the form of `schema`."""
    if finish != "stop":
        return Reply({}, rejected=_ENDS[finish])
    if not text.strip():
        return Reply({}, rejected="empty: the node said nothing")
    value, is_repaired = _object(text)
    if value is None:
        return Reply({}, rejected="no JSON: there is no whole object in the answer", is_repaired=is_repaired)
    found = faults(value, schema)
    if found:
        return Reply({}, rejected=f"wrong form: {'; '.join(found)}", is_repaired=is_repaired)
    return Reply(value, is_repaired=is_repaired)


def _object(text: str) -> tuple[dict[str, object] | None, bool]:
    """The object, and whether the text had to be repaired for it."""
    try:
        value = _loads(text)
    except (ValueError, RecursionError):
        return _first_object(_THOUGHTS.sub("", text)), True
    return (cast("dict[str, object]", value), False) if isinstance(value, dict) else (None, False)


def _loads(text: str) -> object:
    return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _first_object(text: str) -> dict[str, object] | None:
    """The first object that begins at a brace and is whole, fenced or not."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    start = text.find("{")
    # A text of braces would be read again from each: a few tries find the object of any answer that means one.
    for _ in range(16):
        if start < 0:
            return None
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
        else:
            return cast("dict[str, object]", value)
    return None
