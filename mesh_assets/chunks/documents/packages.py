"""Office documents are archives of XML: opened with bounds, parsed without entities, network or files of others.

What the parts of a document mean belongs to the reader of each format.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast
from urllib.parse import unquote

from mesh_assets.chunks.members import room_of, take_room
from mesh_assets.chunks.protocol import Room, Source
from mesh_assets.errors import FormatError

# Read at once, so that what is unpacked is counted before there is much of it.
_BLOCK = 1 << 20
# One part of a document is text of one: a book is a few MiB.
_MAX_PART = 256 << 20


class Element(Protocol):
    """What is used of an element of lxml, which has no types. `tag` is no str of an entity that was left as it is."""

    tag: object
    text: str | None
    tail: str | None
    attrib: Mapping[str, str]

    def __iter__(self) -> Iterator[Element]: ...
    def get(self, key: str, /) -> str | None: ...  # noqa: D102
    def iter(self, *tags: str) -> Iterator[Element]: ...  # noqa: D102
    def iterancestors(self, *tags: str) -> Iterator[Element]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Package:
    """An archive that is one document."""

    source: Source
    archive: zipfile.ZipFile
    room: Room
    names: frozenset[str]

    def read(self, name: str) -> bytes:
        """The bytes of a part. FormatError where there is none, or where it unpacks to too much."""
        if name not in self.names:
            raise FormatError(
                f"broken {self.source.format}",
                f"{self.source.path} has no part {name}, where its text should be.",
                remedy="If it is an archive of files, call it .zip; else open it with its program and save it anew.",
            )
        info = self.archive.getinfo(name)
        if info.flag_bits & 1:
            raise encrypted(self.source)
        blocks: list[bytes] = []
        size = 0
        with self.archive.open(info) as stream:
            while block := stream.read(_BLOCK):
                take_room(self.room, len(block), self.source.path)
                size += len(block)
                if size > _MAX_PART:
                    raise FormatError(
                        "unpacks to too much",
                        f"{self.source.path} holds more than {_MAX_PART >> 20} MiB in {name}.",
                        remedy="Split the document, or save its text in another format, and drop that.",
                    )
                blocks.append(block)
        return b"".join(blocks)

    def xml(self, name: str) -> Element:
        """A part as a tree. FormatError as `read`."""
        return parsed(self.read(name))

    def xml_or_none(self, name: str | None) -> Element | None:
        """A part as a tree, None where there is none, or none that can be read: the document goes on without it."""
        if name is None or name not in self.names:
            return None
        try:
            return self.xml(name)
        except _etree().XMLSyntaxError:
            return None

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """What a part of an Office document refers to: by id, the last word of the kind and the name of the part."""
        folder, _, own = name.rpartition("/")
        tree = self.xml_or_none(f"{folder}/_rels/{own}.rels".lstrip("/"))
        found: dict[str, tuple[str, str]] = {}
        for relation in tree if tree is not None else ():
            held = relation.attrib
            if held.get("TargetMode") != "External" and "Id" in held:
                kind = str(held.get("Type", "")).rpartition("/")[2]
                found[str(held["Id"])] = (kind, within(folder, str(held.get("Target", ""))))
        return found


def within(folder: str, target: str) -> str:
    """The name in the archive of what `folder` refers to as `target`."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")


@contextmanager
def opened_package(source: Source) -> Generator[Package]:
    """The document that `source` holds. FormatError where it is no archive."""
    with source.open() as stream:
        try:
            archive = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise FormatError(
                f"broken {source.format}",
                f"{source.path} is cut off or damaged: {error}.",
                remedy="Take it from its source again, or open it with the program that it is of and save it anew.",
            ) from error
        with archive:
            yield Package(source, archive, room_of(source), frozenset(archive.namelist()))


def encrypted(source: Source) -> FormatError:
    """The error of a document that opens only with a password or a licence."""
    return FormatError(
        "encrypted",
        f"{source.path} opens only with a password or a licence.",
        remedy="Open it with its password, save it without one and drop that.",
    )


def parsed(data: bytes) -> Element:
    """A tree of XML. Entities are not expanded, nothing else is loaded; 256 levels at most, and no text over 10 MB."""
    etree = _etree()
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=False
    )
    return cast("Element", etree.fromstring(data, parser))


def _etree() -> Any:  # noqa: ANN401  # lxml has no types
    return import_module("lxml.etree")


def name_of(element: Element) -> str:
    """The name of an element without its namespace; empty for an entity that was left as it is."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def held(element: Element, name: str) -> str | None:
    """An attribute by its name without namespace."""
    found = element.get(name)
    if found is not None:
        return found
    ending = "}" + name
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith(ending)), None)


def child(element: Element | None, *names: str) -> Element | None:
    """The first child called by the first of `names`, of that the first called by the next; None where one lacks."""
    for name in names:
        if element is None:
            return None
        element = next((each for each in element if name_of(each) == name), None)
    return element


def below(element: Element, *names: str) -> Iterator[Element]:
    """Elements at any depth that have one of `names`, in any namespace."""
    return element.iter(*(f"{{*}}{name}" for name in names))
