"""Files inside files: what is in an archive or attached to a mail, each chunked as if it lay in a folder.

A member has the path `outer.zip!/inner/file.txt`; bytes of its chunks count in the member, or in its reading. How the
members of each format are found belongs to `archives` and to the readers of documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

from mesh_assets.chunks.protocol import Part, Room, Source, one_by_one
from mesh_assets.errors import FormatError, SourceError
from mesh_assets.intake.kinds import SAMPLE_BYTES, detect
from mesh_assets.schemas.rejects import Reject

# Between the path of a file and that of a file in it.
INSIDE = "!/"
# Files in files in files: deeper ones are made by who wants to exhaust a reader.
MAX_DEPTH = 4
# Everything in a file together may be this many times as large as the file is; small files may unpack to the floor.
# Logs that say the same over and over shrink to a hundredth.
MAX_RATIO = 200
ROOM_FLOOR = 64 << 20
_BOMB_REMEDY = "Unpack it yourself, if you know what it is, and drop its content as a folder."


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside another: its name there, its size in bytes, and how to open it, as often as wanted."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


def room_of(source: Source) -> Room:
    """What may still be unpacked from the file that `source` is, or is in."""
    return source.room or Room(max(ROOM_FLOOR, MAX_RATIO * (source.stop - source.start)))


def take_room(room: Room, size: int, path: str) -> None:
    """Count `size` more bytes as unpacked. FormatError where that is more than may be."""
    room.left -= size
    if room.left < 0:
        raise FormatError(
            "unpacks to too much",
            f"{path} holds more than {MAX_RATIO} times its own size, and more than {ROOM_FLOOR >> 20} MiB.",
            remedy=_BOMB_REMEDY,
        )


def member_parts(source: Source, name: str, data: bytes, *, chunk_tokens: int) -> Iterator[Part]:
    """What comes of a file with the content `data` that is in `source` under `name`; see `parts_of_member`."""
    take_room(room_of(source), len(data), source.path)
    yield from parts_of_member(source, Member(name, len(data), lambda: BytesIO(data)), chunk_tokens=chunk_tokens)


def parts_of_member(source: Source, member: Member, *, chunk_tokens: int) -> Iterator[Part]:
    """The member as a `Source`, then its parts. What cannot be used of it is a reject of the member, not of `source`.

    Its room must have been taken. Names are labels: nothing is ever opened by them.
    """
    from mesh_assets.chunks.registry import chunker_for, no_chunker  # which names the chunkers that call this

    inner = _inner(source, member)
    if not member.size:
        return
    if inner.path.count(INSIDE) > MAX_DEPTH:
        yield _rejected(inner, "too deep", f"A file in a file, {MAX_DEPTH + 1} times.", _BOMB_REMEDY)
        return
    chunker = chunker_for(inner.kind, inner.format)
    if chunker is None:
        missing = no_chunker(inner)
        yield _rejected(inner, missing.reason, missing.detail, missing.remedy)
        return
    yield inner
    try:
        for part in one_by_one(chunker.chunk(inner, chunk_tokens=chunk_tokens)):
            is_whole = isinstance(part, Reject) and not part.is_part
            yield replace(part, byte_start=0, byte_stop=member.size) if isinstance(part, Reject) and is_whole else part
    except SourceError as error:
        yield _rejected(inner, error.reason, error.message, error.remedy)


def _inner(source: Source, member: Member) -> Source:
    names = [name for name in member.name.replace("\\", "/").split("/") if name not in ("", ".", "..")]
    path = "/".join(names).encode("utf-8", "replace").decode() or "unnamed"
    with member.open() as stream:
        sample = stream.read(min(SAMPLE_BYTES, member.size))
    found = detect(sample, path, whole=len(sample) == member.size)
    return replace(
        source,
        path=f"{source.path}{INSIDE}{path}",
        kind=found.kind,
        format=found.format,
        encoding=found.encoding,
        language=None,
        start=0,
        stop=member.size,
        open=member.open,
        head=bytes,
        room=room_of(source),
    )


def _rejected(inner: Source, reason: str, detail: str, remedy: str) -> Reject:
    """A reject of a whole member: a part of the file that it is in, which goes on."""
    return Reject(inner.path, reason, remedy, detail, byte_start=0, byte_stop=inner.stop)
