"""XML becomes records, by the element that repeats, and lines by path; it opens no file and grows nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.protocol import Piece
from mesh_assets.errors import FormatError
from mesh_assets_tests.chunks.tabular.readings import cut, parts, pieces, reading


def records(found: list[object]) -> list[dict[str, object]]:
    lines = "".join(part.text for part in found if isinstance(part, Piece) and part.row_start is not None)
    return [json.loads(line) for line in lines.splitlines()]


def test_what_repeats_is_the_record_and_the_rest_has_its_path() -> None:
    items = "".join(
        f'<item id="{n}"><title>T {n}</title><at>2024-01-{n % 28 + 1:02}T10:00:00Z</at><tag>a</tag><tag>b</tag></item>'
        for n in range(40)
    )
    found = pieces(parts(f'<rss version="2"><channel><title>News</title>{items}</channel></rss>'.encode(), "xml"))
    assert found[0].text == "/rss/channel/title: News\n"
    assert found[1].text == "Records /rss/channel/item: 4 columns: @id (text), title (text), at (text), tag (list)\n"
    assert records([*found])[3] == {"@id": "3", "title": "T 3", "at": "2024-01-04T10:00:00Z", "tag": ["a", "b"]}
    assert found[2].context == "@id, title, at, tag" and found[2].time_start is not None
    assert found[2].place is not None and found[2].place.startswith("records /rss/channel/item, row")
    assert found[-1].text == "/rss/@version: 2\n"


def test_xml_that_repeats_nothing_is_read_by_path() -> None:
    text = '<project xmlns="urn:x"><id a="1">5</id><p>Some <b>bold</b> text</p><!-- no --><v>1</v></project>'
    assert reading(parts(text.encode(), "xml")) == (
        "/project/id/@a: 1\n/project/id: 5\n/project/p: Some bold text\n/project/v: 1\n"
    )


names = st.sampled_from(["a", "b", "c"])
trees = st.recursive(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "Z")), max_size=8),
    lambda inner: st.lists(st.tuples(names, inner), max_size=4),
    max_leaves=25,
)


def written(tree: object) -> str:
    if isinstance(tree, str):
        return tree
    assert isinstance(tree, list)
    return "".join(f"<{name}>{written(inner)}</{name}>" for name, inner in tree)


@settings(max_examples=60, deadline=None)
@given(trees)
def test_no_word_is_lost(tree: object) -> None:
    text = f"<root>{written(tree)}</root>"
    found = parts(text.encode(), "xml", tokens=256)
    words = "".join(reading(found).split())
    for word in "".join(" " if part.startswith(("<", ">")) else part for part in _texts(tree)).split():
        assert word in words


def _texts(tree: object) -> list[str]:
    if isinstance(tree, str):
        return [f"{tree} "]
    assert isinstance(tree, list)
    return [text for _, inner in tree for text in _texts(inner)]


def test_entities_open_no_file_and_grow_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    text = f'<!DOCTYPE r [<!ENTITY f SYSTEM "{secret.as_uri()}"><!ENTITY w "word">]><r><x>a&f;&w;b</x></r>'
    found = reading(parts(text.encode(), "xml"))
    assert "the secret" not in found and found == "/r/x: a&f;&w;b\n"
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE r [<!ENTITY l0 "ha">{laughs}]><r><x y="&l11;">&l11;</x></r>'
    for hostile in (bomb, bomb.replace(' y="&l11;"', "")):
        with pytest.raises(FormatError, match="amplification"):
            cut(hostile.encode(), "xml", 64)


def test_what_is_before_a_broken_place_is_kept() -> None:
    text = "<r>" + "".join(f"<x><n>{n}</n></x>" for n in range(50)) + "<x><n>"
    found: list[object] = []
    with pytest.raises(FormatError) as refused:
        _gather(text.encode(), found)
    assert refused.value.reason == "broken XML file"
    assert len(records(found)) == 50


def _gather(data: bytes, into: list[object]) -> None:
    from mesh_assets.chunks.protocol import one_by_one
    from mesh_assets.chunks.registry import direct_chunker
    from mesh_assets_tests.chunks.sources import source

    chunker = direct_chunker("structured", "xml")
    assert chunker is not None
    for part in one_by_one(chunker.chunk(source(data, "structured", "xml"), chunk_tokens=64)):
        into.append(part)


@pytest.mark.parametrize("text", ["<a>" * 100_000, "<r>" + "<x>1</x>" * 3 + "<y>" * 1000])
def test_deep_xml_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="depth"):
        cut(text.encode(), "xml", 64)
