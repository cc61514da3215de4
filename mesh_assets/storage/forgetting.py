"""What `mesh forget` deletes of a dataset below the state folder: no file there holds its content or its name then.

The manifest goes first: without it no sensor asks for anything. What Dagster remembers belongs to `dagster_history`;
the folder of a dataset that is by reference is never touched. That the blocks of a deleted file stay on the medium
until they are used again is the file system's affair.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from mesh_assets.errors import SourceError
from mesh_assets.indexes.protocol import Document
from mesh_assets.indexes.stage import DOCUMENT_COLUMNS, documents_of
from mesh_assets.intake.drop_area import DropArea, DropWatch
from mesh_assets.intake.forgetting import Forgetting
from mesh_assets.intake.references import References
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets.settings import Settings
from mesh_assets.slices import is_dataset_key
from mesh_assets.storage.asked_reports import AskedReports
from mesh_assets.storage.backfills import recorded
from mesh_assets.storage.dagster_history import names
from mesh_assets.storage.duckdb_tables import forget_rows
from mesh_assets.storage.files import remove_files, remove_folder
from mesh_assets.storage.label_corrections import forget_corrections
from mesh_assets.storage.retirement import SliceStores
from mesh_assets.storage.shared_vectors import forget_shared

_RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def traces(settings: Settings, area: DropArea, stores: SliceStores) -> set[str]:
    """Keys of all datasets of which anything is there, also of those that are half forgotten."""
    found = {*area.dropped(), *area.references(), *Forgetting.of(settings).all(), *stores.lake.all_datasets()}
    if stores.reports.is_dir():
        found |= {path.name for path in stores.reports.iterdir() if path.is_dir()}
    return {key for key in found if is_dataset_key(key)}


@dataclass(frozen=True, slots=True)
class Erasure:
    """The deletion of one dataset. Every step may be done again: what is gone already is no error."""

    settings: Settings
    stores: SliceStores
    dataset: str

    def unpublish(self) -> None:
        """Mark the dataset and delete its manifest: from now on nobody asks for it, and no run of it can begin."""
        Forgetting.of(self.settings).begin(self.dataset)
        remove_files(self.stores.lake.root / "drop_manifests", {f"{self.dataset}.parquet"})
        for path, backfill in recorded(self.settings.state / "backfills"):
            if backfill.dataset == self.dataset:
                path.unlink(missing_ok=True)

    def erase(self) -> int:
        """Delete everything that was made of it, and where it lies; how many tables went. No run may be at work on it.

        IndexDownError where an index does not answer, LakeError where the disk refuses.
        """
        self.stores.vectors.forget_dataset(self.dataset)
        self.stores.words.forget_dataset(self.dataset, self._documents)
        if self.stores.graph is not None:
            self.stores.graph.forget_dataset(self.dataset)
        tables = self.stores.lake.delete_dataset(self.dataset)
        forget_shared(self.settings.state, self.dataset)
        forget_rows(self.stores.lake.root, self.dataset, f"forget-{self.dataset}")
        remove_folder(self.stores.reports / self.dataset)
        forget_corrections(self.settings.state, self.dataset)
        AskedReports(self.settings.state).forget(self.dataset)
        SqliteVerdicts(self.settings.state).forget(self.dataset)
        area = DropArea.of(self.settings)
        DropWatch(area, self.settings.state / "walks").forget(self.dataset)
        References.of(self.settings).remove(self.dataset)
        return tables

    def delete_source(self, folder: Path) -> None:
        """Delete a folder of the drop area with all its files, never through a link. SourceError where refused."""
        if folder.parent != self.settings.drops or folder.is_symlink():
            raise SourceError(
                "not in the drop area", f"{folder} is no folder of the drop area.", remedy="Delete it yourself."
            )
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise SourceError(
                "not deleted",
                f"{error.filename or folder} cannot be deleted: {error.strerror}.",
                remedy="Allow deleting there (`ls -ld`), then run the same command again: it goes on.",
            ) from error

    def clean_log(self, runs: Set[str]) -> None:
        """Take lines that name it, or one of its `runs`, out of the log of `mesh up`; who writes it goes on.

        What stays are lines that name neither, such as the rest of a message that has several.
        """
        log = self.settings.state / "dagster.log"
        if not log.is_file():
            return
        with log.open("rb+") as file, tempfile.TemporaryFile(dir=log.parent) as kept:
            for line in file:
                text = line.decode("utf-8", "replace")
                if not names(text, self.dataset) and runs.isdisjoint(_RUN_ID.findall(text)):
                    kept.write(line)
            if kept.tell() < file.tell():
                kept.seek(0)
                file.seek(0)
                shutil.copyfileobj(kept, file)
                file.truncate()

    def finish(self) -> None:
        """Take the mark away: the name is free for a new dataset."""
        Forgetting.of(self.settings).end(self.dataset)

    def _documents(self, slice_key: str) -> Iterator[Document]:
        chunks = self.stores.lake.find("chunk_sets", slice_key)
        # What the lake does not have is not shown by a search either.
        return documents_of(chunks.batches(DOCUMENT_COLUMNS)) if chunks is not None else iter(())
