"""Where datasets lie, in the drop area or by reference, and what changed since the last manifests. By `stat` alone."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from blake3 import blake3

from mesh_assets.atomic import replacing
from mesh_assets.errors import LakeError, SourceError
from mesh_assets.intake.forgetting import Forgetting
from mesh_assets.intake.growing import Growth
from mesh_assets.intake.left_out import NOTHING_LEFT_OUT, LeftOut
from mesh_assets.intake.references import Reference, References
from mesh_assets.intake.walk import LISTED, Listing, Visitor, Walk, list_dataset
from mesh_assets.schemas.rejects import Reject
from mesh_assets.settings import Settings
from mesh_assets.slices import LOOSE_FILES, check_dataset_key, dataset_key

# `mesh ingest` copies here and renames into place, so that no walk sees half a file.
INCOMING = ".incoming"
# Where, below the state folder, walks in progress are kept.
WALKS = "walks"
# No key of a dataset holds a plus sign.
_GROWING = "+growing.json"
# The digest of a walk that met nothing, or nothing that is quiet yet.
_NOTHING = f"{0:032x}"


@dataclass(frozen=True, slots=True)
class DropArea:
    """The folder whose folders are datasets, and the folders that were registered to be read where they are.

    `quiet_seconds` is how long a file must not have changed; one that keeps changing is looked at every
    `growing_minutes`.
    """

    root: Path
    quiet_seconds: float
    registry: References | None = None
    forgetting: Forgetting | None = None
    growing_minutes: float = 10.0
    left_out: LeftOut = NOTHING_LEFT_OUT

    @classmethod
    def of(cls, settings: Settings) -> DropArea:
        """The drop area and the references of these settings."""
        registry, forgetting = References.of(settings), Forgetting.of(settings)
        left_out = LeftOut.of(settings.left_out)
        return cls(settings.drops, settings.quiet_seconds, registry, forgetting, settings.growing_minutes, left_out)

    def folders(self) -> dict[str, Path]:
        """Each dataset's key with its folder, sorted by key; empty where there is no drop area yet.

        Of two dropped folders with one key (`my notes`, and one called like its slug) the first by name counts; a
        reference counts before both. What does not count is among `loose`. References that cannot be read now and
        datasets that are being forgotten are left out: see `unavailable`.
        """
        references = self.references()
        found = {key: self.root / name for key, name in self.dropped().items() if key not in references}
        found |= {key: reference.path for key, reference in references.items() if not reference.fault}
        leaving = self._leaving()
        return {key: folder for key, folder in sorted(found.items()) if key not in leaving}

    def dropped(self) -> dict[str, str]:
        """The name of the folder in the drop area for each key, also of datasets that are being forgotten."""
        names = sorted((entry.name for entry in self._entries() if _is_dataset(entry)), reverse=True)
        return {dataset_key(name): name for name in names}

    def references(self) -> dict[str, Reference]:
        """The datasets that are by reference, whether their folder can be read now or not."""
        return self.registry.all() if self.registry else {}

    def unavailable(self) -> dict[str, str]:
        """Why the mesh does not look into a dataset that it should know: what was made of it stays meanwhile."""
        faults = {key: reference.fault for key, reference in self.references().items()}
        faults |= dict.fromkeys(self._leaving(), "half forgotten: `mesh forget` it again")
        return {key: fault for key, fault in faults.items() if fault}

    def loose(self) -> list[Reject]:
        """What lies directly in the drop area and so belongs to no dataset."""
        references = self.references()
        taken = {name for key, name in self.dropped().items() if key not in references}
        found = [entry for entry in self._entries() if not _is_dataset(entry) or entry.name not in taken]
        return [_loose_reject(entry) for entry in sorted(found, key=lambda entry: entry.name)]

    def folder_of(self, dataset: str) -> Path:
        """The folder of a dataset; SourceError where it is gone, not mounted, or being forgotten."""
        folder = self.folders().get(dataset)
        if folder is None:
            fault = self.unavailable().get(dataset)
            raise SourceError(
                "dataset folder missing",
                f"The dataset {dataset} cannot be read: {fault}."
                if fault
                else f"No folder in {self.root} belongs to the dataset {dataset}, and no reference does.",
                remedy="Put it back, or mount its disk; what was made of it stays until then, or until `mesh forget`.",
            )
        return folder

    def listing(self, dataset: str, growth: Growth | None = None) -> Listing:
        """Everything in a dataset's folder, walked now. `growth` is what is known of its growing files."""
        if dataset == LOOSE_FILES:
            rejects = self.loose()
            return Listing(LISTED.to_frame(), {}, tuple(rejects), _digest_of(rejects))
        known = growth or Growth(self.growing_minutes)
        folder, quiet_seconds = self.folder_of(dataset), self.quiet_seconds
        found = list_dataset(folder, quiet_seconds=quiet_seconds, growth=known, left_out=self.left_out)
        self.folder_of(dataset)  # a disk that went away meanwhile must not look like files that were deleted
        return found

    def _leaving(self) -> frozenset[str]:
        return self.forgetting.all() if self.forgetting else frozenset()

    def _entries(self) -> Sequence[os.DirEntry[str]]:
        try:
            with os.scandir(self.root) as entries:
                return [entry for entry in entries if entry.name != INCOMING]
        except FileNotFoundError:
            return []


