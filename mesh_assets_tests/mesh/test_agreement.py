"""Several nodes on one case: who agrees is counted once, and who differs stands side by side, never in a mean."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.mesh.agreement import Compared, compared
from mesh_assets.mesh.shapes import Claim
from mesh_assets.mesh.stated_numbers import numbers_agree
from mesh_assets.schemas.citations import Citation


def claim(statement: str, start: int = 0, *, query: str = "") -> Claim:
    cited = () if query else (Citation("shop", "app.log", start, start + 10, "0a1b2c3d4e5f"),)
    return Claim(statement, cited, (query,) if query else ())


def one_each(*claims: Claim) -> Compared:
    return compared({f"node{number}": [each] for number, each in enumerate(claims)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (claim("The report locked the orders table."), claim("the orders  table, the report locked.", 500)),
        (claim("The report locked the table orders."), claim("Orders was locked by a nightly report.", 5)),
        (claim("It took 2 minutes to lock the table."), claim("It took 120 s to lock the table.")),
        (claim("412 requests failed.", query="q"), claim("412 of the requests failed.", query="q")),
        (claim("About 1.2 million requests came in."), claim("1,234,567 requests came in.")),
        (claim("Requests failed."), claim("412 requests failed.")),
        (claim("Nightly backups failed."), claim("Nightly backups did not succeed.")),
    ],
)
def test_what_two_say_alike_is_one_thing_with_the_grounds_of_both(one: Claim, other: Claim) -> None:
    found = one_each(one, other)
    assert found.agreement == 1.0 and not found.disagreements and not found.alone
    (said,) = found.agreed
    assert said.nodes == ("node0", "node1")
    assert set(said.claim.citations) == {*one.citations, *other.citations}


@pytest.mark.parametrize(
    ("one", "other", "about"),
    [
        (claim("412 requests failed."), claim("421 requests failed."), "numbers"),
        (claim("It took 2 minutes to lock the table."), claim("It took 2 s to lock the table."), "numbers"),
        (claim("The dump has 3 MB."), claim("The dump has 3 GB."), "numbers"),
        (claim("The report locked the table."), claim("The report never locked the table."), "denial"),
        (claim("The error rate rose at noon."), claim("The error rate fell at noon."), "denial"),
        (claim("Nightly backups succeeded."), claim("Nightly backups failed."), "denial"),
        (claim("The report didn't lock the table."), claim("The report did lock the table.", 900), "denial"),
    ],
)
def test_who_differs_stands_side_by_side(one: Claim, other: Claim, about: str) -> None:
    found = one_each(one, other)
    (differ,) = found.disagreements
    assert differ.about == about
    assert [side.claim.statement for side in differ.sides] == [one.statement, other.statement]
    assert found.agreement == 0.0 and not found.agreed and not found.alone


def test_a_majority_outvotes_nobody() -> None:
    many = [claim("412 requests failed.")] * 3
    (differ,) = one_each(claim("99 requests failed."), *many).disagreements
    assert [(side.claim.statement[:3], len(side.nodes)) for side in differ.sides] == [("412", 3), ("99 ", 1)]


def test_other_things_in_the_same_place_and_the_same_words_elsewhere_are_not_mixed_up() -> None:
    found = one_each(claim("The report locked the table."), claim("Backups ran at night."))
    assert len(found.alone) == 2 and found.agreement == 0.0
    found = one_each(claim("The report locked the table orders."), claim("The report locked a user out.", 700))
    assert len(found.alone) == 2


def test_one_node_alone_is_no_agreement_and_may_contradict_itself() -> None:
    assert compared({}).agreement is None
    assert compared({"a": [claim("412 requests failed.")], "b": []}).agreement is None
    found = compared({"a": [claim("412 requests failed."), claim("421 requests failed.")]})
    assert len(found.disagreements) == 1 and found.agreement is None


STATEMENTS = st.sampled_from(
    ["412 requests failed.", "421 requests failed.", "No request failed.", "The report locked the table.", "", "7"]
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.lists(STATEMENTS.map(claim), max_size=4), max_size=3))
def test_no_statement_of_any_node_vanishes(claims: dict[str, list[Claim]]) -> None:
    found = compared(claims)
    sides = [*found.agreed, *found.alone, *(side for each in found.disagreements for side in each.sides)]
    shown = {node for side in sides for node in side.nodes}
    assert shown == {node for node, said in claims.items() if said}
    assert len(sides) <= sum(map(len, claims.values()))
    for one, other in permutations(sides, 2):
        assert one.claim.statement != other.claim.statement
    if found.agreement is not None:
        assert 0.0 <= found.agreement <= 1.0


def test_numbers_agree_whoever_is_asked_first() -> None:
    for one, other in (("3 of 12", "12"), ("4.1%", "0.041"), ("5 s", "5000 ms"), ("1", "2"), ("9 days", "9 h")):
        assert numbers_agree(one, other) == numbers_agree(other, one)
