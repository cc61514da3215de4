"""The drop area: which datasets lie in it, where, and what changed since the last manifests. Reads by `stat` alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from blake3 import blake3

from mesh_assets.atomic import replacing
from mesh_assets.errors import LakeError, SourceError
from mesh_assets.intake.walk import Listing, Visitor, Walk, list_dataset
from mesh_assets.schemas.rejects import Reject
from mesh_assets.slices import LOOSE_FILES, dataset_key

# `mesh ingest` copies here and renames into place, so that no walk sees half a file.
INCOMING = ".incoming"
# The digest of a walk that met nothing, or nothing that is quiet yet.
_NOTHING = f"{0:032x}"


@dataclass(frozen=True, slots=True)
class DropArea:
    """The folder whose folders are datasets. `quiet_seconds` is how long a file must not have changed."""

    root: Path
    quiet_seconds: float

    def folders(self) -> dict[str, str]:
        """Each dataset's key with the name of its folder, sorted by key; empty where there is no drop area yet.

        Of two folders with one key (`my notes`, and one called like its slug) the first by name counts; the other is
        among `loose`.
        """
        names = sorted((entry.name for entry in self._entries() if _is_dataset(entry)), reverse=True)
        return dict(sorted({dataset_key(name): name for name in names}.items()))

    def loose(self) -> list[Reject]:
        """What lies directly in the drop area and so belongs to no dataset."""
        taken = set(self.folders().values())
        found = [entry for entry in self._entries() if not _is_dataset(entry) or entry.name not in taken]
        return [_loose_reject(entry) for entry in sorted(found, key=lambda entry: entry.name)]

    def folder_of(self, dataset: str) -> Path:
        """The folder of a dataset; SourceError where it is gone."""
        folder = self.folders().get(dataset)
        if folder is None:
            raise SourceError(
                "dataset folder missing",
                f"No folder in {self.root} belongs to the dataset {dataset}.",
                remedy="Put it back, or mount its disk; what was made of it stays until then.",
            )
        return self.root / folder

    def listing(self, dataset: str) -> Listing:
        """Everything in a dataset's folder, walked now."""
        if dataset == LOOSE_FILES:
            rejects = self.loose()
            return Listing((), frozenset(), tuple(rejects), _digest_of(rejects))
        return list_dataset(self.folder_of(dataset), quiet_seconds=self.quiet_seconds)

    def _entries(self) -> Sequence[os.DirEntry[str]]:
        try:
            with os.scandir(self.root) as entries:
                return [entry for entry in entries if entry.name != INCOMING]
        except FileNotFoundError:
            return []


@dataclass(frozen=True, slots=True)
class DropWatch:
    """Finds datasets that differ from their manifest, a slice of time after the other.

    A walk that is not finished when its time is over is kept below `state` and goes on in the next call.
    """

    area: DropArea
    state: Path

    def changed(
        self, known_digest: Callable[[str], str | None], *, after: str, until: float
    ) -> Iterator[tuple[str, str | None]]:
        """Each dataset that was walked completely, with its new digest, or None where nothing changed.

        Starts behind the dataset `after` and goes round once, until the monotonic clock reaches `until`; one step is
        always made.
        """
        folders = self.area.folders()
        order = [key for key in folders if key > after] + [key for key in folders if key <= after]
        for dataset in order:
            walk = self._resume(dataset)
            root = self.area.root / folders[dataset]
            if not walk.advance(root, Visitor(self.area.quiet_seconds), until=until):
                self._keep(dataset, walk)
                return
            self._path(dataset).unlink(missing_ok=True)
            digest = f"{walk.digest:032x}"
            yield dataset, digest if digest != (known_digest(dataset) or _NOTHING) else None
            if time.monotonic() >= until:
                return
        yield from self._loose(known_digest)

    def _loose(self, known_digest: Callable[[str], str | None]) -> Iterator[tuple[str, str | None]]:
        rejects = self.area.loose()
        digest = _digest_of(rejects)
        if digest != (known_digest(LOOSE_FILES) or _digest_of([])):
            yield LOOSE_FILES, digest

    def _path(self, dataset: str) -> Path:
        return self.state / f"{dataset}.json"

    def _resume(self, dataset: str) -> Walk:
        try:
            return Walk(**json.loads(self._path(dataset).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return Walk()  # a walk that cannot be resumed starts again: nothing is lost but time

    def _keep(self, dataset: str, walk: Walk) -> None:
        try:
            with replacing(self._path(dataset), str(os.getpid())) as beside:
                beside.write_text(json.dumps(asdict(walk)))
        except OSError as error:
            raise LakeError(
                f"{self._path(dataset)} cannot be written: {error.strerror or error}.",
                remedy="Make room or allow writing there; until then a large folder is walked from its start again.",
            ) from error


def _is_dataset(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _loose_reject(entry: os.DirEntry[str]) -> Reject:
    if entry.is_symlink():
        return Reject(entry.name, "symbolic link", "Links are never followed: drop a copy of what it points to.")
    if _is_dataset(entry):
        return Reject(entry.name, "another folder has its key", "Rename it, or move its files into the other folder.")
    return Reject(
        entry.name, "outside any dataset", "Move it into a folder of the drop area: each folder there is a dataset."
    )


def _digest_of(rejects: Sequence[Reject]) -> str:
    text = "\0".join(f"{reject.path}\0{reject.reason}" for reject in rejects)
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest(length=16)
