"""Datasets by reference: folders anywhere on this machine, read where they are. Nobody copies a terabyte.

One small file a reference, below the state folder. Nothing of the referenced folder is ever written or deleted. A path
is resolved once, when it is registered; afterwards no link on the way to it is followed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh_assets.atomic import replacing
from mesh_assets.errors import SourceError
from mesh_assets.settings import Settings
from mesh_assets.slices import check_dataset_key, is_dataset_key


@dataclass(frozen=True, slots=True)
class Reference:
    """A folder that is a dataset where it lies. `inode` is the folder's own when it was registered.

    `damage` says why nothing is known of it: its file cannot be read.
    """

    path: Path
    inode: int
    damage: str = ""

    @property
    def fault(self) -> str:
        """Why the folder cannot be read now; empty where it can.

        A disk that is not mounted leaves no folder, or an empty one with another inode: the mount point. That must not
        be taken for a folder in which everything was deleted.
        """
        if self.damage:
            return self.damage
        try:
            status = self.path.lstat()
            if os.path.realpath(self.path) != str(self.path):
                return f"{self.path} lies behind a symbolic link now"
            with os.scandir(self.path) as entries:
                is_empty = next(entries, None) is None
        except OSError as error:
            return f"{self.path} is not there ({error.strerror})"
        if is_empty and status.st_ino != self.inode:
            return f"{self.path} is an empty folder in the place of the one that was registered"
        return ""


@dataclass(frozen=True, slots=True)
class References:
    """The registered references, in the folder `root`. Another process may change them at any time."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> References:
        """Those of the state folder in use."""
        return cls(settings.state / "references")

    def all(self) -> dict[str, Reference]:
        """Each dataset that is by reference, sorted by key."""
        found: dict[str, Reference] = {}
        for path in _listed(self.root):
            if path.suffix == ".json" and is_dataset_key(path.stem):
                reference = _read(path)
                if reference is not None:
                    found[path.stem] = reference
        return dict(sorted(found.items()))

    def register(
        self, dataset: str, folder: Path, *, closed: Mapping[str, Path], taken: Iterable[str] = ()
    ) -> Reference:
        """Make `folder` the dataset `dataset`; doing it again with the same folder changes nothing.

        `closed` are folders of the mesh by what they are called: none may lie in `folder`, nor `folder` in one of
        them. `taken` are keys of other datasets. SourceError says what is in the way.
        """
        check_dataset_key(dataset)
        path = _resolved(folder)
        known = self.all()
        before = known.pop(dataset, None)
        if before is not None and before.path != path and not before.damage:
            raise SourceError(
                "name taken",
                f"The dataset {dataset} is {before.path} already.",
                remedy="Choose another name with --dataset, or `mesh forget` that one first.",
            )
        if before is None and dataset in set(taken):
            raise SourceError(
                "name taken",
                f"There is a dataset {dataset} already, and it is not by reference.",
                remedy="Choose another name with --dataset, or `mesh forget` that one first.",
            )
        others = {f"the dataset {key}": other.path for key, other in known.items() if not other.damage}
        _check_apart(path, {**{name: _absolute(other) for name, other in closed.items()}, **others})
        reference = Reference(path, path.stat().st_ino)
        if reference != before:
            _write(self._path(dataset), reference)
        return reference

    def remove(self, dataset: str) -> None:
        """Forget where the dataset lies, also what a killed registration left; its folder is not touched."""
        name = re.compile(rf"{re.escape(check_dataset_key(dataset))}\.json|\.{re.escape(dataset)}\.json\.[^.]*\.tmp")
        for path in _listed(self.root):
            if name.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _path(self, dataset: str) -> Path:
        return self.root / f"{check_dataset_key(dataset)}.json"


def _absolute(folder: Path) -> Path:
    return Path(os.path.realpath(folder))


def _resolved(folder: Path) -> Path:
    try:
        path = folder.expanduser().resolve(strict=True)
        with os.scandir(path):
            pass
    except OSError as error:
        raise SourceError(
            "no folder",
            f"{folder} cannot be taken in by reference: {error.strerror}.",
            remedy="Give an existing folder that may be read; a single file is copied, without --reference.",
        ) from error
    return path


def _check_apart(path: Path, others: Mapping[str, Path]) -> None:
    for name, other in others.items():
        if path == other or path.is_relative_to(other) or other.is_relative_to(path):
            where = "is" if path == other else "lies in" if path.is_relative_to(other) else "contains"
            raise SourceError(
                "overlapping folders",
                f"{path} {where} {name}, {other}." if path != other else f"{path} is {name} already.",
                remedy="Give a folder that shares nothing with it: no file may be read as two datasets, nor as both.",
            )


def _read(path: Path) -> Reference | None:
    try:
        found = json.loads(path.read_text())
        return Reference(Path(str(found["path"])), int(found["inode"]))
    except FileNotFoundError:
        return None  # another process removed it since it was listed
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Reference(path, 0, f"{path} cannot be read ({error}); register the folder again")


def _write(path: Path, reference: Reference) -> None:
    # JSON escapes what is no UTF-8 in a path.
    text = json.dumps({"path": str(reference.path), "inode": reference.inode})
    try:
        with replacing(path, str(os.getpid())) as beside:
            beside.write_text(text)
    except OSError as error:
        raise SourceError(
            "not registered",
            f"{path} cannot be written: {error.strerror or error}.",
            remedy="Make room or allow writing there, then run the same command again: nothing was changed.",
        ) from error


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
