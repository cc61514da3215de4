"""Histories of dropped checkouts: how often files were changed, and nothing of a checkout is run for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mesh_assets.intake.git_history import History


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_checkout_tells_how_often_files_were_changed_and_runs_nothing_of_its_settings(tmp_path: Path) -> None:
    checkout, ran = tmp_path / "checkout", tmp_path / "ran"
    checkout.mkdir()
    _git(checkout, "init", "-q")
    for text in ("a = 1\n", "a = 2\n"):
        (checkout / "a.py").write_text(text)
        _git(checkout, "add", ".")
        _git(checkout, "commit", "-qm", "change")
    with (checkout / ".git/config").open("a") as settings:
        settings.write(
            f'[core]\n\tfsmonitor = "touch {ran}"\n\tpager = "touch {ran}"\n[diff]\n\texternal = "touch {ran}"\n'
        )
    history = History.of(checkout)
    assert history.commits == {"a.py": 2}
    assert len(history.head) == 40
    assert not ran.exists()


def test_a_folder_without_a_checkout_has_no_history(tmp_path: Path) -> None:
    assert History.of(tmp_path) == History()
