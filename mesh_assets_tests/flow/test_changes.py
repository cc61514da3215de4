"""After any sequence of changes the lake and the indexes hold what a rebuild from the same manifest holds.

Expectations come from the manifest and from a rebuild, never from a second planner. Each settling also shows that no
slice was touched that the changes do not concern, and that no text was embedded twice.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from blake3 import blake3
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.resources.labels import label_sets
from mesh_assets.settings import Settings
from mesh_assets.stages import SLICE_ASSETS
from mesh_assets_tests.flow.drop_changes import FOLDERS, KINDS, NASTY_NAMES, WORDS, Drops
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.flow.rebuild import Rebuild, table_hashes, vector_files, words_of

DATASETS = ("notes", "My Data")
# Changes before the sensors have a look: a settling costs seconds.
CHANGES_PER_SETTLING = 4
LIVE = ("path", "start", "stop", "size", "mtime_ns", "inode", "ctime_ns")

numbers = st.integers(0, 9_999)


class SmallSlices(Settings):
    """Slices of 20,000 bytes, so that a few files make several; the setting itself starts at 1 MiB."""

    @property
    def slice_bytes(self) -> int:
        return 20_000


class Recording(FakeEncoder):
    """Remembers the hash of each text that it was asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += [blake3(text.encode("utf-8")).hexdigest(length=16) for text in texts]
        return super().encode(texts)


@dataclass
class Seen:
    """What the lake said at one moment: extents and version of each slice, its files, hashes and chunk ids."""

    extents: dict[str, list[tuple[Any, ...]]]
    versions: dict[str, int]
    files: dict[str, dict[str, tuple[int, int]]]
    hashes: dict[str, list[str]]
    ids: dict[str, dict[tuple[Any, ...], set[str]]]

    @classmethod
    def of(cls, location: Location) -> Seen:
        seen = cls({}, {}, {}, {}, {})
        lake = location.lake
        for dataset, footer in lake.manifests()[0].items():
            live = [row for row in lake.read("drop_manifests", dataset).rows() if row["change"] != "deleted"]
            for key, version in footer.extra["slices"].items():
                seen.versions[key] = version
                seen.extents[key] = sorted(tuple(row[n] for n in LIVE) for row in live if row["slice"] == key)
                seen.files[key] = _files(location, key)
                seen.hashes[key] = table_hashes(lake.find("chunk_embeddings", key))
                seen.ids[key] = _ids(location, key)
        return seen


def _files(location: Location, key: str) -> dict[str, tuple[int, int]]:
    """Every file that was made of a slice, with inode and modification time."""
    paths = [
        p for asset in SLICE_ASSETS for p in (location.lake.path(asset, key), location.lake.rejects_path(asset, key))
    ]
    paths += [path for slice_key, path in vector_files(location.settings).items() if slice_key == key]
    paths += (location.settings.state / "reports").rglob(f"{key}*")
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns) for p in paths if p.is_file()}


def _ids(location: Location, key: str) -> dict[tuple[Any, ...], set[str]]:
    """Ids of the chunks of a slice by file and content."""
    table = location.lake.find("chunk_sets", key)
    ids: dict[tuple[Any, ...], set[str]] = {}
    for row in table.rows(["chunk_id", "path", "extent_start", "text"]) if table else ():
        ids.setdefault((row["path"], row["extent_start"], row["text"]), set()).add(row["chunk_id"])
    return ids


