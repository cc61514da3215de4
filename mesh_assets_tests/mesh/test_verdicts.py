"""Verdicts are kept, by many processes at once, and never changed; a forgotten dataset takes its own along."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from mesh_assets.errors import LakeError
from mesh_assets.mesh.sqlite_verdicts import VERDICTS_FILE, SqliteVerdicts, Verdict, verdict

ANSWER = {"dataset": "notes", "case_id": "c", "depth": "deep", "node": None, "signals": "{}"}


def _add(state: Path, name: str) -> None:
    for number in range(10):
        SqliteVerdicts(state).add(_verdict(f"{name}{number}"))


def _verdict(case: str, *, right: bool = True, by: str = "ann", dataset: str = "notes") -> Verdict:
    answer = {**ANSWER, "case_id": case, "dataset": dataset}
    return verdict(answer, is_right=right, judge="person", judge_name=by, at=5.0)


def test_processes_side_by_side_lose_nothing(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        list(pool.map(_add, [tmp_path] * 4, "abcd"))
    assert len({each.case_id for each in SqliteVerdicts(tmp_path).all()}) == 40


def test_the_last_word_of_each_judge_counts_and_every_word_stays_on_the_record(tmp_path: Path) -> None:
    verdicts = SqliteVerdicts(tmp_path)
    assert verdicts.all() == []
    verdicts.add(_verdict("c"), _verdict("c", by="bob"), _verdict("d", dataset="logs"))
    verdicts.add(_verdict("c", right=False))
    assert [(v.case_id, v.judge_name, v.is_right) for v in verdicts.all("notes")] == [
        ("c", "bob", True),
        ("c", "ann", False),
    ]
    assert verdicts.table().num_rows == 4
    assert verdicts.forget("notes") == 3
    assert [v.dataset for v in verdicts.all()] == ["logs"]


def test_signals_that_are_no_numbers_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    verdicts = SqliteVerdicts(tmp_path)
    for signals in ("[]", '{"support": "much"}', "{"):
        with pytest.raises(ValueError):
            verdicts.add(verdict({**ANSWER, "signals": signals}, is_right=True, judge="person", judge_name="ann"))
    assert verdicts.all() == []
    (tmp_path / VERDICTS_FILE).write_bytes(b"no database" * 100)
    with pytest.raises(LakeError):
        verdicts.add(_verdict("c"))
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(tmp_path / VERDICTS_FILE).execute("SELECT 1 FROM verdicts")
