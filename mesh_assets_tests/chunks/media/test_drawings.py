"""A drawing in SVG is found by its title and its words, not by its coordinates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.errors import FormatError
from mesh_assets_tests.chunks.media.made import parts_of, pieces_of, reading_of

PLAN = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="240px" height="120" viewBox="0 0 24 12">
<title>Ground floor</title><desc>Drawn by hand</desc>
<g><rect fill="#00f"/><rect style="fill:#1040ff;stroke:red"/><text>Kitchen <tspan>north</tspan></text></g>
<g><title>no title of the whole</title></g>
</svg>"""


def test_its_words_colours_and_size() -> None:
    assert reading_of(parts_of(PLAN.encode())) == (
        "Vector drawing, SVG, 240 x 120, mostly blue and red.\nTitle: Ground floor\nDescription: Drawn by hand\n"
        "2 shapes.\nText in the picture:\nKitchen north\nno title of the whole\n"
    )


def test_much_text_becomes_several_chunks() -> None:
    words = "".join(f"<text>Room number {n} of the house</text>" for n in range(200))
    parts = parts_of(f"<svg>{words}</svg>".encode(), tokens=64)
    assert len(pieces_of(parts)) > 10
    assert reading_of(parts).count("Room number") == 200


def test_broken_xml_is_a_reject_and_entities_stay_shut() -> None:
    with pytest.raises(FormatError, match="no complete XML"):
        parts_of(PLAN[:200].encode())
    bomb = (
        "<!DOCTYPE svg [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><svg><text>&b;</text></svg>"
    )
    assert "aaaaaaaaaaaaaaaaaaaa" not in reading_of(parts_of(bomb.encode()))


@given(st.text(st.sampled_from("<>/=\"' abgsvtextfill#0&;"), max_size=120))
@settings(max_examples=60, deadline=None)
def test_anything_in_a_drawing_is_read_or_refused(inner: str) -> None:
    try:
        reading_of(parts_of(f"<svg>{inner}</svg>".encode()))
    except FormatError as error:
        assert error.reason == "broken svg"
