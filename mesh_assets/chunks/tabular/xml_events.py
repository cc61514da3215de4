"""Elements of XML as they stream by: without entities, network, other files, or deep or huge trees.

lxml has no types; what is used of it is typed here, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, BinaryIO, Protocol, cast


class Element(Protocol):
    """An element of lxml. `tag` is a text (`{namespace}name`), or a function for what is none: comments, entities."""

    tag: object
    text: str | None
    tail: str | None

    def get(self, key: str, default: str = "") -> str:
        """An attribute."""
        ...

    def items(self) -> list[tuple[str, str]]:
        """All attributes."""
        ...

    def iter(self, tag: str) -> Iterator[Element]:
        """Elements below with this tag."""
        ...

    def itertext(self) -> Iterator[str]:
        """All text below."""
        ...

    def __iter__(self) -> Iterator[Element]: ...


def _etree() -> Any:  # noqa: ANN401  a module without types, loaded where it is used
    return import_module("lxml.etree")


def xml_error() -> type[Exception]:
    """What `xml_events` raises."""
    return cast("type[Exception]", _etree().LxmlError)


def xml_events(stream: BinaryIO, tags: tuple[str, ...] | None = None) -> Iterator[tuple[str, Element]]:
    """(`start` or `end`, element) of all elements, or those with `tags`.

    lxml.etree.LxmlError where the XML is broken, nested more than 256 deep, or has a text of more than 10 MB.
    """
    return cast(
        "Iterator[tuple[str, Element]]",
        _etree().iterparse(
            stream,
            ("start", "end"),
            tag=tags,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        ),
    )


def forget(element: Element) -> None:
    """Let go of what is in an element that was read, and of all before it."""
    node = cast(Any, element)
    tail = node.tail
    node.clear()
    node.tail = tail
    parent = node.getparent()
    if parent is not None:
        while (before := node.getprevious()) is not None:
            parent.remove(before)
