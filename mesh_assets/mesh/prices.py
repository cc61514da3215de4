"""What tokens of a model cost by genai-prices, which ships its list: nothing is fetched, and nothing is guessed.

Prices that a node file states itself go before these; that is the affair of whoever reads it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from mesh_assets.mesh.protocol import Price

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

FREE = Price(*[Decimal(0)] * 4, batch_share=Decimal(1), source="costs nothing: it runs on this machine")
# Prices of what our calls never use; a model with any other price beside those of `Price` is one that we cannot count.
_UNUSED = ("cache_write_1h", "web_searches", "storage_searches", "audio", "image", "video", "document", "annotated")
_COUNTED = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "output_reasoning_mtok")
_BATCH = {"processing": "batch"}
# Prices by the time of day change at half hours.
_STEPS, _STEP = 48, timedelta(minutes=30)


def listed_price(
    model: str, *, context_tokens: int, provider: str = "", base_url: str = "", at: datetime | None = None
) -> Price | None:
    """The price of `model` from a moment on (now) for a day, or None where the list has none that holds for it.

    `provider` is its name in the list (`deepseek`, `groq`); without, it is told by `base_url`, else by the model. Of
    prices that change with the length of a prompt those are left out that begin beyond `context_tokens`; of what is
    left, and of prices by the time of day, the dearest counts, so that a bill is never above what was booked.
    """
    from genai_prices import Usage, __version__, calc_price

    moment = at or datetime.now(UTC)
    try:
        if provider or not base_url:
            found = calc_price(Usage(), model, provider_id=provider or None, genai_request_timestamp=moment)
        else:
            found = calc_price(Usage(), model, provider_api_url=base_url, genai_request_timestamp=moment)
    except LookupError:
        return None
    plain = _dearest(found.model, moment, context_tokens, {})
    if plain is None:
        return None
    batch = _dearest(found.model, moment, context_tokens, _BATCH) or plain
    shares = [batch[key] / plain[key] for key in plain if plain[key]]
    output = plain["output_mtok"]
    return Price(
        input=plain["input_mtok"],
        output=output,
        cached_input=plain.get("cache_read_mtok", plain["input_mtok"]),
        cache_write=plain.get("cache_write_mtok", plain["input_mtok"]),
        batch_share=max(shares, default=Decimal(1)),
        reasoning=plain.get("output_reasoning_mtok"),
        source=f"genai-prices {__version__}: {found.provider.id} {found.model.id}, {moment:%Y-%m-%d}",
    )


def _dearest(
    model: ModelInfo, moment: datetime, context_tokens: int, context: dict[str, str]
) -> dict[str, Decimal] | None:
    """The highest price of each kind within a day; None where one is of a kind that a `Price` does not have."""
    highest: dict[str, Decimal] = {}
    for step in range(_STEPS):
        prices = _amounts(model.get_prices(moment + step * _STEP, context), context_tokens)
        if prices is None:
            return None
        for key, amount in prices.items():
            highest[key] = max(amount, highest.get(key, amount))
    return highest


def _amounts(prices: ModelPrice, context_tokens: int) -> dict[str, Decimal] | None:
    amounts: dict[str, Decimal] = {}
    for key, value in vars(prices).items():
        if value is None or any(part in key for part in _UNUSED):
            continue
        if key not in _COUNTED:
            return None
        steps = [] if isinstance(value, Decimal) else [t.price for t in value.tiers if t.start < context_tokens]
        amounts[key] = max([value if isinstance(value, Decimal) else value.base, *steps])
    return amounts if {"input_mtok", "output_mtok"} <= amounts.keys() else None
