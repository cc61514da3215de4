"""Each file of a slice is told by its first bytes; what one file does wrong stops no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_assets.intake import stage
from mesh_assets.intake.extents import ADDED, Extent
from mesh_assets.intake.kinds import Detected, detect
from mesh_assets.intake.sources import Identity
from mesh_assets.schemas.outcome import Outcome


def extent(path: Path) -> Extent:
    found = path.stat()
    identity = Identity(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)
    return Extent(path.name, 0, found.st_size, identity, "d.000000", 1, ADDED)


def test_a_defect_that_one_file_shows_is_a_reject_of_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(head: bytes, path: str, *, whole: bool) -> Detected:
        return detect(head, path, whole=whole) if path != "odd.txt" else Detected("text", str(1 / 0), None)

    monkeypatch.setattr(stage, "detect", broken)
    for name in ("a.md", "odd.txt", "z.md"):
        (tmp_path / name).write_text(f"# {name}\n\nSome words.\n")
    outcome, footer = Outcome(total=3), dict[str, object]()
    reader = stage.SourceReader(tmp_path, [extent(tmp_path / name) for name in ("a.md", "odd.txt", "z.md")], outcome)
    rows = [row for batch in reader.batches(footer) for row in batch.to_pylist()]
    assert [row["path"] for row in rows] == ["a.md", "z.md"]
    (reject,) = outcome.rejects
    assert (reject.path, reject.reason) == ("odd.txt", "its kind cannot be told")
    assert "ZeroDivisionError" in (reject.detail or "")
    assert outcome.done + outcome.rejected == 3
