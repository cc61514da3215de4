"""The labels of the chunks of a slice: a row for each, and how large a share of the slice each label has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.insights.columns import column_of
from mesh_assets.insights.corrections import Classifier, Correction, Trial, tried
from mesh_assets.insights.labels import (
    Encode,
    LabelSet,
    Vectors,
    described,
    fingerprint,
    nearest,
    owners,
    probabilities,
)
from mesh_assets.insights.locators import ChunkText
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.wording import plural, share
from mesh_assets.schemas.insights import CHUNK_LABELS
from mesh_assets.schemas.outcome import AttachedRows

# Labels below this share are not said; nor is a set that fits fewer chunks.
_LEAST_SHARE = 0.02
_LISTED, _SHOWN = 5, 3


@dataclass(frozen=True)
class Labeller:
    """Label sets, what corrections teach, and the encoder that the chunks' vectors came from. Loads it when used."""

    sets: Sequence[LabelSet]
    encode: Encode
    model: str
    corrections: Sequence[Correction] = ()

    @property
    def fingerprint(self) -> str:
        """Changes with anything that decides labels, beside the vectors."""
        said = [[each.label_set, each.label, each.vector.tobytes().hex()] for each in self.corrections]
        return blake3(json.dumps([fingerprint(self.sets), said]).encode()).hexdigest(length=8)

    @cached_property
    def descriptions(self) -> dict[str, Vectors]:
        """Vectors of the descriptions of each set."""
        return {labels.name: described(labels, self.encode) for labels in self.sets}

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """For each set, whether what was learnt from corrections beats the descriptions."""
        found: dict[str, Trial] = {}
        for labels in self.sets:
            mine = [each for each in self.corrections if each.label_set == labels.name]
            if mine:
                by_description = self._described(labels, np.stack([each.vector for each in mine]))
                found[labels.name] = tried(labels.names, mine, by_description)
        return found

    def labelled(self, labels: LabelSet, vectors: Vectors) -> tuple[NDArray[np.int64], NDArray[np.float64], str]:
        """For each of unit `vectors` its label (a place in `names`), its probability, and what it was told by."""
        made = self._described(labels, vectors)
        classifier = self._classifier(labels)
        if classifier is not None:
            made = classifier(vectors, made)
        best = made.argmax(axis=1)
        best[~vectors.any(axis=1)] = len(labels.labels)  # a text without a vector is like nothing
        return best, made[np.arange(len(best)), best], "descriptions" if classifier is None else "corrections"

    def is_calibrated(self, labels: LabelSet) -> bool:
        """Whether probabilities were fitted: with these labels, this model, and no classifier beside them."""
        return self._classifier(labels) is None and labels.calibrated_for(self.model)

    def _classifier(self, labels: LabelSet) -> Classifier | None:
        return self.trials[labels.name].classifier if labels.name in self.trials else None

    def _described(self, labels: LabelSet, vectors: Vectors) -> NDArray[np.float64]:
        cosines = nearest(vectors, self.descriptions[labels.name], owners(labels))
        return probabilities(cosines, scale=labels.scale, other=labels.other)


@dataclass
class _Counted:
    """Chunks by label of one set, and of each label the most certain ones of different files."""

    counts: NDArray[np.int64]
    shown: dict[int, list[tuple[float, ChunkText]]] = field(default_factory=dict[int, list[tuple[float, ChunkText]]])
    kinds: set[str] = field(default_factory=set[str])


class LabelInsight:
    """Labels the chunks that stream by. Rows of `CHUNK_LABELS` go to `attached` at once; without vectors none do."""

    def __init__(self, labeller: Labeller, attached: AttachedRows) -> None:
        self._labeller = labeller
        self._attached = attached
        self._counted = {labels.name: _Counted(np.zeros(len(labels.names), np.int64)) for labels in labeller.sets}

    def observe(self, batch: SliceBatch) -> None:
        """Label the chunks."""
        if not batch.vectors.shape[1] or not batch.chunks.num_rows:
            return
        for labels in self._labeller.sets:
            best, certain, basis = self._labeller.labelled(labels, batch.vectors)
            self._attached.add("chunk_labels", self._rows(batch, labels, best, certain, basis))
            counted = self._counted[labels.name]
            counted.counts += np.bincount(best, minlength=len(labels.names))
            for label in np.unique(best[best < len(labels.labels)]).tolist():
                rows = np.flatnonzero(best == label)
                at = int(rows[np.argmax(certain[rows])])
                held = counted.shown.setdefault(label, [])
                held.append((float(certain[at]), batch.chunk(at)))
                held.sort(key=lambda each: -each[0])
                del held[1:]
                counted.kinds.add(held[0][1].kind)

    def _rows(
        self, batch: SliceBatch, labels: LabelSet, best: NDArray[np.int64], certain: NDArray[np.float64], basis: str
    ) -> pa.RecordBatch:
        count = len(best)
        is_calibrated = self._labeller.is_calibrated(labels)
        columns: list[Any] = [
            column_of(batch.chunks, "chunk_id"),
            pa.array([labels.name] * count, pa.string()),
            cast(Any, pa.array(labels.names, pa.string())).take(pa.array(best)),
            pa.array(certain.astype(np.float32)),
            pa.array([is_calibrated] * count),
            pa.array([basis] * count, pa.string()),
        ]
        return CHUNK_LABELS.cast(pa.RecordBatch.from_arrays(columns, names=CHUNK_LABELS.schema.names))

    def conclude(self) -> Iterable[Insight]:
        """The shares of each set, where its labels fit some chunks."""
        for labels in self._labeller.sets:
            counted = self._counted[labels.name]
            total = int(counted.counts.sum())
            order = np.argsort(-counted.counts[:-1], kind="stable").tolist()
            said = [at for at in order if counted.counts[at] >= max(1, _LEAST_SHARE * total)][:_LISTED]
            if total and said:
                yield self._insight(labels, counted, said, total)

    def _insight(self, labels: LabelSet, counted: _Counted, said: list[int], total: int) -> Insight:
        names = labels.names
        parts = [f"{share(int(counted.counts[at]), total)} {names[at]}" for at in said]
        rest = int(counted.counts[-1])
        fitting = f" {share(rest, total)} fit none of its {len(names) - 1} labels." if rest else ""
        is_calibrated = self._labeller.is_calibrated(labels)
        doubt = "" if is_calibrated else " Probabilities of these labels are uncalibrated."
        trial = self._labeller.trials.get(labels.name)
        value: dict[str, object] = {
            "chunks_by_label": {names[at]: int(counted.counts[at]) for at in range(len(names)) if counted.counts[at]},
            "chunks": total,
            "calibrated": is_calibrated,
        }
        if trial is not None:
            value["corrections"] = {
                "used": trial.classifier is not None,
                "count": trial.corrections,
                "right_by_descriptions": round(trial.described, 3),
                "right_when_learnt": round(trial.learnt, 3),
            }
        evidence = tuple(counted.shown[at][0][1].cite_opening() for at in said[:_SHOWN])
        return Insight(
            kind=next(iter(counted.kinds)) if len(counted.kinds) == 1 else "mixed",
            type="labels",
            title=f"Chunks by {labels.name}",
            statement=f"By {labels.name}, of {plural(total, 'chunk')} {_listed(parts)}.{fitting}{doubt}",
            score=0.42,
            value=value,
            evidence=evidence,
        )


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
