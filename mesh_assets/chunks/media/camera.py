"""What a picture file says of its picture beside it: when, where and by what it was taken, and what people wrote.

EXIF (CIPA DC-008), XMP (ISO 16684) and the text chunks of PNG. All of it is often damaged: what cannot be read is left
out, and the picture stays.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from mesh_assets.chunks.media.reading import clean, one_line

if TYPE_CHECKING:
    from PIL.Image import Image

# What a library raises over damaged data beside a picture.
DAMAGED = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, SyntaxError, EOFError),
    *(struct.error, zlib.error, RuntimeError, AssertionError),
)
_EXIF, _GPS = 0x8769, 0x8825
_MAKE, _MODEL, _SOFTWARE, _DESCRIPTION, _ARTIST, _COPYRIGHT = 0x010F, 0x0110, 0x0131, 0x010E, 0x013B, 0x8298
_ORIENTATION = 0x0112
_EXPOSURE, _TAKEN, _TAKEN_ZONE, _COMMENT = 0x829A, 0x9003, 0x9011, 0x9286
# Texts that Windows keeps in UTF-16.
_XP = {0x9C9B: "Title", 0x9C9C: "Comment", 0x9C9D: "Author", 0x9C9E: "Keywords", 0x9C9F: "Description"}
_PNG_TEXTS = ("Title", "Author", "Description", "Copyright", "Comment", "Software", "Keywords")
_XMP = {
    "title": "Title",
    "description": "Description",
    "subject": "Keywords",
    "creator": "Author",
    "rights": "Copyright",
}
_XMP_DEPTH = 8


@dataclass(slots=True)
class Origin:
    """Where a picture comes from. `place` is latitude and longitude in degrees, south and west negative.

    `taken` is UTC where the camera knew its zone, else what its clock showed, taken as UTC. `exposed` says that a
    camera noted how long it exposed, `is_turned` that it lies on its side in the file. `texts` are what people and
    programs wrote, by what it is.
    """

    taken: datetime | None = None
    written: str = ""
    place: tuple[float, float] | None = None
    camera: str = ""
    exposed: bool = False
    is_turned: bool = False
    texts: dict[str, str] = field(default_factory=dict[str, str])


def origin_of(image: Image) -> Origin:
    """What `image` says of itself. Never raises."""
    found = Origin()
    with suppress(*DAMAGED):
        _read_exif(image, found)
    with suppress(*DAMAGED):
        _read_xmp(image, found)
    info = cast("dict[object, object]", image.info)
    for name in _PNG_TEXTS:
        for key in (name, name.lower()):
            _keep(found, name, info.get(key))
    return found


def _read_exif(image: Image, found: Origin) -> None:
    exif = image.getexif()
    tags = cast("Mapping[int, object]", exif)
    found.is_turned = tags.get(_ORIENTATION) in (5, 6, 7, 8)
    for tag, name in {_DESCRIPTION: "Description", _ARTIST: "Author", _COPYRIGHT: "Copyright"}.items():
        _keep(found, name, tags.get(tag))
    for tag, name in _XP.items():
        value = tags.get(tag)
        if isinstance(value, tuple):
            value = bytes(cast("tuple[int, ...]", value))
        if isinstance(value, bytes):
            _keep(found, name, value.decode("utf-16-le", "replace").rstrip("\0"))
    make, model = (one_line(_text(tags.get(tag)), 80) for tag in (_MAKE, _MODEL))
    # `Canon Canon PowerShot` says it twice.
    found.camera = model if model.lower().startswith(make.lower().split(" ")[0]) else f"{make} {model}".strip()
    _keep(found, "Software", tags.get(_SOFTWARE))
    with suppress(*DAMAGED):
        taken = cast("Mapping[int, object]", exif.get_ifd(_EXIF))
        found.exposed = _EXPOSURE in taken
        comment = taken.get(_COMMENT)
        if isinstance(comment, bytes) and comment[:8] in (b"ASCII\0\0\0", b"\0" * 8):
            comment = comment[8:]
        _keep(found, "Comment", comment)
        _read_moment(_text(taken.get(_TAKEN)), _text(taken.get(_TAKEN_ZONE)), found)
    with suppress(*DAMAGED):
        found.place = _position(cast("Mapping[int, object]", exif.get_ifd(_GPS)))


def _read_moment(moment: str, zone: str, found: Origin) -> None:
    read = datetime.strptime(moment.strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S")
    zone = zone.strip("\0 ")
    found.taken, found.written = read.replace(tzinfo=UTC), f"{read:%Y-%m-%d %H:%M:%S}"
    with suppress(ValueError, OverflowError):
        if zone:
            found.taken = datetime.fromisoformat(f"{read:%Y-%m-%dT%H:%M:%S}{zone}").astimezone(UTC)
            found.written += f" {zone}"


def _position(tags: Mapping[int, object]) -> tuple[float, float] | None:
    degrees: list[float] = []
    for ref, at, negative, most in ((1, 2, "S", 90), (3, 4, "W", 180)):
        parts = [float(part) for part in cast("tuple[float, float, float]", tags[at])]
        value = parts[0] + parts[1] / 60 + parts[2] / 3600
        if not 0 <= value <= most:
            return None
        degrees.append(-value if _text(tags[ref]).strip("\0 ").upper() == negative else value)
    # Nobody takes pictures at 0, 0: it is what cameras write that do not know where they are.
    return (degrees[0], degrees[1]) if any(degrees) else None


def _read_xmp(image: Image, found: Origin) -> None:
    reader = getattr(image, "getxmp", None)
    if reader is None:
        return
    for name, value in _named(reader(), 0):
        _keep(found, name, value)


def _named(value: object, depth: int) -> Iterator[tuple[str, str]]:
    """The texts of a tree of XMP that have a name of Dublin Core."""
    if depth > _XMP_DEPTH:
        return
    if isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _named(inner, depth + 1)
    elif isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            if key in _XMP:
                yield _XMP[key], ", ".join(_leaves(inner, depth + 1))
            else:
                yield from _named(inner, depth + 1)


def _leaves(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth <= _XMP_DEPTH:
        for inner in cast("list[object]", value):
            yield from _leaves(inner, depth + 1)
    elif isinstance(value, dict) and depth <= _XMP_DEPTH:
        for key, inner in cast("dict[str, object]", value).items():
            if key != "lang":
                yield from _leaves(inner, depth + 1)


def _keep(found: Origin, name: str, value: object) -> None:
    text = clean(_text(value))
    if text and name not in found.texts:
        found.texts[name] = text


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.strip("\0 ") if isinstance(value, str) else ""


def degrees(place: tuple[float, float]) -> str:
    """`48.85837 N 2.29448 E`: five digits are a metre."""
    latitude, longitude = place
    north, east = "S" if latitude < 0 else "N", "W" if longitude < 0 else "E"
    return f"{abs(latitude):.5f} {north} {abs(longitude):.5f} {east}"
