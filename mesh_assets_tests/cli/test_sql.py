"""`mesh sql` as people type it, what the README says of it, and notebooks that stay open."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from mesh_assets.cli.samples import SAMPLES
from mesh_assets.cli.sql import plain
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.settings import PROJECT_ROOT
from mesh_assets.stages import SLICE_ASSETS
from mesh_assets.storage.duckdb_files import dataset_database, views_database
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location

README = (PROJECT_ROOT / "README.md").read_text()
EVIL = "# Evil \x1b]0;title\x07\n\n\x1b[31mred [bold]markup[/bold] lantern\n"
# dagster-duckdb by itself would retry for a hundred seconds; the runs take a few.
_NO_WAIT_SECONDS = 90
_NOTEBOOK = (
    "import duckdb, sys\n"
    "connections = [duckdb.connect(path, read_only=sys.argv[1] == 'read') for path in sys.argv[2:]]\n"
    "for c in connections: c.execute('SELECT count(*) FROM dataset_statistics').fetchall()\n"
    "if sys.argv[1] == 'write':\n"
    "    for c in connections: c.execute('BEGIN'); c.execute('CREATE TABLE mine AS SELECT 1 AS i')\n"
    "print('open', flush=True)\n"
    "sys.stdin.readline()\n"
    "print([c.execute('SELECT count(*) FROM dataset_statistics').fetchall()[0][0] for c in connections], flush=True)\n"
)


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    location = Location(tmp_path_factory.mktemp("sql"), {"encoder": FakeEncoder()})
    shutil.copytree(SAMPLES / "shop-service", location.settings.drops / "shop-service")
    evil = location.settings.drops / "notes"
    evil.mkdir()
    (evil / "it's; DROP TABLE chunks.md").write_text(EVIL)
    location.settle()
    yield location
    location.instance.dispose()


def test_the_readme_tells_what_sql_answers(location: Location) -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    commands = [
        shlex.split(text)[1:] for kind, text in blocks if kind == "sh" and text.startswith(".venv/bin/mesh sql")
    ]
    first, second = (mesh(location, *command).stdout for command in commands)
    answer = next(text for kind, text in blocks if not kind and "┃ lost" in text)
    assert [line.rstrip() for line in first.splitlines()] == answer.splitlines()
    stages = [line.split("│")[0].strip() for line in second.splitlines()[2:]]
    assert sorted(stages) == ["analyses", "chunks", "embeddings", "indexes", "insights", "intake", "reports", "usage"]
    (notebook,) = (text for kind, text in blocks if kind == "python")
    code = notebook.replace("data/state/lake.duckdb", str(views_database(location.lake.root)))
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "log" in shown
    assert "structured" in shown


def test_without_a_query_the_tables_are_listed(location: Location) -> None:
    shown = mesh(location, "sql").stdout
    assert "extents" in shown
    assert "lake_identity" not in shown
    tables = {t["table"]: t for t in json.loads(mesh(location, "sql", "--json").stdout)["tables"]}
    chunks = sum(location.lake.read("chunk_sets", f"{name}.000000").footer.rows for name in ("notes", "shop-service"))
    assert tables["chunks"]["rows"] == chunks
    assert tables["chunks"]["columns"]["time_start"] == "TIMESTAMP WITH TIME ZONE"
    assert "one chunk" in tables["chunks"]["about"]


def test_json_csv_and_limit_give_what_was_asked_for(location: Location) -> None:
    query = "select slice, asset, rows, made_at from dataset_statistics where dataset = 'notes' order by asset"
    rows = json.loads(mesh(location, "sql", query, "--json").stdout)
    read = list(csv.DictReader(io.StringIO(mesh(location, "sql", query, "--csv").stdout)))
    assert [row["asset"] for row in read] == [row["asset"] for row in rows]
    assert {row["asset"]: row["rows"] for row in rows}["chunk_sets"] == int(
        read[[r["asset"] for r in read].index("chunk_sets")]["rows"]
    )
    assert all(row["made_at"].endswith("+00:00") for row in rows)
    assert json.loads(mesh(location, "sql", f"{query} limit 0", "--json").stdout) == []
    assert len(json.loads(mesh(location, "sql", query, "--json", "--limit", "2").stdout)) == 2
    shown = mesh(location, "sql", "select range as number from range(70)")
    assert "49" in shown.stdout
    assert "50 of 70 rows" in shown.stderr
    assert "--limit" not in mesh(location, "sql", "select range from range(70)", "--limit", "70").stderr
    vectors = json.loads(mesh(location, "sql", "select vector from embeddings limit 1", "--json").stdout)
    assert all(isinstance(value, float) for value in vectors[0]["vector"])


def test_a_row_of_more_columns_than_a_line_holds_is_a_block_of_lines(location: Location) -> None:
    columns = ", ".join(f"'value {number}' as column_{number}" for number in range(40))
    printed = mesh(location, "sql", f"select {columns}").stdout
    assert [line.split("│")[1].strip() for line in printed.splitlines() if "│" in line] == [
        f"value {number}" for number in range(40)
    ]


def test_no_text_of_a_drop_steers_the_terminal(location: Location) -> None:
    shown = mesh(
        location, "sql", "select path, text, 1 as \"[bold]\x1b[2J\" from chunks where dataset = 'notes'"
    ).stdout
    assert "lantern" in shown
    assert "[bold]markup[/bold]" in shown
    assert "\x1b" not in shown
    assert "it's; DROP TABLE chunks.md" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sql", "select * from chunk"), "There are: analyses, cases, chunk_insights, chunk_labels, "),
        (("sql", "select nothing from chunks"), "nothing"),
        (("sql", "drop view chunks"), "single SELECT"),
        (("sql", "select * from read_text('/etc/passwd')"), "no other file"),
        (("sql", "select 1", "--json", "--csv"), "exclude each other"),
        (("sql", "--csv"), "--json"),
    ],
)
def test_errors_say_what_to_do(location: Location, arguments: tuple[str, ...], says: str) -> None:
    assert says in mesh(location, *arguments, expect=1).stderr


def test_values_that_json_has_no_word_for() -> None:
    assert plain([float("nan"), {"a": b"\x00\xff"}, ("x", None)]) == [None, {"a": "00ff"}, ["x", None]]


@pytest.mark.parametrize("how", ["read", "write"])
def test_a_notebook_that_stays_open_makes_nothing_wait_and_nothing_fail(location: Location, how: str) -> None:
    files = [str(views_database(location.lake.root)), str(dataset_database(location.lake.root))]
    command = [sys.executable, "-c", _NOTEBOOK, how, *files]
    notebook = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert notebook.stdout
    assert notebook.stdout.readline() == "open\n"
    try:
        query = "select count(*) as n from chunks where dataset = 'notes' and text like '%lantern%'"
        before = json.loads(mesh(location, "sql", query, "--json").stdout)[0]["n"]
        (location.settings.drops / "notes" / f"{how}.md").write_text(f"# {how}\n\nAnother lantern.\n")
        started = time.monotonic()
        runs = location.settle()
        assert time.monotonic() - started < _NO_WAIT_SECONDS
        assert [key.split("@")[0] for key in runs] == ["notes", "notes.000000", "notes"]
        assert json.loads(mesh(location, "sql", query, "--json").stdout)[0]["n"] == before + 1
        tables = len(SLICE_ASSETS) + 5  # of a dataset of one slice, and there are two
        made = "select count(*) as n from dataset_statistics where dataset = 'notes' and state = 'done'"
        assert json.loads(mesh(location, "sql", made, "--json").stdout)[0]["n"] == tables
        counts, _ = notebook.communicate("\n", timeout=60)
        assert json.loads(counts) == [2 * tables, 2 * tables]
    finally:
        notebook.kill()
        notebook.wait()
