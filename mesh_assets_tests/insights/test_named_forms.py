"""Written dates, people by title, companies by form and addresses are found with their bytes, and little else is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets_tests.insights.chunk_rows import entities_of


@pytest.mark.parametrize(
    ("text", "label", "found"),
    [
        ("signed on 3 March 2024 in Oslo", "time", "3 March 2024"),
        ("due March 5th, 2023.", "time", "March 5th, 2023"),
        ("since the 12th of May 1999,", "time", "12th of May 1999"),
        ("am 03.05.2024 um", "time", "03.05.2024"),
        ("on 5/13/2024 at noon", "time", "5/13/2024"),
        ("saw Dr. Amina Haddad there", "person", "Dr. Amina Haddad"),
        ("for Northwind Trading Ltd of", "organisation", "Northwind Trading Ltd"),
        ("with Acme & Sons Inc. and", "organisation", "Acme & Sons Inc"),
        ("mit Müller & Söhne GmbH in", "organisation", "Müller & Söhne GmbH"),
        ("at 12 Baker Street, London NW1 6XE now", "address", "12 Baker Street, London NW1 6XE"),
    ],
)
def test_a_telling_word_gives_it_away(text: str, label: str, found: str) -> None:
    (entity,) = [each for each in entities_of(text) if each.label == label]
    assert (entity.text, text[entity.start : entity.stop]) == (found, found)


@pytest.mark.parametrize(
    "text",
    [
        "Jun 14 15:16:01 host sshd: closed",
        "May I march in august?",
        "Dr no. AG 3",
        "the Street was empty",
        "13/14/2024",
        "0.0.2024",
        "2024/05/03/04",
    ],
)
def test_what_only_looks_like_it_is_none(text: str) -> None:
    named = {"person", "organisation", "address", "time"}
    assert not [each for each in entities_of(text) if each.label in named]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["3", "May", "2024", ", ", " ", "Dr", ".", "Ltd", "Ä", "St", "Oak", "/"]), max_size=14))
def test_entities_never_overlap_and_say_what_stands_there(parts: list[str]) -> None:
    text = "".join(parts)
    last = 0
    for each in entities_of(text) if text else []:
        assert each.start >= last and text[each.start : each.stop] == each.text
        last = each.stop
