"""What killed processes leave behind in the state folder and the drop area, and how it goes: swept by `mesh up`.

Temporaries of one file go when that file is written again; this sweeps those whose file is not. Nothing that a living
process holds is touched (see `mesh_assets.atomic`), so it may run at any time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

from mesh_assets.atomic import TEMPORARIES, sweep, sweep_stagings
from mesh_assets.indexes.tantivy_text import UNFINISHED, WRITER_LOCK, WRITER_TEMPORARIES
from mesh_assets.intake.drop_area import INCOMING
from mesh_assets.storage.run_locks import LOCKS


def sweep_leftovers(state: Path, drops: Path) -> list[Path]:
    """Remove what killed processes left; what it was."""
    removed = sweep(state.rglob(TEMPORARIES))
    # The run of a lock that nobody holds has ended.
    removed += sweep((state / LOCKS).glob("*.lock"))
    removed += _useless_parts(state / "lake" / "chunk_embeddings")
    words = state / "indexes" / "words"
    for lock in words.glob(f"*/{WRITER_LOCK}"):
        removed += _sweep_engine(lock)
    return removed + sweep_stagings(words / UNFINISHED) + sweep_stagings(drops.resolve() / INCOMING)


def _useless_parts(embeddings: Path) -> list[Path]:
    """Vectors kept for a run after a kill, of slices whose table is there: the kill came just before they would go."""
    removed: list[Path] = []
    for folder in embeddings.glob("*/*.parts"):
        table = folder.with_suffix(".parquet")
        with suppress(OSError):
            if table.stat().st_mtime_ns >= max(path.stat().st_mtime_ns for path in (folder, *folder.iterdir())):
                shutil.rmtree(folder)
                removed.append(folder)
    return removed


def _sweep_engine(lock: Path) -> list[Path]:
    """The engine's own temporaries: it holds one lock for all of them. Segments without a commit it removes itself."""
    removed: list[Path] = []
    with suppress(OSError):
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in lock.parent.glob(WRITER_TEMPORARIES):
                path.unlink()
                removed.append(path)
        finally:
            os.close(descriptor)
    return removed
