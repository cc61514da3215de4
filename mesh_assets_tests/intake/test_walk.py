"""What a walk of a hostile drop lists, rejects and never touches."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mesh_assets.errors import SourceChangedError, SourceError
from mesh_assets.intake.drop_area import DropArea, DropWatch
from mesh_assets.intake.left_out import LeftOut
from mesh_assets.intake.sources import open_inside, open_verified
from mesh_assets.intake.walk import MAX_DEPTH, Visitor, Walk, list_dataset
from mesh_assets.schemas.rejects import printable
from mesh_assets.slices import LOOSE_FILES, dataset_key, is_dataset_key


def _reasons(root: Path) -> dict[str, str]:
    return {printable(r.path): r.reason for r in list_dataset(root, quiet_seconds=0).rejects}


def test_lists_regular_files_and_rejects_everything_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    root = tmp_path / "drop"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "a.txt").write_text("a")
    (root / "empty.txt").touch()
    (root / "link.txt").symlink_to(outside / "secret.txt")
    (root / "folder-link").symlink_to(outside)
    os.mkfifo(root / "pipe")
    os.close(os.open(os.fsencode(root) + b"/bad\xff.txt", os.O_CREAT | os.O_WRONLY))
    listing = list_dataset(root, quiet_seconds=0)
    assert listing.files["path"].to_list() == ["inner/a.txt"]
    assert _reasons(root) == {
        "empty.txt": "empty",
        "link.txt": "symbolic link",
        "folder-link": "symbolic link",
        "pipe": "not a regular file",
        "bad\\xff.txt": "name is not UTF-8",
    }


def test_names_that_are_left_out_are_said_once_and_not_looked_into(tmp_path: Path) -> None:
    for path in ("a.py", ".git/config", ".git/objects/1", "deep/.git", "deep/a.pyc", "deep/b.git", "GIT/a"):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("x")
    found = list_dataset(tmp_path, quiet_seconds=0, left_out=LeftOut.of(" .git/, *.pyc,,never"))
    assert sorted(found.files["path"]) == ["GIT/a", "a.py", "deep/b.git"]
    assert [(reject.path, reject.reason) for reject in found.rejects] == [
        (path, "left out by name") for path in (".git", "deep/.git", "deep/a.pyc")
    ]
    assert list_dataset(tmp_path, quiet_seconds=0).files.height == 7
    assert found.digest != list_dataset(tmp_path, quiet_seconds=0).digest


def test_depth_is_limited(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    (deep / "file.txt").write_text("x")
    listing = list_dataset(tmp_path, quiet_seconds=0)
    assert not len(listing.files)
    assert [reject.reason for reject in listing.rejects] == ["folder too deep"]


def test_a_growing_file_waits_until_it_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x")
    assert set(list_dataset(tmp_path, quiet_seconds=60).growing) == {"a.log"}
    later = Visitor(60, now=time.time() + 61)
    walk = Walk()
    walk.advance(tmp_path, later)
    assert (walk.files, walk.growing) == (1, {})
    # A clock that jumped back must not hold a file for ever.
    earlier = Walk()
    earlier.advance(tmp_path, Visitor(60, now=time.time() - 3600))
    assert earlier.files == 1


def test_a_walk_in_pieces_sees_the_same_as_one_at_once(tmp_path: Path) -> None:
    for number in range(30):
        folder = tmp_path / f"f{number % 7}" / f"g{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").write_text(str(number))
    walk, steps = Walk(), 0
    while not walk.advance(tmp_path, Visitor(0), until=time.monotonic() + 1e-9):
        steps += 1
        assert steps < 1000
    assert f"{walk.digest:032x}" == list_dataset(tmp_path, quiet_seconds=0).digest
    assert walk.files == 30


def test_nothing_outside_is_opened(tmp_path: Path) -> None:
    root = tmp_path / "drop"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (root / "link").symlink_to(tmp_path)
    (root / "file-link").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(root / "pipe")
    for path in ("../secret.txt", "link/secret.txt", "file-link", "./../secret.txt", "/etc/passwd", "pipe", "..", ""):
        with pytest.raises(SourceError), open_inside(root, path):
            pytest.fail(f"{path} was opened")


def test_a_dataset_folder_that_became_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.txt").write_text("secret")
    (tmp_path / "drop").symlink_to(tmp_path / "elsewhere")
    listing = list_dataset(tmp_path / "drop", quiet_seconds=0)
    assert not len(listing.files)
    assert listing.rejects[0].reason == "unreadable folder"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_what_may_not_be_read_is_a_reject_with_its_remedy(tmp_path: Path) -> None:
    root = Path("/tmp") / f"mesh-unreadable-{os.getpid()}"  # pytest's own folder is closed to other users
    (root / "closed").mkdir(parents=True)
    (root / "closed" / "x.txt").write_text("x")
    (root / "private.txt").write_text("x")
    (root / "private.txt").chmod(0o600)
    (root / "closed").chmod(0o700)
    try:
        os.seteuid(65534)
        listing = list_dataset(root, quiet_seconds=0)
        assert {r.path: r.reason for r in listing.rejects} == {"closed": "unreadable folder"}
        with pytest.raises(SourceError) as caught, open_inside(root, "private.txt"):
            pass
        assert caught.value.reason == "unreadable"
        assert "chmod" in caught.value.remedy
    finally:
        os.seteuid(0)
        for path in (root / "closed" / "x.txt", root / "private.txt"):
            path.unlink()
        (root / "closed").rmdir()
        root.rmdir()


@pytest.mark.parametrize("size", [1_000, 9 << 20])
def test_a_source_is_opened_only_with_the_content_that_intake_read(tmp_path: Path, size: int) -> None:
    from blake3 import blake3

    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    digest = blake3(content[100:]).hexdigest(length=16)
    with open_verified(tmp_path, "f", 100, size, digest) as file:
        assert file.read() == content[100:]
    (tmp_path / "f").write_bytes(content[:-1] + b"!")
    with pytest.raises(SourceChangedError):
        open_verified(tmp_path, "f", 100, size, digest)


def test_a_large_source_that_changes_while_it_is_streamed_is_noticed(tmp_path: Path) -> None:
    from blake3 import blake3

    content = os.urandom(9 << 20)
    (tmp_path / "f").write_bytes(content)
    file = open_verified(tmp_path, "f", 0, len(content), blake3(content).hexdigest(length=16))
    assert file.read(10) == content[:10]
    with (tmp_path / "f").open("r+b") as other:
        other.seek(8 << 20)
        other.write(b"more")
    with pytest.raises(SourceChangedError):
        while file.read(1 << 20):
            pass
    file.close()


def test_a_large_source_may_go_on_growing_behind_what_is_read(tmp_path: Path) -> None:
    from blake3 import blake3

    content = os.urandom(9 << 20)
    (tmp_path / "f").write_bytes(content)
    with open_verified(tmp_path, "f", 0, len(content), blake3(content).hexdigest(length=16)) as file:
        assert file.read(10) == content[:10]
        with (tmp_path / "f").open("ab") as other:
            other.write(b"more")
        assert file.read() == content[10:]


class TestDropArea:
    def test_every_folder_is_a_dataset_and_nothing_else_is_ignored(self, tmp_path: Path) -> None:
        for name in ("logs", "My Data, 2026", "日本", ".hidden", "-dash"):
            (tmp_path / name).mkdir()
        (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
        (tmp_path / "loose.txt").write_text("x")
        (tmp_path / "link").symlink_to("/etc")
        area = DropArea(tmp_path, 0)
        keys = list(area.folders())
        assert len(keys) == 6
        assert all(is_dataset_key(key) for key in keys)
        assert "logs" in keys
        assert any(key.startswith("My-Data-2026-") for key in keys)
        assert {r.path: r.reason for r in area.loose()} == {
            "loose.txt": "outside any dataset",
            "link": "symbolic link",
        }
        assert area.folder_of(dataset_key("日本")) == tmp_path / "日本"
        with pytest.raises(SourceError):
            area.folder_of("unknown")

    def test_names_that_slug_alike_stay_two_datasets(self) -> None:
        assert dataset_key("a b") != dataset_key("a,b")
        assert dataset_key("a b") == dataset_key("a b")
        assert is_dataset_key(dataset_key("x" * 300))

    def test_a_watch_reports_changes_once_and_takes_turns(self, tmp_path: Path) -> None:
        drops, state = tmp_path / "drops", tmp_path / "walks"
        for name in ("a", "b", "c"):
            (drops / name).mkdir(parents=True)
            (drops / name / "f.txt").write_text(name)
        (drops / "loose.txt").write_text("x")
        watch = DropWatch(DropArea(drops, 0), state)
        known: dict[str, str] = {}
        forever = float("inf")
        found = {key: digest for key, digest in watch.changed(known.get, after="", until=forever) if digest}
        assert set(found) == {"a", "b", "c", LOOSE_FILES}
        known.update(found)
        assert not [d for _, d in watch.changed(known.get, after="c", until=forever) if d]
        (drops / "b" / "g.txt").write_text("new")
        assert [key for key, digest in watch.changed(known.get, after="", until=forever) if digest] == ["b"]
        # Without time each call still completes one step, and the next goes on behind it.
        first = [key for key, _ in watch.changed(known.get, after="a", until=0)]
        assert first in ([], ["b"])

    def test_a_dataset_of_rejects_alone_is_reported_too(self, tmp_path: Path) -> None:
        (tmp_path / "drops" / "a").mkdir(parents=True)
        (tmp_path / "drops" / "a" / "empty").touch()
        watch = DropWatch(DropArea(tmp_path / "drops", 0), tmp_path / "walks")
        assert [key for key, digest in watch.changed({}.get, after="", until=float("inf")) if digest] == ["a"]
