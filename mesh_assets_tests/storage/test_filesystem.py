"""A folder where locks do not hold is told from one where they do."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from mesh_assets.storage.filesystem import file_system_type, free_bytes, locks_hold, network_type

_MOUNTS = r"""/dev/sda1 / ext4 rw 0 0
server:/export /srv/lake nfs4 rw,vers=4.2 0 0
me@host:/home /home/me/far\040away fuse.sshfs rw 0 0
/dev/sdb1 /srv/lake/local xfs rw 0 0
"""


def test_locks_of_a_local_folder_hold_and_the_probe_leaves_nothing(tmp_path: Path) -> None:
    assert locks_hold(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_lock_that_keeps_nobody_out_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a network mount with `nolock`: taking the lock succeeds and means nothing.
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert not locks_hold(tmp_path)


def test_a_file_system_without_locks_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not locks_hold(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("folder", "kind", "network"),
    [
        ("/var/lib", "ext4", None),
        ("/srv/lake/state", "nfs4", "nfs4"),
        ("/srv/lake/local/state", "xfs", None),
        ("/srv/lakeside", "ext4", None),
        ("/home/me/far away/x", "fuse.sshfs", "fuse.sshfs"),
    ],
)
def test_the_mount_of_a_folder_is_the_longest_one_above_it(
    tmp_path: Path, folder: str, kind: str, network: str | None
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(_MOUNTS)
    assert file_system_type(Path(folder), mounts) == kind
    assert network_type(Path(folder), mounts) == network


def test_free_space_is_told_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") > 0