class Changes(RuleBasedStateMachine):
    """Files come, change and go; now and then the sensors settle, and everything is compared."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="mesh-changes-")
        self.encoder = Recording()
        self.location = Location(Path(self.folder.name) / "mesh", {"encoder": self.encoder}, settings_type=SmallSlices)
        self.drops = Drops(self.location.settings.drops)
        self.waiting = 0
        self.seen = Seen.of(self.location)
        self.known = set[str]()

    def has_files(self) -> bool:
        return bool(self.drops.files())

    @rule(
        dataset=st.sampled_from(DATASETS),
        folder=st.sampled_from(FOLDERS),
        name=st.sampled_from(NASTY_NAMES),
        kind=st.sampled_from(sorted(KINDS)),
        pieces=st.sampled_from((0, 1, 5, 20, 20, 400)),
        seed=numbers,
    )
    def add(self, dataset: str, folder: str, name: str, kind: str, pieces: int, seed: int) -> None:
        self.drops.add(dataset, folder, name, kind, pieces, seed)
        self.waiting += 1

    @rule(dataset=st.sampled_from(DATASETS), count=st.integers(2, 8), kind=st.sampled_from(sorted(KINDS)), seed=numbers)
    def add_many(self, dataset: str, count: int, kind: str, seed: int) -> None:
        for n in range(count):
            self.drops.add(dataset, f"many {seed % 3}", f"{seed % 5} {n}", kind, 1 + (seed + n) % 30, seed + n % 3)
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers, pieces=st.sampled_from((1, 3, 100)), seed=numbers)
    def append(self, file: int, pieces: int, seed: int) -> None:
        self.drops.append(self.drops.pick(file), pieces, seed)
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers, seed=numbers, in_place=st.booleans())
    def edit(self, file: int, seed: int, in_place: bool) -> None:
        self.drops.edit(self.drops.pick(file), seed, in_place=in_place)
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers)
    def edit_back(self, file: int) -> None:
        self.drops.edit_back(self.drops.pick(file))
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers, name=st.sampled_from(NASTY_NAMES), dataset=st.none() | st.sampled_from(DATASETS))
    def rename(self, file: int, name: str, dataset: str | None) -> None:
        path = self.drops.pick(file)
        folder = path.parent if dataset is None else self.drops.root / dataset
        self.drops.move(path, folder / f"{name}{path.suffix}")
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers, folder=st.sampled_from(FOLDERS))
    def move(self, file: int, folder: str) -> None:
        path = self.drops.pick(file)
        dataset = path.relative_to(self.drops.root).parts[0]
        self.drops.move(path, self.drops.root / dataset / folder / path.name)
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers, year=st.sampled_from((None, 2019)))
    def touch(self, file: int, year: int | None) -> None:
        self.drops.touch(self.drops.pick(file), year=year)
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers)
    def delete(self, file: int) -> None:
        self.drops.delete(self.drops.pick(file))
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers)
    def delete_folder(self, file: int) -> None:
        self.drops.delete_folder(self.drops.pick(file).parent)
        self.waiting += 1

    @precondition(has_files)
    @rule(file=numbers)
    def take_a_dataset_away(self, file: int) -> None:
        """As a disk that is not mounted: what was made of it stays until it is forgotten."""
        shutil.rmtree(self.drops.root / self.drops.pick(file).relative_to(self.drops.root).parts[0])
        self.waiting += 1

    @precondition(lambda self: any(self.seen.extents.values()))
    @rule(number=numbers)
    def empty_a_slice(self, number: int) -> None:
        keys = sorted(key for key, extents in self.seen.extents.items() if extents)
        key = keys[number % len(keys)]
        folder = self.location_folders().get(key.rsplit(".", 1)[0], Path("/nowhere"))
        for path in {extent[0] for extent in self.seen.extents[key]}:
            if (folder / path).is_file():
                self.drops.delete(folder / path)
        self.waiting += 1

    @precondition(lambda self: self.waiting > 1)
    @rule()
    def look_now(self) -> None:
        self.settle()

    @invariant()
    def settle_now_and_then(self) -> None:
        if self.waiting >= CHANGES_PER_SETTLING:
            self.settle()

    def teardown(self) -> None:
        if not hasattr(self, "location"):
            return
        try:
            if self.waiting:
                self.settle()
            if self.seen.versions:
                self.check_everything()
        finally:
            self.location.instance.dispose()
            self.folder.cleanup()

    @property
    def described(self) -> set[str]:
        """Hashes of the descriptions of labels, which are no texts of a slice."""
        texts = (t for labels in label_sets(self.location.settings) for said in labels.labels.values() for t in said)
        return {blake3(text.encode("utf-8")).hexdigest(length=16) for text in texts}

    def location_folders(self) -> dict[str, Path]:
        """Key and folder of each dataset whose folder is there."""
        return DropArea.of(self.location.settings).folders()

    def settle(self) -> None:
        """What the daemon would do, and everything that must hold afterwards."""
        before = self.seen
        self.encoder.seen.clear()
        self.location.settle()
        embedded = Counter(digest for digest in self.encoder.seen if digest not in self.described)
        self.waiting = 0
        self.seen = Seen.of(self.location)
        changed = self.concerned(before)
        self.check_costs(embedded)
        self.check_ids(before)
        self.check_nothing_is_left()
        if changed:
            with self.rebuilt(changed) as rebuilt:
                rebuilt.check()

    def concerned(self, before: Seen) -> list[str]:
        """Slices of which an extent changed; all others must be exactly the files that they were."""
        now = self.seen
        changed = [key for key in now.extents if now.extents[key] != before.extents.get(key)]
        for key in now.extents.keys() - set(changed):
            assert now.versions[key] == before.versions[key], f"{key} was planned again, and nothing in it changed"
            assert now.files[key] == before.files[key], f"{key} was written again, and nothing in it changed"
        return changed

    def check_costs(self, embedded: Counter[str]) -> None:
        """Each text that no slice ever had was embedded once, and no other."""
        texts = {digest for hashes in self.seen.hashes.values() for digest in hashes}
        assert embedded == Counter(texts - self.known)
        self.known |= texts

    def check_ids(self, before: Seen) -> None:
        """What a file still says has the id that it had; of equal contents, as many as are left."""
        for key, contents in self.seen.ids.items():
            for content, ids in contents.items():
                former = before.ids.get(key, {}).get(content, set())
                fewer, more = sorted((former, ids), key=len)
                assert fewer <= more, (key, content)

    def check_nothing_is_left(self) -> None:
        """The lake and the indexes hold the slices of the manifests and no others, and no temporary file."""
        lake, keys = self.location.lake, sorted(self.seen.versions)
        for asset in SLICE_ASSETS:
            assert sorted(path.stem for path in (lake.root / asset).rglob("*.parquet")) == keys, asset
        assert sorted(vector_files(self.location.settings)) == keys
        assert sorted(self.location.instance.get_dynamic_partitions("slices")) == keys
        left = [
            path for path in self.location.settings.state.rglob("*") if path.suffix in (".tmp", ".part", ".partial")
        ]
        assert not left

    def check_everything(self) -> None:
        """All slices made anew, and what is found in them."""
        with self.rebuilt(self.seen.versions) as rebuilt:
            rebuilt.check()
            for key in rebuilt.slices:
                chunks = self.location.lake.read("chunk_sets", key).table(["chunk_id"])["chunk_id"].to_pylist()
                assert len(set(chunks)) == len(chunks)
                assert words_of(self.location.settings, key) == sorted(chunks)
            rebuilt.check_search([*WORDS[::6], "ferry harbour fog"], self.location_folders())

    @contextmanager
    def rebuilt(self, slices: Iterable[str]) -> Generator[Rebuild]:
        """Those of the slices whose dataset still has its folder, in a fresh state folder."""
        there = self.location_folders()
        possible = [key for key in slices if key.rsplit(".", 1)[0] in there]
        with tempfile.TemporaryDirectory(dir=self.folder.name) as folder:
            yield Rebuild(self.location, Path(folder), possible)


def _run(*, sequences: int, steps: int, seed: int | None) -> None:
    settings = hypothesis.settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        derandomize=seed is None,
        database=None,
        print_blob=True,
        phases=(Phase.generate,),  # a sequence takes half a minute: shrinking one would take hours
        suppress_health_check=list(HealthCheck),
    )
    if seed is not None:
        print(f"MESH_TEST_SEED={seed}")
        hypothesis.seed(seed)(Changes)
    run_state_machine_as_test(Changes, settings=settings)


def test_any_sequence_of_changes_ends_where_a_rebuild_ends() -> None:
    _run(sequences=2, steps=12, seed=None)


@pytest.mark.slow
def test_many_sequences_of_changes_end_where_a_rebuild_ends() -> None:
    seed = int(os.environ.get("MESH_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
    _run(sequences=int(os.environ.get("MESH_TEST_SEQUENCES", "100")), steps=25, seed=seed)
