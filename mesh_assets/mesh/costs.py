"""What calls cost, in USD as exact decimals: the most that a request may, and what one did by its usage.

Where prices come from belongs to `prices`, what may be spent and what was to the ledger.
"""

from __future__ import annotations

import json
from decimal import ROUND_CEILING, Decimal

from mesh_assets.errors import BudgetError
from mesh_assets.mesh.protocol import Node, Price, Request, Usage

# Amounts are whole numbers of this: a price of six decimals for a million tokens is exact, smaller parts count as one.
UNIT = Decimal("1e-12")
# No model reads or writes as many tokens in one call: a count beyond is no count.
MOST_TOKENS = 100_000_000
_MILLION = Decimal(1_000_000)
# What a server puts around our text: marks of the chat template, words that hold it to a schema.
_AROUND_TOKENS = 1_024


def worst_case(node: Node, request: Request, *, is_batch: bool = False) -> Decimal:
    """The most that one attempt costs: no token cached, each at the dearest price it can have, all output used.

    Each byte may be a token: a tokenizer of bytes or with bytes to fall back on makes no more of a text, and estimates
    by words or characters are passed by some text. BudgetError where the node has no known price.
    """
    price = known_price(node)
    said = (request.system, request.stable, request.asked, json.dumps(request.schema))
    tokens = sum(len(text.encode("utf-8", "surrogatepass")) for text in said) + _AROUND_TOKENS
    prompt = min(tokens, node.context_tokens) * max(price.input, price.cached_input, price.cache_write)
    output = request.max_tokens * max(price.output, price.reasoning or price.output)
    return _amount(prompt + output, price, is_batch=is_batch)


def known_price(node: Node) -> Price:
    """The price of a node; BudgetError where it is not known."""
    if node.price is None:
        raise BudgetError(
            f"What a token of {node.model} costs at {node.name} is not known, so it is not called.",
            remedy="Give the node a `price` in mesh.yaml: USD for a million tokens of input and output.",
        )
    return node.price


def cost_of(usage: Usage, price: Price, *, is_batch: bool = False) -> Decimal:
    """What tokens cost: cached ones, those written to a cache and those of reasoning each at their own price."""
    plain = max(usage.output - usage.reasoning, 0)
    tokens = (
        usage.input * price.input
        + usage.cached_input * price.cached_input
        + usage.cache_write * price.cache_write
        + plain * price.output
        + usage.reasoning * (price.output if price.reasoning is None else price.reasoning)
    )
    return _amount(tokens, price, is_batch=is_batch)


def is_possible(usage: Usage) -> bool:
    """Whether a call may have had this usage: no count below zero or beyond any model, and not all of them zero."""
    counts = (usage.input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning)
    return any(counts) and all(0 <= count <= MOST_TOKENS for count in counts)


def _amount(token_prices: Decimal, price: Price, *, is_batch: bool) -> Decimal:
    cost = token_prices / _MILLION * (price.batch_share if is_batch else 1)
    return cost.quantize(UNIT, ROUND_CEILING)


def usd(amount: Decimal) -> str:
    """`amount` for people: cents where it is whole cents, else as many digits as it has."""
    exact = amount.normalize()
    return f"{exact:.2f}" if exact == exact.quantize(Decimal("0.01")) else f"{exact:f}"
