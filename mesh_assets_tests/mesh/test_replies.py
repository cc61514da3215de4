"""What a completion says: its object in the form of its schema, or why it has none."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from mesh_assets.errors import SettingsError
from mesh_assets.mesh.json_schema import check_schema, faults
from mesh_assets.mesh.prompts import ANSWER_SCHEMA
from mesh_assets.mesh.replies import read_reply


class Kind(Enum):
    ONE = "one"
    TWO = "two"


class Leaf(BaseModel, extra="forbid"):
    name: str = Field(min_length=1, max_length=5)
    kind: Kind
    size: int | None = None


class Tree(BaseModel):
    mode: Literal["a", "b"]
    share: float = Field(ge=0, le=1)
    leaves: list[Leaf] = Field(min_length=1, max_length=3)
    notes: dict[str, int] = {}
    pair: tuple[int, str] = (1, "")
    below: Tree | None = None


SCHEMA = Tree.model_json_schema()
LEAF = {"name": "x", "kind": "one"}
GOOD: dict[str, Any] = {"mode": "a", "share": 0.5, "leaves": [LEAF]}


def test_the_schemas_of_pydantic_and_of_answers_can_be_checked() -> None:
    check_schema(SCHEMA)
    check_schema(ANSWER_SCHEMA)
    assert faults(GOOD | {"below": GOOD, "notes": {"n": 1}}, SCHEMA) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"mode": "c"}, "the answer.mode is none of"),
        ({"share": 1.5}, "the answer.share is 1.5, not at most 1"),
        ({"share": True}, "the answer.share is no number"),
        ({"share": float("nan")}, "the answer.share is no number"),
        ({"leaves": []}, "the answer.leaves has 0 entries of at least 1"),
        ({"leaves": [LEAF | {"name": "toolong"}]}, "the answer.leaves[0].name has 7 characters of at most 5"),
        ({"leaves": [LEAF | {"extra": 1}]}, "the answer.leaves[0] has 'extra', which the form has not"),
        ({"leaves": [{"name": "x"}]}, "the answer.leaves[0] lacks kind"),
        ({"notes": {"n": "x"}}, "the answer.notes.n is no integer"),
        ({"below": {"mode": "a"}}, "the answer.below fits 0 of the forms"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict[str, Any], fault: str) -> None:
    found = faults(GOOD | change, SCHEMA)
    assert any(fault in each for each in found), found


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "x", "one", "toolong", 0.5, 1.0, 2.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mode", "share", "leaves", "name", "kind", "size", "below", "n"]), inner, max_size=5
        )
    ),
    max_leaves=10,
)
_NEAR = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["a", "b", "c"]),
        "share": st.sampled_from([0, 0.5, 1, 2, "x"]),
        "leaves": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["x", "", "toolong"]), "kind": st.sampled_from(["one", "three"])}
            ),
            max_size=4,
        ),
    },
    optional={
        "notes": st.dictionaries(st.text(max_size=2), st.integers() | st.text(max_size=2), max_size=2),
        "below": _VALUES,
    },
)


@settings(max_examples=200, deadline=None)
@given(_VALUES | _NEAR)
def test_it_agrees_with_pydantic_about_its_own_schema(value: Any) -> None:
    try:
        TypeAdapter(Tree).validate_json(json.dumps(value), strict=True)
        fits = True
    except ValidationError:
        fits = False
    assert (faults(value, SCHEMA) == []) == fits


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "if": {}},
        {"type": "object", "properties": {"a": {"format": "uuid"}}},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "https://example.com/schema.json"},
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        check_schema(schema)


def test_a_schema_that_names_itself_ends() -> None:
    assert faults({}, {"$ref": "#"}) == ["the answer is nested too deep"]


@settings(max_examples=100, deadline=None)
@given(_VALUES.filter(lambda v: isinstance(v, dict)), st.text(alphabet="ab `\n.", max_size=20), st.text(max_size=20))
def test_an_object_is_found_whatever_stands_around_it(value: dict[str, Any], before: str, after: str) -> None:
    reply = read_reply(f"{before}{json.dumps(value)}{after}", "stop", {"type": "object"})
    assert (reply.value, reply.rejected) == (value, "")
    assert reply.is_repaired == bool(before.strip() or after.strip(" \t\r\n"))


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text(alphabet='{}[]":,1e', max_size=200))
def test_any_text_is_an_object_or_rejected(text: str) -> None:
    reply = read_reply(text, "stop", {"type": "object"})
    assert bool(reply.rejected) or isinstance(reply.value, dict)


@pytest.mark.parametrize(
    "text", ["{" * 100_000, '{"a":' * 100_000, "[" * 100_000, "9" * 100_000, '{"a": NaN}', "[1]", "3"]
)
def test_a_hostile_text_is_rejected_and_soon(text: str) -> None:
    assert read_reply(text, "stop", {"type": "object"}).rejected.startswith("no JSON")
