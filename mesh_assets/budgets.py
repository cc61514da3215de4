"""Budgets: how much money may be spent, as text, and what limits a scope. Pure; amounts in USD, never as floats.

call 0.50; case 1; month 20              a limit for each call, each case, each month
dataset 5; dataset web-logs 20           each dataset, and one that may cost more

A kind that is not named has no limit of its own. What was spent belongs to the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, get_args

ScopeKind = Literal["call", "case", "run", "problem", "dataset", "month"]
# From the innermost: a call is of a case, a case of a run or a problem, these of a dataset; all are of a month (UTC).
SCOPES: tuple[ScopeKind, ...] = get_args(ScopeKind)
_LIMIT = re.compile(r"(?P<kind>[a-z]+)(?:\s+(?P<name>\S+))?\s+(?P<amount>\d+(?:\.\d{1,6})?)")
# So that sums stay far within what 64 bits hold of 1e-12 USD.
_MOST = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Budgets:
    """Limits in USD by kind of scope, and those of single scopes, which go before."""

    kinds: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    named: Mapping[tuple[str, str], Decimal] = field(default_factory=dict[tuple[str, str], Decimal])

    @classmethod
    def parse(cls, text: str) -> Budgets:
        """The budgets written as `text`; ValueError says what is wrong with it."""
        kinds: dict[str, Decimal] = {}
        named: dict[tuple[str, str], Decimal] = {}
        for part in filter(None, map(str.strip, text.split(";"))):
            match = _LIMIT.fullmatch(part)
            if match is None or match["kind"] not in SCOPES:
                raise ValueError(f"{part!r} is no budget such as `month 20`; kinds are {', '.join(SCOPES)}")
            amount = Decimal(match["amount"])
            if amount > _MOST:
                raise ValueError(f"{part!r} is more than {_MOST:,} USD; a kind that is left out has no limit")
            if match["name"] is None:
                kinds[match["kind"]] = amount
            else:
                named[match["kind"], match["name"]] = amount
        return cls(kinds, named)

    def limit(self, kind: str, name: str) -> Decimal | None:
        """USD that a scope may cost; None where nothing limits it."""
        return self.named.get((kind, name), self.kinds.get(kind))
