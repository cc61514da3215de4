"""The node file: what is shipped, what its owner changes, and what a wrong one says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_assets.errors import SettingsError
from mesh_assets.mesh.nodes import NodeState, nodes_on, read_nodes
from mesh_assets.settings import SHIPPED_NODES

ROLES = ["deepseek", "o1-research", "claude-opus", "gpt-4-turbo", "llama-70b", "mixtral"]
MINE = {
    "provider": "openai",
    "base_url": "http://127.0.0.1:8000/v1",
    "model": "my-model",
    "purpose": "tests",
    "depths": ["surface"],
    "policy": "local",
    "price": "free",
    "context_tokens": 8000,
    "output_tokens": 1000,
}


def read(folder: Path, nodes: Any = None, *, keys: bool = True) -> dict[str, NodeState]:
    own = folder / "mesh.yaml"
    if nodes is not None:
        own.write_text(yaml.safe_dump({"nodes": nodes}))
    return {state.node.name: state for state in read_nodes(SHIPPED_NODES, own, has_key=lambda _: keys)}


def test_six_roles_and_an_answerer_that_is_always_there_are_shipped(tmp_path: Path) -> None:
    states = read(tmp_path)
    assert list(states) == ["local", *ROLES]
    assert list(nodes_on(list(states.values()))) == list(states)
    for name in ROLES:
        node = states[name].node
        assert node.price is not None, name
        assert node.price.output > 0
        assert node.policy == "may-leave"
        assert node.purpose
        assert node.key_variable
    assert states["local"].node.is_free


def test_a_node_without_its_key_is_off_and_says_why(tmp_path: Path) -> None:
    states = read(tmp_path, keys=False)
    assert [state.off for state in states.values()][:2] == ["", "DEEPSEEK_API_KEY is not set"]
    assert list(nodes_on(list(states.values()))) == ["local"]


def test_one_line_says_who_serves_a_role(tmp_path: Path) -> None:
    states = read(tmp_path, {"claude-opus": {"model": "claude-next", "price": {"input": 1, "output": "2.5"}}})
    node = states["claude-opus"].node
    assert (node.model, node.purpose) == ("claude-next", "creative solutions, design")
    assert node.price is not None
    # Cached tokens cost as much as others where the owner says nothing: never too little.
    assert (node.price.input, node.price.output, node.price.cached_input) == (Decimal(1), Decimal("2.5"), Decimal(1))
    assert node.price.source == "mesh.yaml"


def test_nodes_can_be_added_and_disabled(tmp_path: Path) -> None:
    states = read(tmp_path, {"mine": MINE, "mixtral": {"disabled": True}})
    assert list(states)[-1] == "mine"
    assert (states["mine"].off, states["mixtral"].off) == ("", "mesh.yaml disables it")


def test_a_price_that_nobody_knows_turns_a_node_off(tmp_path: Path) -> None:
    unknown = MINE | {"price": "openai/no-such-model"}
    states = read(tmp_path, {"a": unknown, "b": {k: v for k, v in MINE.items() if k != "price"}})
    assert "no price is known for openai/no-such-model" in states["a"].off
    assert "price is not known" in states["b"].off
    assert states["a"].node.price is states["b"].node.price is None


def test_a_model_or_record_that_is_not_there_turns_a_node_off(tmp_path: Path) -> None:
    local = MINE | {"provider": "local", "base_url": "", "model": str(tmp_path / "weights")}
    recorded = MINE | {"provider": "recorded", "base_url": str(tmp_path / "said.jsonl")}
    states = read(tmp_path, {"a": local, "b": recorded})
    assert states["a"].off.startswith("there is no folder")
    assert states["b"].off.startswith("there is no file")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": 3}, ["mine", "model"]),
        ({"provider": "oracle"}, ["mine", "provider"]),
        ({"depths": []}, ["mine", "depths"]),
        ({"limits": {"parallel": 0}}, ["mine", "limits.parallel"]),
        ({"colour": "red"}, ["mine", "colour"]),
        ({"price": {"input": -1, "output": 1}}, ["mine", "price", "input"]),
        ({"output_tokens": 9000}, ["output_tokens is more than context_tokens"]),
        ({"base_url": "https://api.example.com/v1"}, ["policy `local` needs a base_url on this machine"]),
        ({"provider": "local", "policy": "may-leave"}, ["policy is `local`"]),
        ({"provider": "recorded", "base_url": ""}, ["names the file of its answers"]),
    ],
)
def test_an_error_names_file_node_and_field(tmp_path: Path, fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as failed:
        read(tmp_path, {"mine": MINE | fields})
    for word in [str(tmp_path / "mesh.yaml"), *words]:
        assert word in failed.value.message


@pytest.mark.parametrize(
    "text", ["nodes: [", "- a", "nodes: 3", "nodes: {a: 1}", "other: {}", "nodes: {A B: {}}", "\x00"]
)
def test_a_file_that_is_none_says_so(tmp_path: Path, text: str) -> None:
    own = tmp_path / "mesh.yaml"
    own.write_text(text)
    with pytest.raises(SettingsError, match=r"mesh\.yaml"):
        read_nodes(SHIPPED_NODES, own, has_key=lambda _: True)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text("# nothing yet\n")
    assert list(read(tmp_path)) == ["local", *ROLES]


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*MINE, "limits", "key", "batch"]), _ANY, max_size=4))
def test_any_fields_give_nodes_or_a_sentence(tmp_path: Path, fields: dict[str, Any]) -> None:
    try:
        assert "mine" in read(tmp_path, {"mine": MINE | fields})
    except SettingsError as error:
        assert "mine" in error.message
