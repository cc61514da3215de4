"""Datasets by reference: what may be registered, and what keeps a registered folder from being read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh_assets.errors import KeyFormatError, SourceError
from mesh_assets.intake.drop_area import DropArea, DropWatch
from mesh_assets.intake.forgetting import Forgetting
from mesh_assets.intake.references import References
from mesh_assets.slices import LOOSE_FILES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("state", "drops/web", "disk/archive/2020", "disk/other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "disk" / "archive" / "a.txt").write_text("a")
    return tmp_path


def _register(root: Path, key: str, folder: str | Path, **options: object) -> Path:
    closed = {"the state folder": root / "state", "the drop area": root / "drops"}
    references = References(root / "state" / "references")
    return references.register(key, root / folder, closed=closed, **options).path  # type: ignore[arg-type]


def _area(root: Path) -> DropArea:
    state = root / "state"
    return DropArea(root / "drops", 0, References(state / "references"), Forgetting(state / "forgetting"))


def test_a_reference_is_a_dataset_beside_the_dropped_ones(root: Path) -> None:
    assert _register(root, "archive", "disk/archive") == root / "disk" / "archive"
    area = _area(root)
    assert area.folders() == {"archive": root / "disk" / "archive", "web": root / "drops" / "web"}
    assert area.listing("archive").files["path"].to_list() == ["a.txt"]
    watch = DropWatch(area, root / "state" / "walks")
    assert [key for key, digest in watch.changed({}.get, after="", until=float("inf")) if digest] == ["archive"]


def test_registering_the_same_again_changes_nothing(root: Path) -> None:
    _register(root, "archive", "disk/archive")
    (file,) = (root / "state" / "references").iterdir()
    before = file.stat().st_mtime_ns, file.stat().st_ino
    _register(root, "archive", "disk/../disk/archive")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("key", "folder", "reason"),
    [
        ("new", "disk/missing", "no folder"),
        ("new", "disk/archive/a.txt", "no folder"),
        ("new", "state", "overlapping folders"),
        ("new", "state/lake", "overlapping folders"),
        ("new", "drops", "overlapping folders"),
        ("new", "drops/web", "overlapping folders"),
        ("new", "", "overlapping folders"),
        ("new", "disk/archive", "overlapping folders"),
        ("new", "disk/archive/2020", "overlapping folders"),
        ("new", "disk", "overlapping folders"),
        ("new", "link", "overlapping folders"),
        ("archive", "disk/other", "name taken"),
        ("web", "disk/other", "name taken"),
    ],
)
def test_what_may_not_be_registered_is_refused_with_a_remedy(root: Path, key: str, folder: str, reason: str) -> None:
    _register(root, "archive", "disk/archive")
    (root / "state" / "lake").mkdir()
    (root / "link").symlink_to(root / "disk" / "archive")
    with pytest.raises(SourceError) as caught:
        _register(root, key, folder, taken=["web"])
    assert caught.value.reason == reason
    assert caught.value.remedy
    assert list(_area(root).references()) == ["archive"]


def test_no_key_leads_out_of_the_registry(root: Path) -> None:
    with pytest.raises(KeyFormatError):
        _register(root, "../evil", "disk/other")


def test_a_link_is_resolved_once_and_never_followed_later(root: Path) -> None:
    (root / "link").symlink_to(root / "disk" / "archive")
    assert _register(root, "archive", "link") == root / "disk" / "archive"
    (root / "disk").rename(root / "moved")
    (root / "elsewhere" / "archive").mkdir(parents=True)
    (root / "elsewhere" / "archive" / "secret.txt").write_text("secret")
    (root / "disk").symlink_to(root / "elsewhere")
    area = _area(root)
    assert list(area.folders()) == ["web"]
    assert "symbolic link" in area.unavailable()["archive"]
    with pytest.raises(SourceError, match="symbolic link"):
        area.folder_of("archive")


def test_a_mount_point_without_its_disk_is_not_an_emptied_folder(root: Path) -> None:
    disk = root / "disk" / "archive"
    _register(root, "archive", disk)
    disk.rename(root / "unmounted")
    assert "is not there" in _area(root).unavailable()["archive"]
    disk.mkdir()
    assert "in the place of" in _area(root).unavailable()["archive"]
    disk.rmdir()
    (root / "unmounted").rename(disk)
    assert _area(root).unavailable() == {}
    for path in (disk / "a.txt", disk / "2020"):
        path.unlink() if path.is_file() else path.rmdir()
    assert _area(root).unavailable() == {}, "its owner emptied it"


def test_a_disk_that_goes_away_while_it_is_walked_deletes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _register(root, "archive", "disk/archive")
    area = _area(root)
    really = os.listdir

    def failing(path: object = ".") -> object:
        if isinstance(path, int):  # the walk reads folders by their descriptors
            (root / "disk").rename(root / "gone")
            monkeypatch.setattr(os, "listdir", really)
        return really(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "listdir", failing)
    with pytest.raises(SourceError, match="is not there"):
        area.listing("archive")


def test_a_damaged_registration_is_told_and_can_be_made_again(root: Path) -> None:
    _register(root, "archive", "disk/archive")
    (root / "state" / "references" / "archive.json").write_text("{")
    (root / "state" / "references" / "not a key.json").write_text("{}")
    area = _area(root)
    assert list(area.folders()) == ["web"]
    assert "register the folder again" in area.unavailable()["archive"]
    _register(root, "archive", "disk/archive")
    assert list(area.folders()) == ["archive", "web"]


def test_a_dropped_folder_with_the_name_of_a_reference_is_told(root: Path) -> None:
    _register(root, "archive", "disk/archive")
    (root / "drops" / "archive").mkdir()
    area = _area(root)
    assert area.folder_of("archive") == root / "disk" / "archive"
    assert [reject.path for reject in area.listing(LOOSE_FILES).rejects] == ["archive"]


def test_a_dataset_that_is_being_forgotten_has_no_folder(root: Path) -> None:
    area, marks = _area(root), Forgetting(root / "state" / "forgetting")
    marks.begin("web")
    assert area.folders() == {}
    assert area.loose() == []
    assert "half forgotten" in area.unavailable()["web"]
    with pytest.raises(SourceError, match="half forgotten"):
        area.folder_of("web")
    marks.end("web")
    marks.end("web")
    assert list(area.folders()) == ["web"]


def test_forgetting_a_walk_takes_none_of_another_dataset(root: Path) -> None:
    walks = root / "state" / "walks"
    walks.mkdir()
    own = {"a.json", "a+growing.json", ".a.json.17.tmp", ".a+growing.json.17.tmp"}
    others = {"a.b.json", "a-b.json", "a.5.json", "a.b+growing.json", ".a.b.json.17.tmp", ".a.json.b.json.17.tmp"}
    for name in own | others:
        (walks / name).touch()
    DropWatch(_area(root), walks).forget("a")
    assert {path.name for path in walks.iterdir()} == others


def test_removing_a_reference_takes_none_of_another_dataset_and_leaves_the_folder(root: Path) -> None:
    _register(root, "a", "disk/archive")
    _register(root, "a.json.b", "disk/other")
    registry = root / "state" / "references"
    for name in (".a.json.17.tmp", ".a.json.b.json.17.tmp"):  # left by killed processes
        (registry / name).touch()
    References(registry).remove("a")
    References(registry).remove("a")
    assert {path.name for path in registry.iterdir()} == {"a.json.b.json", ".a.json.b.json.17.tmp"}
    assert (root / "disk" / "archive" / "a.txt").read_text() == "a"


def test_a_disk_that_refuses_a_registration_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(SourceError, match="No space left"):
        _register(root, "archive", "disk/archive")
    assert _area(root).references() == {}
