"""Sources for the chunkers: the files that intake read, opened again only if they still have the same content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa

from mesh_assets.chunks.protocol import LocalModels, Source
from mesh_assets.intake.kinds import SAMPLE_BYTES
from mesh_assets.intake.sources import open_verified, read_head


def verified_sources(
    root: Path, dataset: str, batches: Iterable[pa.RecordBatch], *, models: LocalModels | None = None
) -> Iterator[Source]:
    """A source for each row of `SOURCES`, below the dataset's folder `root`; its reader may use `models`.

    Its `open` raises SourceChangedError where the file is not what intake read.
    """
    for batch in batches:
        for row in batch.to_pylist():
            start, stop = row["start"], row["stop"]
            yield Source(
                dataset=dataset,
                path=row["path"],
                kind=row["kind"],
                format=row["format"],
                encoding=row["encoding"],
                language=row["language"],
                start=start,
                stop=stop,
                content_hash=row["content_hash"],
                mtime_ns=row["mtime_ns"],
                open=partial(open_verified, root, row["path"], start, stop, row["content_hash"]),
                head=partial(read_head, root, row["path"], SAMPLE_BYTES, row["head_hash"]) if start else bytes,
                models=models or LocalModels(),
            )
