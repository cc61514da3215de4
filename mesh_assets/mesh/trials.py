"""What the data itself says to a claim: whether the query that it brought along gives what it states.

Who runs a query that a node wrote, and behind which walls, belongs to `storage.claim_queries`; how a prediction fares
to `analyses.back_tests`. A query can be written to please: what it gives just the same of tables without rows shows
nothing, nor does a number that stands in the query itself. Whether it asks what the statement means, no machine tells:
it is shown beside the claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from mesh_assets.mesh.routing.arithmetic import numbers
from mesh_assets.mesh.shapes import Proof
from mesh_assets.mesh.stated_numbers import Sources, unaccounted

Rows = Sequence[Sequence[object]]
_SHOWN_ROWS, _SHOWN_CHARACTERS = 3, 200


@dataclass(frozen=True, slots=True)
class Ran:
    """What a query gave of the dataset: the first `rows` of its result, `more` where there are others.

    `of_one_row` and `of_nothing` are what it gives where each table has its first row alone, and where none has any;
    None where it could not be run so. `lack` says why it could not be run at all.
    """

    sql: str
    rows: Rows = ()
    more: bool = False
    of_one_row: Rows | None = None
    of_nothing: Rows | None = None
    lack: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """The tests of one statement. `figures` are numbers that its query gave, `stated` with the constants of the query:
    the statement may say them.
    """

    tests: tuple[Proof, ...] = ()
    figures: tuple[float, ...] = ()
    stated: tuple[float, ...] = ()


NO_TRIAL = Trial()


def of_query(statement: str, ran: Ran) -> Trial:
    """The trial of `statement` by its query.

    One cell that is true or false is the query's word on it; else the statement holds where it states a number that
    the query gives, and is refuted where it states numbers and the query gives none of them.
    """

    def told(holds: bool | None, result: str, *, is_word: bool = False) -> Trial:
        return Trial((Proof(statement, "word" if is_word else "numbers", ran.sql, holds, result),))

    if ran.lack:
        return told(None, f"It cannot be run: {ran.lack}")
    first = ran.rows[0][0] if len(ran.rows) == 1 and len(ran.rows[0]) == 1 else None
    word = first if isinstance(first, bool) else None
    if word is not False and ran.rows in (ran.of_nothing, ran.of_one_row):
        return told(None, "It gives the same where the tables are empty or nearly so, which shows nothing.")
    if word is not None:
        return told(word, f"It says {str(word).lower()}.", is_word=True)
    said = _shown(ran)
    stated = unaccounted(statement, Sources((), (), ()))
    if not stated:
        return told(None, f"It gives {said}, and the claim states no number.")
    literals = numbers(ran.sql)
    figures = tuple(value for value in _figures(ran) if value not in literals)
    missing = unaccounted(statement, Sources((), figures, figures))
    if len(missing) == len(stated):
        return told(False, f"It gives {said}, not {', '.join(missing)}.")
    test = Proof(statement, "numbers", ran.sql, True, f"It gives {said}.")
    return Trial((test,), figures, (*figures, *literals))


def refutation(trial: Trial) -> str:
    """Why a claim does not hold by its own query, as sentences; empty where that does not say so.

    A prediction that fared badly is shown as that: what it says of the present may hold.
    """
    for test in trial.tests:
        if test.holds is False and test.by != "past":
            return f"Its own query says otherwise. {test.result}"
    return ""


def _figures(ran: Ran) -> list[float]:
    """The numbers of a result, the sums of its columns, and how many rows it has."""
    found = [value for row in ran.rows for cell in row for value in _numbers_of(cell)]
    for column in zip(*ran.rows, strict=True):
        own = [float(cell) for cell in column if isinstance(cell, int | float | Decimal)]
        found += [sum(own)] if len(own) > 1 else []
    return [*found, *([] if ran.more else [float(len(ran.rows))])]


def _numbers_of(cell: object) -> Sequence[float]:
    if isinstance(cell, bool) or cell is None:
        return ()
    return (float(cell),) if isinstance(cell, int | float | Decimal) else numbers(str(cell))


def _shown(ran: Ran) -> str:
    text = "; ".join(", ".join(map(str, row)) for row in ran.rows[:_SHOWN_ROWS]) or "no rows"
    text = text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
    return f"{text} ..." if ran.more or len(ran.rows) > _SHOWN_ROWS else text
