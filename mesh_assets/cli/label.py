"""`mesh label`: a person's word on what a chunk is labelled with."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape

from mesh_assets.cli.console import console, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.embeddings.protocol import OFF
from mesh_assets.errors import CitationError, QueryError
from mesh_assets.insights.corrections import LEAST, Correction
from mesh_assets.insights.labels import OTHER, LabelSet
from mesh_assets.resources.labels import label_sets
from mesh_assets.schemas.citations import Citation
from mesh_assets.settings import load_settings
from mesh_assets.storage.label_corrections import add_correction, corrections_of
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.vectors import vectors_of


def label(
    citation: Annotated[str, typer.Argument(help="As search and reports print it: DATASET/PATH:START-STOP@HASH")],
    word: Annotated[
        str, typer.Argument(metavar="LABEL", help="A label of labels.yaml, as `security` or `topic:security`.")
    ],
) -> None:
    """Say what a cited chunk is about. After enough of such words a classifier learns from them, where it is better."""
    settings = load_settings()
    labels, name = _label(label_sets(settings), word)
    cited = Citation.parse(citation)
    lake = Lake(settings.state / "lake")
    known_dataset(lake, cited.dataset)
    chunk_id, vector, model = _embedded(lake, cited)
    correction = Correction(labels.name, name, vector)
    add_correction(settings.state, chunk_id=chunk_id, dataset=cited.dataset, model=model, correction=correction)
    count = sum(each.label_set == labels.name for each in corrections_of(settings.state, model))
    more = "" if count >= LEAST else f" A classifier is tried from {LEAST} on."
    place = escape(safe(f"{cited.dataset}/{cited.path}"))
    console.print(f"{place} is {name} by {labels.name}: {count} words on that.{more}", soft_wrap=True)
    console.print("They count in each slice that is worked on from now on.", style="dim")


def _label(sets: list[LabelSet], word: str) -> tuple[LabelSet, str]:
    """The set and the label that a person means; QueryError where there is none, or several."""
    wanted, _, name = word.rpartition(":")
    found = [s for s in sets if name in s.names and wanted in ("", s.name)]
    if len(found) == 1:
        return found[0], name
    if found:
        sure = " or ".join(f"{s.name}:{name}" for s in found)
        raise QueryError(f"{name!r} is a label of several sets.", remedy=f"Say {sure}.")
    known = "; ".join(f"{s.name}: {', '.join(n for n in s.names if n != OTHER)}" for s in sets)
    raise QueryError(f"There is no label {word!r}.", remedy=f"Known are {known}. Add others in `labels.yaml`.")


def _embedded(lake: Lake, cited: Citation) -> tuple[str, np.ndarray[Any, np.dtype[np.float32]], str]:
    """Id and vector of the chunk that holds the start of the cited bytes, and the model; CitationError for none."""
    for key in sorted(lake.slices(cited.dataset)):
        chunks, embeddings = lake.find("chunk_sets", key), lake.find("chunk_embeddings", key)
        if chunks is None or embeddings is None:
            continue
        columns = ["chunk_id", "byte_start", "byte_stop", "source_hash"]
        rows = [
            row
            for row in chunks.table(columns, where=("path", cited.path)).to_pylist()
            if row["byte_start"] <= cited.byte_start < row["byte_stop"]
            and row["source_hash"].startswith(cited.source_hash)
        ]
        model = str(embeddings.footer.extra.get("settings", {}).get("model", OFF))
        if not rows:
            continue
        if model == OFF:
            raise CitationError(
                f"The chunks of {cited.dataset} have no vectors to learn from.",
                remedy="Set MESH_EMBEDDING_MODEL to a model, and let the slice be made again.",
            )
        chunk = min(rows, key=lambda row: row["byte_stop"] - row["byte_start"])
        table = embeddings.table(["chunk_id", "vector"], where=("chunk_id", chunk["chunk_id"]))
        if table.num_rows:
            batch = table.combine_chunks().to_batches()[0]
            return str(chunk["chunk_id"]), vectors_of(batch)[0].astype(np.float32), model
    raise CitationError(
        f"No embedded chunk of the lake holds {cited}.",
        remedy="The file may have changed: search again, and label the citation that comes up.",
    )
