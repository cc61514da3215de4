"""What calls cost: every kind of token at its own price, and never more than was reserved for them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.errors import BudgetError
from mesh_assets.mesh.costs import MOST_TOKENS, UNIT, cost_of, is_possible, usd, worst_case
from mesh_assets.mesh.protocol import Request, Usage
from mesh_assets_tests.mesh.money import NODE, PRICE

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(input=MILLION), "1"),
        (Usage(cached_input=MILLION), "0.1"),
        (Usage(cache_write=MILLION), "1.25"),
        (Usage(output=MILLION), "4"),
        (Usage(output=MILLION, reasoning=MILLION // 2), "4"),
        (Usage(input=1, cached_input=1, cache_write=1, output=1), "0.00000635"),
    ],
)
def test_each_kind_of_token_has_its_price(usage: Usage, cost: str) -> None:
    assert cost_of(usage, PRICE) == Decimal(cost)
    assert cost_of(usage, PRICE, is_batch=True) == Decimal(cost) / 2


def test_reasoning_may_have_a_price_of_its_own() -> None:
    price = replace(PRICE, reasoning=Decimal(8))
    assert cost_of(Usage(output=MILLION, reasoning=MILLION // 4), price) == Decimal(3 + 2)
    # a server that does not count reasoning as output: both are billed
    assert cost_of(Usage(output=10, reasoning=MILLION), price) == 8


def test_parts_of_the_smallest_amount_are_never_lost() -> None:
    price = replace(PRICE, input=Decimal("0.0000001"))
    assert cost_of(Usage(input=1), price) == UNIT


@pytest.mark.parametrize("usage", [Usage(), Usage(input=-1, output=5), Usage(output=MOST_TOKENS + 1)])
def test_a_usage_that_no_call_can_have_is_told(usage: Usage) -> None:
    assert not is_possible(usage)


@settings(max_examples=50, deadline=None)
@given(
    texts=st.tuples(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200)),
    tokens=st.integers(1, 4_000),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
    is_batch=st.booleans(),
)
def test_no_usage_of_a_request_costs_more_than_its_worst_case(
    texts: tuple[str, str, str], tokens: int, shares: tuple[float, ...], is_batch: bool
) -> None:
    request = Request(*texts, schema={"type": "object"}, max_tokens=tokens)
    prompt = sum(len(text.encode()) for text in texts)  # no tokenizer makes more tokens than bytes
    cached = int(prompt * shares[0])
    written = int((prompt - cached) * shares[1])
    output = int(tokens * shares[2])
    usage = Usage(prompt - cached - written, cached, written, output, int(output * shares[3]))
    price = replace(PRICE, reasoning=Decimal(6))
    node = replace(NODE, price=price)
    assert cost_of(usage, price, is_batch=is_batch) <= worst_case(node, request, is_batch=is_batch)


def test_a_prompt_is_at_most_what_the_node_reads() -> None:
    request = Request("", "", "x" * 10_000_000, schema={}, max_tokens=1_000)
    assert worst_case(NODE, request) == (100_000 * Decimal("1.25") + 1_000 * 4) / MILLION


def test_an_unknown_price_is_refused_and_not_guessed() -> None:
    with pytest.raises(BudgetError, match=r"far-1.*not known.*mesh\.yaml"):
        worst_case(replace(NODE, price=None), Request("", "", "Why?", schema={}, max_tokens=10))


@pytest.mark.parametrize(
    ("amount", "shown"), [("0", "0.00"), ("20", "20.00"), ("1.5", "1.50"), ("0.0000123", "0.0000123")]
)
def test_amounts_are_shown_in_full(amount: str, shown: str) -> None:
    assert usd(Decimal(amount)) == shown
    assert usd(Decimal(amount).quantize(UNIT)) == shown
