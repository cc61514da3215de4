"""What a look into a drop tells before it is read: shares that are right, problems that are there, in seconds."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.insights.immediate import DRAWN, READ_SECONDS, WALK_SECONDS, Immediate, told, wilson
from mesh_assets.intake.walk import list_dataset

LOG = "".join(f"2026-11-22 10:42:{second:02d} ERROR disk full on host{second}\n" for second in range(60))
PROSE = "The harbour is closed in spring because of the storms that come with the first warm days of the year. " * 8


def look(root: Path) -> Immediate:
    return told(root, list_dataset(root, quiet_seconds=0, until=time.monotonic() + WALK_SECONDS))


def test_shares_are_of_bytes_whatever_the_number_of_files(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for number in range(900):
        (tmp_path / "notes" / f"{number}.md").write_text(PROSE)
    (tmp_path / "app.log").write_text(LOG * 1100)
    logs = (tmp_path / "app.log").stat().st_size
    found = look(tmp_path)
    true = logs / found.bytes
    assert found.files == 901
    assert found.is_whole
    assert found.kinds["log"].low <= true <= found.kinds["log"].high
    assert abs(found.bytes_by_kind["log"] / logs - 1) < 0.05
    assert found.languages["en"].likely == 1
    assert next(found.statements()).startswith("901 files, ")


def test_what_looks_wrong_is_said_with_an_example(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "scan.pdf").write_text("this is no PDF at all\n")
    (tmp_path / "locked.pdf").write_bytes(b"%PDF-1.7\n" + b"x" * 9000 + b"\ntrailer << /Encrypt 12 0 R >>\n")
    (tmp_path / "conf.ini").write_text("[aws]\npassword = hunter2-Blue-Horse-91\nkey = AKIAZ7QF4WXN2K6PLM3T\n")
    (tmp_path / "old.txt").write_bytes("Утром сервер базы данных перестал отвечать на запросы.\n".encode("koi8_r") * 9)
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    examples = {problem.what: problem.example for problem in look(tmp_path).problems}
    assert examples["empty"] == "empty.txt"
    assert examples["symbolic link"] == "link"
    assert examples["called .pdf and no such file inside"] == "scan.pdf"
    assert examples["encrypted: it cannot be read without its password"] == "locked.pdf"
    assert examples["what looks like passwords or keys in it"] == "conf.ini"
    assert examples["text in koi8_r, not UTF-8"] == "old.txt"
    assert "hunter2" not in " ".join(look(tmp_path).statements())
    assert "plain.zip" not in examples.values()


def test_a_terabyte_in_a_hundred_thousand_files_takes_seconds(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / f"{folder}").mkdir()
        for number in range(500):
            (tmp_path / f"{folder}" / f"{number}.log").write_text("")
    large = tmp_path / "large.log"
    with large.open("wb") as file:
        file.write(LOG.encode() * 40)
        file.truncate(1 << 40)  # a hole: nothing that is read of it
    started = time.process_time()
    found = look(tmp_path)
    assert time.process_time() - started < WALK_SECONDS + READ_SECONDS
    assert found.bytes == 1 << 40
    assert found.kinds["log"].likely == 1


def test_a_walk_that_is_cut_off_says_at_least(tmp_path: Path) -> None:
    for folder in range(3):
        (tmp_path / f"{folder}").mkdir()
        (tmp_path / f"{folder}" / "a.md").write_text(PROSE)
    (tmp_path / "a.md").write_text(PROSE)
    found = told(tmp_path, list_dataset(tmp_path, quiet_seconds=0, until=time.monotonic() - 1))
    assert not found.is_whole
    assert next(found.statements()).startswith("At least 1 file")


def test_nothing_is_something_too(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert (found.files, found.bytes, found.kinds, list(found.statements())) == (0, 0, {}, ["0 files, 0 B."])


@given(st.integers(0, DRAWN), st.integers(1, DRAWN))
def test_an_interval_holds_its_share(count: int, total: int) -> None:
    share = wilson(min(count, total), total)
    assert 0 <= share.low <= share.likely <= share.high <= 1


@pytest.mark.parametrize("count", [0, 400])
def test_what_was_never_drawn_may_be_there(count: int) -> None:
    share = wilson(count, 400)
    assert share.high - share.low > 0.005


def test_a_name_that_is_no_utf8_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text(PROSE)
    said = " ".join(look(tmp_path).statements())
    said.encode()
    assert "name is not UTF-8" in said
