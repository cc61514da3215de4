"""The nodes that `mesh.yaml` describes: read, checked, and told apart into those that are on and those that are not.

A shipped file and the owner's are laid over each other. Whether a server answers, what it has cost and who is asked
belongs elsewhere; keys are never read here, only whether there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mesh_assets.errors import SettingsError
from mesh_assets.mesh.prices import FREE, listed_price
from mesh_assets.mesh.protocol import DataPolicy, Limits, Node, Price, Provider
from mesh_assets.mesh.shapes import Depth

EXTRACTIVE = "extractive"
_REMEDY = "Correct it; `mesh_assets/defaults/mesh.yaml` says what each field means."
_STRICT = ConfigDict(extra="forbid", frozen=True)
_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class _Limits(BaseModel):
    model_config = _STRICT
    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    tokens_per_minute: Annotated[int, Field(ge=0)] = 0
    parallel: Annotated[int, Field(ge=1, le=1000)] = 4
    seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0


class _Price(BaseModel):
    """USD for a million tokens. Cached tokens cost as much as others where nothing else is said: never too little."""

    model_config = _STRICT
    input: Annotated[Decimal, Field(ge=0)]
    output: Annotated[Decimal, Field(ge=0)]
    cached_input: Annotated[Decimal, Field(ge=0)] | None = None
    cache_write: Annotated[Decimal, Field(ge=0)] | None = None
    reasoning: Annotated[Decimal, Field(ge=0)] | None = None
    batch_share: Annotated[Decimal, Field(gt=0, le=1)] = Decimal(1)


class _Entry(BaseModel):
    """One node of the file. The names are those that its owner writes."""

    model_config = _STRICT
    provider: Provider
    model: Annotated[str, Field(min_length=1)]
    purpose: Annotated[str, Field(min_length=1)]
    specialities: tuple[str, ...] = ("general",)
    depths: Annotated[tuple[Depth, ...], Field(min_length=1)]
    policy: DataPolicy
    context_tokens: Annotated[int, Field(ge=1)]
    output_tokens: Annotated[int, Field(ge=1)]
    base_url: Annotated[str, Field(pattern=r"^($|https?://|[^:]+$)")] = ""
    key: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$|^$")] = ""
    price: _Price | Literal["free"] | Annotated[str, Field(pattern=r"^[^/\s]+/\S+$")] | None = None
    limits: _Limits = _Limits()
    batch: bool = False
    prompt_cache: bool = False
    takes_schema: bool = False
    disabled: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> _Entry:
        if self.output_tokens > self.context_tokens:
            raise ValueError("output_tokens is more than context_tokens, which holds both")
        if self.provider == "recorded" and not self.base_url:
            raise ValueError("a recorded node names the file of its answers as base_url")
        if self.provider == "local" and self.policy != "local":
            raise ValueError("what a local model is asked stays on this machine: policy is `local`")
        if self.provider in ("openai", "anthropic") and self.policy == "local" and not _is_near(self.base_url):
            raise ValueError("policy `local` needs a base_url on this machine or its network, not a public host")
        return self


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node and why it is off, as a sentence; empty where it is on."""

    node: Node
    off: str


def read_nodes(shipped: Path, own: Path, *, has_key: Callable[[str], bool]) -> list[NodeState]:
    """The nodes of the file `shipped` with those of `own`, where that exists, laid over them, in their order.

    SettingsError names the file, the node and the field that cannot be used. A node that lacks a key, a price or
    its files is off and says so: nothing fails for it.
    """
    found = _entries(shipped)
    changes = _entries(own) if own.exists() else {}
    for name, fields in changes.items():
        found[name] = found.get(name, {}) | fields
    states: list[NodeState] = []
    for name, fields in found.items():
        entry = _checked(own if name in changes else shipped, name, fields)
        price, unknown = _price(entry)
        node = _node(name, entry, price)
        states.append(NodeState(node, _why_off(node, entry, has_key) or unknown))
    return states


def nodes_on(states: list[NodeState]) -> dict[str, Node]:
    """Those that may be asked, by name."""
    return {state.node.name: state.node for state in states if not state.off}


def _entries(path: Path) -> dict[str, dict[str, object]]:
    """The fields of each node of a file, unchecked."""
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        said = str(error).replace("\n", " ")
        raise SettingsError(f"{path} cannot be read: {said}.", remedy=_REMEDY) from error
    if content is None:
        return {}
    nodes: object = cast("dict[str, object]", content).get("nodes", {}) if isinstance(content, dict) else None
    if not isinstance(nodes, dict) or set(cast("dict[str, object]", content)) - {"nodes"}:
        raise SettingsError(f"{path} has not the form `nodes: {{name: {{...}}}}`.", remedy=_REMEDY)
    entries = cast("dict[object, object]", nodes)
    for name, fields in entries.items():
        if not isinstance(fields, dict):
            raise SettingsError(f"{path}: node {name!r} has no fields.", remedy=_REMEDY)
    return {str(name): dict(cast("dict[str, object]", fields)) for name, fields in entries.items()}


class _Named(BaseModel):
    name: Annotated[str, Field(pattern=_NAME)]


def _checked(path: Path, name: str, fields: Mapping[str, object]) -> _Entry:
    try:
        _Named(name=name)
        return _Entry.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'node'}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"{path}: node {name!r} cannot be used: {faults}.", remedy=_REMEDY) from error


def _price(entry: _Entry) -> tuple[Price | None, str]:
    """The price, and why there is none."""
    if entry.price == "free":
        return FREE, ""
    if isinstance(entry.price, _Price):
        given = entry.price
        cached = given.input if given.cached_input is None else given.cached_input
        write = given.input if given.cache_write is None else given.cache_write
        return (
            Price(given.input, given.output, cached, write, given.batch_share, "mesh.yaml", given.reasoning),
            "",
        )
    if entry.price is None:
        return None, "its price is not known: give it as `price`"
    provider, _, model = entry.price.partition("/")
    found = listed_price(model, context_tokens=entry.context_tokens, provider=provider)
    return found, "" if found is not None else f"no price is known for {entry.price}: give it as `price`"


def _node(name: str, entry: _Entry, price: Price | None) -> Node:
    return Node(
        name=name,
        provider=entry.provider,
        model=entry.model,
        purpose=entry.purpose,
        specialities=entry.specialities,
        depths=entry.depths,
        policy=entry.policy,
        context_tokens=entry.context_tokens,
        output_tokens=entry.output_tokens,
        base_url=entry.base_url,
        key_variable=entry.key,
        price=price,
        limits=Limits(**entry.limits.model_dump()),
        has_batch=entry.batch,
        has_prompt_cache=entry.prompt_cache,
        takes_schema=entry.takes_schema,
    )


def _why_off(node: Node, entry: _Entry, has_key: Callable[[str], bool]) -> str:
    if entry.disabled:
        return "mesh.yaml disables it"
    if node.key_variable and not has_key(node.key_variable):
        return f"{node.key_variable} is not set"
    if node.provider == "local" and node.model != EXTRACTIVE and not Path(node.model).expanduser().is_dir():
        return f"there is no folder {node.model}"
    if node.provider == "recorded" and not Path(node.base_url).expanduser().is_file():
        return f"there is no file {node.base_url}"
    return ""


def _is_near(url: str) -> bool:
    """Whether a URL names this machine or a private network: an address of one, or a name without a dot."""
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return bool(host) and "." not in host
