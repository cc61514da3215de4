"""Evidence: what is cited first, nothing twice, never over the bound, and found again where it moved to."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.analyses.evidence import Piece, Pool, labelled, picked, refreshed
from mesh_assets.mesh.shapes import Evidence
from mesh_assets.schemas.citations import Citation


def piece(row: int, text: str, start: int = 0, *, vector: tuple[float, ...] = (), path: str = "a.txt") -> Piece:
    size = len(text.encode())
    citation = Citation("d", path, start, start + size, "0" * 32, 1, text)
    return Piece(row, "text", text, citation, np.array(vector, np.float32))


def file_of(*texts: str, path: str = "a.txt") -> list[Piece]:
    """The chunks of a file that stand one behind the other."""
    pieces: list[Piece] = []
    for row, text in enumerate(texts):
        pieces.append(piece(row, text, pieces[-1].citation.byte_stop if pieces else 0, path=path))
    return pieces


def test_what_is_cited_comes_before_what_is_only_near_and_copies_are_left_out() -> None:
    near = piece(1, "the queue grew", vector=(1.0, 0.1))
    copy = piece(2, "the database is locked", vector=(1.0, 0.0))
    far = piece(3, "lunch menu", vector=(0.0, 1.0))
    pool = Pool((piece(0, "the database is locked", vector=(1.0, 0.0)),), (near, copy, far))
    chosen = picked(pool, pieces=2, tokens=1000, relevance=0.9)
    assert [each.row for each in chosen] == [0, 1]


def test_variety_goes_before_a_third_text_that_says_the_same() -> None:
    cited = piece(0, "order 1 failed", vector=(1.0, 0.0, 0.0))
    same = piece(1, "order 2 failed", vector=(1.0, 0.01, 0.0))
    other = piece(2, "report began", vector=(0.6, 0.8, 0.0))
    chosen = picked(Pool((cited,), (same, other)), pieces=2, tokens=1000, relevance=0.3)
    assert [each.row for each in chosen] == [0, 2]


@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=200), max_size=12),
    cited=st.integers(0, 12),
    bound=st.integers(0, 400),
    count=st.integers(1, 12),
    relevance=st.floats(0, 1),
)
def test_never_more_than_asked_for(texts: list[str], cited: int, bound: int, count: int, relevance: float) -> None:
    pieces = [piece(row, text) for row, text in enumerate(texts)]
    chosen = picked(Pool(tuple(pieces[:cited]), tuple(pieces[cited:])), pieces=count, tokens=bound, relevance=relevance)
    assert len(chosen) <= count
    assert sum(each.tokens for each in chosen) <= bound
    assert len({each.text.strip() for each in chosen}) == len(chosen)


def test_labels_tell_texts_from_facts() -> None:
    evidence = labelled([piece(0, "one")], [("orders: 3", "SELECT 3")])
    assert [(each.label, each.query) for each in evidence] == [("E1", None), ("F1", "SELECT 3")]


@settings(max_examples=40, deadline=None)
@given(
    before=st.text(st.sampled_from("ab é\n"), max_size=30),
    cuts=st.lists(st.integers(1, 60), max_size=4),
)
def test_a_text_is_found_where_it_stands_now_however_chunks_are_cut(before: str, cuts: list[int]) -> None:
    text = "The café's database\nis locked."
    whole = f"{before}{text}\nend"
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    pieces = file_of(*(whole[a:b] for a, b in pairwise(places)))
    old = Evidence("E1", text, citation=Citation("d", "a.txt", 0, 1, "f" * 32))
    found = refreshed([old], {"a.txt": pieces})
    assert found is not None
    citation = found[0].citation
    assert citation is not None
    assert whole.encode()[citation.byte_start : citation.byte_stop].decode() == text
    assert citation.line_start == 1 + before.count("\n") or len(pieces) > 1


def test_a_text_that_was_changed_is_not_found_and_facts_need_no_file() -> None:
    fact = Evidence("F1", "orders: 3", query="SELECT 3")
    gone = Evidence("E1", "nobody watches", citation=Citation("d", "a.txt", 0, 1, "f" * 32))
    assert refreshed([fact], {}) == (fact,)
    assert refreshed([fact, gone], {"a.txt": file_of("somebody watches")}) is None
    assert refreshed([gone], {}) is None


def test_of_several_places_the_nearest_to_where_it_was_is_cited() -> None:
    pieces = file_of("again\n", "x" * 50 + "\n", "again\n")
    old = Evidence("E1", "again", citation=Citation("d", "a.txt", 55, 60, "f" * 32))
    found = refreshed([old], {"a.txt": pieces})
    assert found is not None
    assert found[0].citation is not None
    assert found[0].citation.byte_start == 57
