"""Generations of embeddings: which models slices are searched by, and how each was set, so that it can be asked again.

    <state>/generations/<model>.json    one file a generation: {"model", "setting", "effort", "since"}

When the model or the effort is changed, a slice moves from the older generation to the new one as it is made again;
until then its vectors are searched by the older model. So two generations stand beside each other until the last slice
moved; then what is left of the older one goes. Which slice is of which is in the footers of `vector_index`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh_assets.embeddings.protocol import OFF, Encoder
from mesh_assets.errors import CorruptTableError
from mesh_assets.indexes.protocol import VectorIndex
from mesh_assets.settings import Settings
from mesh_assets.slices import dataset_key
from mesh_assets.storage.files import publish_text
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.shared_vectors import keep_models


@dataclass(frozen=True, slots=True)
class Generation:
    """A model that slices are indexed by: its name, MESH_EMBEDDING_MODEL and MESH_EMBEDDING_EFFORT that gave it, and
    when it became the newest one (seconds since 1970)."""

    model: str
    setting: str
    effort: str
    since: float


class Generations:
    """The records of a state folder. Any number of processes read and write them."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._root = state / "generations"

    def all(self) -> list[Generation]:
        """Newest first; a damaged record is none."""
        found: list[Generation] = []
        for path in self._root.glob("[!.]*.json"):
            with suppress(OSError, ValueError, TypeError):
                found.append(Generation(**json.loads(path.read_text(encoding="utf-8"))))
        return sorted(found, key=lambda each: (-each.since, each.model))

    def note(self, model: str, settings: Settings, run_id: str) -> None:
        """Slices are indexed by `model`, that of the `settings`, from now on. LakeError where the disk refuses."""
        newest = next(iter(self.all()), None)
        if newest is None or newest.model != model:
            record = Generation(model, settings.embedding_model, settings.embedding_effort, time.time())
            publish_text(self._path(model), json.dumps(asdict(record)), run_id)

    def retire(self, lake: Lake, vectors: VectorIndex, encoder: Encoder) -> list[str]:
        """Remove what is left of the older generations that no slice is of any more; their names.

        `encoder` is the one in use. ModelError where it is not there, IndexDownError where the index does not answer,
        LakeError and OSError where the disk refuses.
        """
        known = [each.model for each in self.all()]
        if len(known) < 2:
            return []
        model = encoder.model
        older = [each for each in known if each != model]
        held, damaged = slices_by_model(lake)
        gone = [each for each in older if not held[each]]
        if damaged or not gone:
            return []
        if not set(held) - {model}:  # what a killed run left
            vectors.forget_slices(
                [key for name in lake.datasets("drop_manifests") for key in lake.slices(name)], but=model
            )
        for each in gone:
            self._path(each).unlink(missing_ok=True)
        keep_models(self._state, {model, *held})
        return gone

    def _path(self, model: str) -> Path:
        return self._root / f"{dataset_key(model)}.json"


def slices_by_model(lake: Lake) -> tuple[Counter[str], bool]:
    """How many slices of the manifests are indexed by each model, and whether any table of those is damaged.

    A slice whose index is pending is still of the model that it was of before, which nothing tells: it counts as
    damaged. Reads the footer of `vector_index` of every slice.
    """
    manifests, problems = lake.manifests()
    held, damaged = Counter[str](), bool(problems)
    for footer in manifests.values():
        for key in footer.extra["slices"]:
            try:
                state = lake.find("vector_index", key)
            except CorruptTableError:
                damaged = True
                continue
            if state is not None:
                damaged = damaged or bool(state.footer.skipped)
                held[str(state.footer.extra.get("settings", {}).get("model", ""))] += 1
    return held, damaged


def moving(held: Mapping[str, int], model: str) -> str:
    """A sentence for the owner while slices are of older generations; empty where all are of `model`."""
    older = {each: count for each, count in held.items() if each not in (model, OFF) and count}
    if not older or model == OFF:
        return ""
    still = "; ".join(f"{count:,} by {each}" for each, count in sorted(older.items()))
    return (
        f"Embeddings: {held.get(model, 0):,} of {sum(held.values()):,} slices are of {model}. "
        f"Until they are made again the others are searched as they were: {still}."
    )
