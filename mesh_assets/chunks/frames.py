"""How a confined reader and its parent talk: frames of JSON, each behind its length.

JSON and not pickle, because a reader that a file has taken over may write what it likes: whatever comes is data.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, cast

from mesh_assets.chunks.protocol import Attached, Part, Piece, Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

LENGTH_BYTES = 4
# One piece of a cell, or one picture, is far below this.
MAX_FRAME = 64 << 20
# Parts are gathered up to so many characters, because a frame costs more than its bytes.
_FRAME_CHARACTERS = 64 << 10

_TIMES = tuple(Piece._fields.index(name) for name in ("time_start", "time_stop"))
_OF_SOURCE = ("path", "kind", "format", "encoding", "language", "start", "stop")


def pack(message: object) -> bytes:
    """A message as a frame."""
    content = json.dumps(message, separators=(",", ":")).encode()
    return len(content).to_bytes(LENGTH_BYTES, "little") + content


def frames(parts: Iterator[Part]) -> Iterator[bytes]:
    """Parts as frames, several in each."""
    held: list[object] = []
    size = 0
    for part in parts:
        written = _written(part)
        held.append(written)
        size += _size(part)
        if size >= _FRAME_CHARACTERS:
            yield pack(held)
            held, size = [], 0
    if held:
        yield pack(held)


def parts_of(frame: bytes, outer: Source) -> Iterator[Part]:
    """The parts in a frame that was made by reading `outer`. FormatError where it is no frame of parts."""
    try:
        for kind, content in json.loads(frame):
            yield _READ[kind](content, outer)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise FormatError(
            "its reader broke",
            f"What the reader of {outer.path} answered makes no sense: {error!r}.",
            remedy="Do not trust this file. Save it anew with the program that it is of, or leave it out.",
        ) from error


def _size(part: Part) -> int:
    """About what a part takes in a frame, in characters."""
    if isinstance(part, Piece):
        return len(part.text) + 100
    return (
        500 + sum(len(value) for value in part.row.values() if isinstance(value, bytes))
        if isinstance(part, Attached)
        else 300
    )


def _written(part: Part) -> tuple[str, object]:
    if isinstance(part, Piece):
        return "piece", [_plain(value) for value in part]
    if isinstance(part, Reject):
        return "reject", asdict(part)
    if isinstance(part, Source):
        return "source", {name: getattr(part, name) for name in _OF_SOURCE}
    return "attached", [part.table, {name: _plain(value) for name, value in part.row.items()}]


def _plain(value: object) -> object:
    """JSON of a value; what JSON has not is an object with one key."""
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": b64encode(value).decode("ascii")}
    return value


def _value(value: object) -> object:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = cast("dict[str, str]", value).items()
    return datetime.fromisoformat(content) if kind == "time" else b64decode(content)


def _piece(content: list[object], outer: Source) -> Piece:
    del outer
    for at in _TIMES:
        content[at] = _value(content[at])
    if not isinstance(content[0], str):
        raise TypeError("a piece without text")
    return Piece(*cast("list[Any]", content))


def _reject(content: dict[str, Any], outer: Source) -> Reject:
    del outer
    return Reject(**content)


def _source(content: dict[str, Any], outer: Source) -> Source:
    if not content["path"].startswith(outer.path):
        raise ValueError("a file elsewhere")
    return replace(outer, **{name: content[name] for name in _OF_SOURCE})


def _attached(content: list[Any], outer: Source) -> Attached:
    del outer
    table, row = content
    return Attached(str(table), {name: _value(value) for name, value in row.items()})


_READ: dict[str, Callable[[Any, Source], Part]] = {
    "piece": _piece,
    "reject": _reject,
    "source": _source,
    "attached": _attached,
}
