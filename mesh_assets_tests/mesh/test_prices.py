"""Prices come from a list that ships with a library; what it does not know, or we cannot count, has none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mesh_assets.mesh.prices import FREE, listed_price

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_a_price_says_where_it_comes_from_and_as_of_when() -> None:
    price = listed_price("gpt-4-turbo", context_tokens=128_000, at=NOON)
    assert price is not None
    assert (price.input, price.output, price.batch_share) == (10, 30, Decimal("0.5"))
    assert price.cached_input == price.cache_write == price.input  # where the list has none, the full price
    assert "genai-prices" in price.source
    assert "openai gpt-4-turbo, 2026-11-28" in price.source


def test_cached_tokens_have_their_own_price() -> None:
    price = listed_price("claude-opus-4-1", context_tokens=200_000, at=NOON)
    assert price is not None
    assert price.cached_input < price.input < price.cache_write < price.output


def test_long_prompts_cost_more_only_where_the_node_may_have_them() -> None:
    short = listed_price("claude-sonnet-4-5", context_tokens=200_000, at=NOON)
    long = listed_price("claude-sonnet-4-5", context_tokens=1_000_000, at=NOON)
    assert short is not None
    assert long is not None
    assert short.input < long.input
    assert short.output < long.output


def test_of_prices_by_the_time_of_day_the_dearest_counts() -> None:
    hours = [listed_price("deepseek-chat", context_tokens=64_000, at=NOON.replace(hour=hour)) for hour in (3, 12, 20)]
    assert all(price is not None for price in hours)
    assert len({price.output for price in hours if price is not None}) == 1
    assert hours[0] is not None
    assert hours[0].output == Decimal("1.1")  # by night half of it


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("no-such-model", ""),
        ("llama-3.3-70b-versatile", "http://127.0.0.1:11434/v1"),
        ("", "https://api.openai.com/v1"),
    ],
)
def test_what_is_not_listed_has_no_price(model: str, base_url: str) -> None:
    assert listed_price(model, context_tokens=8_000, base_url=base_url, at=NOON) is None


def test_an_open_model_has_the_price_of_its_host() -> None:
    price = listed_price("llama-3.3-70b-versatile", context_tokens=8_000, base_url="https://api.groq.com/openai/v1")
    assert price is not None
    assert "groq" in price.source
    assert price == listed_price("llama-3.3-70b-versatile", context_tokens=8_000, provider="groq")


def test_a_fee_for_each_request_is_no_price_of_tokens() -> None:
    assert listed_price("sonar", context_tokens=8_000, provider="perplexity", at=NOON) is None


def test_what_runs_here_is_free() -> None:
    assert not any((FREE.input, FREE.output, FREE.cached_input, FREE.cache_write))
