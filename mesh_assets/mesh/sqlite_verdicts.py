"""Verdicts in one SQLite file that all processes share: added, never changed.

    <state>/verdicts.sqlite

Who thinks otherwise later adds another verdict: of one judge on one answer the last counts. What is learned from them
belongs to calibration and gates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from mesh_assets.mesh.sqlite_file import SqliteFile
from mesh_assets.schemas.verdicts import JUDGES, VERDICTS, Judge

VERDICTS_FILE = "verdicts.sqlite"
_SCHEMA = f"""
CREATE TABLE verdicts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset TEXT NOT NULL,
    case_id TEXT NOT NULL,
    depth TEXT NOT NULL,
    node TEXT,
    is_right INTEGER NOT NULL CHECK (is_right IN (0, 1)),
    judge TEXT NOT NULL CHECK (judge IN ({", ".join(f"'{judge}'" for judge in JUDGES)})),
    judge_name TEXT NOT NULL,
    at REAL NOT NULL,
    signals TEXT NOT NULL
) STRICT;
CREATE INDEX verdicts_of ON verdicts (dataset, case_id)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One word on one answer. `signals` is a JSON object of numbers, `at` seconds since 1970."""

    dataset: str
    case_id: str
    depth: str
    node: str | None
    is_right: bool
    judge: Judge
    judge_name: str
    at: float
    signals: str = "{}"


def verdict(
    answer: Mapping[str, object], *, is_right: bool, judge: Judge, judge_name: str, at: float | None = None
) -> Verdict:
    """The verdict on an answer, a row of the table of analyses; at this moment, if not said otherwise."""
    node = answer["node"]
    return Verdict(
        dataset=str(answer["dataset"]),
        case_id=str(answer["case_id"]),
        depth=str(answer["depth"]),
        node=None if node is None else str(node),
        is_right=is_right,
        judge=judge,
        judge_name=judge_name,
        at=datetime.now(UTC).timestamp() if at is None else at,
        signals=str(answer["signals"]),
    )


class SqliteVerdicts:
    """The file in the folder `state`. LakeError where it cannot be used."""

    def __init__(self, state: Path) -> None:
        self._file = SqliteFile(
            state / VERDICTS_FILE,
            _SCHEMA,
            remedy="Make room and allow writing there; where it is damaged, put a backup in its place.",
        )

    def add(self, *verdicts: Verdict) -> None:
        """Add them, all or none. ValueError where signals are no JSON object of numbers."""
        rows = [asdict(each) for each in verdicts]
        for row in rows:
            signals = json.loads(row["signals"])
            if not isinstance(signals, dict) or not all(isinstance(value, int | float) for value in signals.values()):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
                raise ValueError(f"{row['signals']} is no JSON object of numbers")
        names = [field.name for field in fields(Verdict)]
        with self._file.transaction() as db:
            statement = f"INSERT INTO verdicts ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608
            db.executemany(statement, rows)

    def all(self, dataset: str | None = None) -> list[Verdict]:
        """Those that count, of all datasets or of one: of each judge the last word on each answer, in their order."""
        if not self._file.exists:
            return []
        last = "SELECT max(number) FROM verdicts GROUP BY dataset, case_id, depth, node, judge, judge_name"
        names = ", ".join(field.name for field in fields(Verdict))
        where = f"number IN ({last}) AND dataset = coalesce(?, dataset)"
        query = f"SELECT {names} FROM verdicts WHERE {where} ORDER BY number"  # noqa: S608
        with self._file.transaction("DEFERRED") as db:
            rows: list[dict[str, Any]] = [dict(row) for row in db.execute(query, (dataset,))]
        for row in rows:
            row["is_right"] = bool(row["is_right"])
        return [Verdict(**row) for row in rows]

    def table(self) -> pa.RecordBatch:
        """Every verdict ever given, as the table of the lake has them."""
        rows: list[dict[str, object]] = []
        if self._file.exists:
            with self._file.transaction("DEFERRED") as db:
                rows = [dict(row) for row in db.execute("SELECT * FROM verdicts ORDER BY number")]
        for row in rows:
            row |= {"is_right": bool(row["is_right"]), "at": datetime.fromtimestamp(float(str(row["at"])), UTC)}
        return VERDICTS.batch(rows)

    def forget(self, dataset: str) -> int:
        """Remove every verdict on a dataset; how many there were."""
        if not self._file.exists:
            return 0
        with self._file.transaction() as db:
            count = db.execute("DELETE FROM verdicts WHERE dataset = ?", (dataset,)).rowcount
        self._file.compact()
        return count
