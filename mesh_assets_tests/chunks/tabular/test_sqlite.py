"""Every table of a database is read from a copy; nothing that the file defines runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mesh_assets.chunks.protocol import Piece
from mesh_assets.chunks.registry import chunker_for, no_chunker
from mesh_assets.errors import FormatError
from mesh_assets.intake.kinds import detect
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import source
from mesh_assets_tests.chunks.tabular.readings import cut, parts, pieces, reading, rows


def database(folder: Path, *statements: str, journal: str = "delete") -> bytes:
    path = folder / "made.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA journal_mode = {journal}")
        for statement in statements:
            made.execute(statement)
        made.commit()
    return path.read_bytes()


MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_every_table_has_its_rows_and_its_name(tmp_path: Path, journal: str) -> None:
    data = database(
        tmp_path,
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, since DATE)",
        f"INSERT INTO customers {MANY} SELECT i, 'customer ' || i, '2024-01-01' FROM n",
        'CREATE TABLE "odd ""name" (a, twice GENERATED ALWAYS AS (a * 2))',
        'INSERT INTO "odd ""name" (a) VALUES (21)',
        "CREATE TABLE empty (a, b)",
        journal=journal,
    )
    found = pieces(parts(data, "sqlite"))
    assert found[0].text == "Table customers: 3 columns: id (integer), name (text), since (date)\n"
    of_customers = [piece for piece in found if piece.symbol == "customers" and piece.row_start is not None]
    assert of_customers[0].place is not None and of_customers[0].place.startswith("table customers, rows 0 to ")
    assert of_customers[-1].row_stop == 300 and of_customers[-1].context == "id,name,since"
    assert of_customers[0].time_start is not None
    assert rows(list(found), "customers")[300] == ["300", "customer 300", "2024-01-01"]
    assert rows(list(found), 'odd "name') == [["a", "twice"], ["21", "42"]]
    assert rows(list(found), "empty") == [["a", "b"]]


def test_rows_that_only_the_log_beside_a_database_has_do_not_vanish_without_a_word(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "open.db")) as used:
        used.execute("PRAGMA journal_mode = wal")
        used.execute("CREATE TABLE t (a)")
        used.commit()
        database, log = (tmp_path / "open.db").read_bytes(), (tmp_path / "open.db-wal").read_bytes()
    with pytest.raises(FormatError, match="no table"):
        list(parts(database, "sqlite"))
    found = detect(log, "open.db-wal", whole=True)
    assert chunker_for(found.kind, found.format) is None
    assert "wal_checkpoint" in no_chunker(source(log, found.kind, found.format)).remedy


def test_views_triggers_and_virtual_tables_do_not_run(tmp_path: Path) -> None:
    data = database(
        tmp_path,
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n",
        "CREATE TRIGGER gone AFTER INSERT ON t BEGIN DELETE FROM t; END",
        "CREATE VIRTUAL TABLE words USING fts5(body)",
        "INSERT INTO words VALUES ('hello there')",
    )
    found = parts(data, "sqlite")
    assert [part.detail for part in found if isinstance(part, Reject)] == [
        "Table words: It is read by a program's own code."
    ]
    assert "endless" not in reading(found)
    assert rows(found, "t") == [["a"], ["1"]]
    # What a full-text table holds lies in a plain one beside it; its index is none of anybody's data.
    assert rows(found, "words_content")[1:] == [["1", "hello there"]]
    assert "words_data" not in reading(found)


def test_cells_stay_one_row(tmp_path: Path) -> None:
    data = database(
        tmp_path, "CREATE TABLE t (a, b)", "INSERT INTO t VALUES ('x\ny', x'ff00'), (NULL, 'a,\"b\"'), ('\u2028', 1.5)"
    )
    assert rows(parts(data, "sqlite"), "t")[1:] == [["x y", "0xff00"], ["", 'a,"b"'], ["", "1.5"]]


def test_a_damaged_table_is_named_and_the_others_are_used(tmp_path: Path) -> None:
    data = bytearray(
        database(
            tmp_path,
            "CREATE TABLE good (a)",
            "INSERT INTO good VALUES ('kept')",
            "CREATE TABLE bad (a)",
            f"INSERT INTO bad {MANY} SELECT 'row ' || i || ' of many, with words to fill its page' FROM n",
        )
    )
    with closing(sqlite3.connect(tmp_path / "made.db")) as made:
        page, size = made.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'bad'").fetchone()[0], 4096
    data[(page - 1) * size : page * size] = b"\xee" * size
    found = cut(bytes(data), "sqlite", 64)
    assert rows(found, "good") == [["a"], ["kept"]]
    assert [part.reason for part in found if isinstance(part, Reject)] == ["broken table"]


def test_a_database_cut_off_is_refused_or_read_as_far_as_it_goes(tmp_path: Path) -> None:
    data = database(tmp_path, "CREATE TABLE t (a)", f"INSERT INTO t {MANY} SELECT 'row ' || i FROM n")
    with pytest.raises(FormatError) as refused:
        cut(data[:50], "sqlite", 64)
    assert refused.value.reason == "broken SQLite database"
    found = cut(data[: len(data) - 4096], "sqlite", 64)
    assert any(isinstance(part, Reject) for part in found)
    assert any(isinstance(part, Piece) for part in found)
