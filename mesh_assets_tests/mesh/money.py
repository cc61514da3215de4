"""A price, a node and calls to it, for tests of money: one USD for a million tokens of input, so that sums are seen."""

from __future__ import annotations

from decimal import Decimal

from mesh_assets.mesh.protocol import Billed, Node, Price, Scope, Usage

PRICE = Price(
    input=Decimal(1),
    output=Decimal(4),
    cached_input=Decimal("0.1"),
    cache_write=Decimal("1.25"),
    batch_share=Decimal("0.5"),
    source="test, 2026-11-28",
)
NODE = Node(
    name="far",
    provider="openai",
    model="far-1",
    purpose="tests",
    specialities=("general",),
    depths=("deep",),
    policy="may-leave",
    context_tokens=100_000,
    output_tokens=4_000,
    price=PRICE,
)


def scopes(*names: str) -> list[Scope]:
    """Scopes written as `case:1`."""
    return [Scope(kind, name) for kind, _, name in (text.partition(":") for text in names)]  # type: ignore[arg-type]


def billed(tokens: int | None, *, node: str = "far") -> Billed:
    """A call of so many tokens of input, each for a millionth of a USD; None where the node did not say."""
    usage = None if tokens is None else Usage(input=tokens)
    return Billed(node, f"{node}-1", "case-1", "deep", usage, PRICE)
