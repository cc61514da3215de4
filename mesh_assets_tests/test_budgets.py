"""Budgets as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mesh_assets.budgets import SCOPES, Budgets
from mesh_assets.errors import SettingsError
from mesh_assets.settings import Settings, load_settings


def test_a_kind_has_a_limit_and_a_single_scope_may_have_another() -> None:
    budgets = Budgets.parse("call 0.50; dataset 5 ; dataset web-logs 20;month 12.345678")
    assert budgets.limit("call", "any") == Decimal("0.50")
    assert budgets.limit("dataset", "notes") == 5
    assert budgets.limit("dataset", "web-logs") == 20
    assert budgets.limit("month", "2026-11") == Decimal("12.345678")
    assert budgets.limit("case", "any") is None
    assert Budgets.parse("").limit("month", "2026-11") is None


@pytest.mark.parametrize(
    "text", ["month", "month -1", "year 5", "month 1e3", "month nan", "month 0.1234567", "20", "month 2000000"]
)
def test_what_cannot_be_read_is_refused_with_what_was_meant(text: str) -> None:
    with pytest.raises(ValueError, match=r"budget|more than"):
        Budgets.parse(text)


def test_the_settings_name_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_BUDGETS", "month twenty")
    with pytest.raises(SettingsError, match="MESH_BUDGETS"):
        load_settings()


def test_every_kind_is_limited_from_the_start() -> None:
    assert set(Settings(_env_file=None).limits.kinds) == set(SCOPES)  # type: ignore[call-arg]