@dataclass(frozen=True, slots=True)
class DropWatch:
    """Finds datasets that differ from their manifest, a slice of time after the other.

    A walk that is not finished when its time is over is kept below `state` and goes on in the next call. So is the
    time since when files are growing.
    """

    area: DropArea
    state: Path

    def changed(
        self,
        known_digest: Callable[[str], str | None],
        *,
        after: str,
        until: float,
        taken: Callable[[str], Mapping[str, tuple[float, int]]] = lambda _: {},
    ) -> Iterator[tuple[str, str | None]]:
        """Each dataset that was walked completely, with its new digest, or None where nothing changed.

        `taken` is `Growth.taken` of a dataset, as its manifest has it.

        Starts behind the dataset `after` and goes round once, until the monotonic clock reaches `until`; one step is
        always made.
        """
        folders = self.area.folders()
        order = [key for key in folders if key > after] + [key for key in folders if key <= after]
        for dataset in order:
            walk = self._resume(dataset)
            growth = self.growth(dataset, taken(dataset))
            visitor = Visitor(self.area.quiet_seconds, growth=growth, left_out=self.area.left_out)
            if not walk.advance(folders[dataset], visitor, until=until):
                self._keep(self._path(dataset), asdict(walk))
                return
            self._note_growing(dataset, walk.growing)
            self._path(dataset).unlink(missing_ok=True)
            digest = f"{walk.digest:032x}"
            yield dataset, digest if digest != (known_digest(dataset) or _NOTHING) else None
            if time.monotonic() >= until:
                return
        yield from self._loose(known_digest)

    def growth(self, dataset: str, taken: Mapping[str, tuple[float, int]]) -> Growth:
        """What is known of a dataset's growing files: by its manifest, and by the walks since."""
        try:
            seen = {str(path): float(since) for path, since in json.loads(self._growing(dataset).read_text()).items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            seen = dict[str, float]()  # a file seems to grow from now on: it is looked at later
        return Growth(self.area.growing_minutes, taken, seen)

    def changing(self, datasets: Iterable[str]) -> dict[str, int]:
        """How many files of each dataset are not quiet yet, as of the last walk."""
        return {dataset: len(self.growth(dataset, {}).seen) for dataset in datasets}

    def _note_growing(self, dataset: str, growing: dict[str, float]) -> None:
        path = self._growing(dataset)
        if growing:
            self._keep(path, growing)
        else:
            path.unlink(missing_ok=True)

    def _growing(self, dataset: str) -> Path:
        return self.state / f"{dataset}{_GROWING}"

    def forget(self, dataset: str) -> None:
        """Remove what is kept of walks of this dataset, also what a killed process left."""
        name = re.escape(check_dataset_key(dataset))
        for path in self.state.glob("*"):
            if re.fullmatch(rf"{name}(\+growing)?\.json|\.{name}(\+growing)?\.json\.[^.]*\.tmp", path.name):
                path.unlink(missing_ok=True)

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

    def _keep(self, path: Path, what: object) -> None:
        try:
            with replacing(path, str(os.getpid())) as beside:
                beside.write_text(json.dumps(what))
        except OSError as error:
            raise LakeError(
                f"{path} cannot be written: {error.strerror or error}.",
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
