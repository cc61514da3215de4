"""What a query means: its vector, and the entries of the vector index that are near it.

After a change of the model some slices are still indexed by an older one. Each generation is asked by its own model,
and what they find is put in one order. Cosines of two models do not compare; how far they are above those of unrelated
texts does. The query's cosines with the same two dozen texts give mean and standard deviation of each model, by which
scores are brought to one scale (zero mean and unit variance, as for merging result lists: Montague and Aslam 2001).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from mesh_assets.embeddings.protocol import OFF, Encoder
from mesh_assets.embeddings.sentence_encoder import unit
from mesh_assets.errors import ModelError
from mesh_assets.indexes.protocol import Around, Filter, Hit, VectorIndex

# The weight of the question's own vector beside the mean of what was found, as published for dense retrieval (Li et al.
# 2021: .4 and .6), not chosen on any of our sets.
_OWN_SHARE = 0.4
# Texts of the kinds that the mesh reads, which no query is about: what a model gives texts that have nothing in common.
_UNRELATED = (
    "The meeting was moved to Thursday because two members were travelling.",
    "Preheat the oven and let the dough rest for half an hour.",
    "The river flooded the lower fields for the third time that spring.",
    "Payment is due within thirty days of the date of the invoice.",
    "She learned to play the violin when she was nine years old.",
    "The treaty was signed by all parties and took effect in March.",
    "Patients with a fever were asked to return the next morning.",
    "Turn left at the church and follow the road to the harbour.",
    "The engine is cooled by air and weighs less than forty kilograms.",
    "Tenants may keep small animals with the consent of the landlord.",
    "Quarterly revenue rose by four percent compared with last year.",
    "The painting shows a market square in the late afternoon.",
    "def area(width, height): return width * height",
    "for (int i = 0; i < count; i++) { total += values[i]; }",
    "import os\nfrom pathlib import Path\n\nROOT = Path(os.environ['HOME'])",
    "SELECT name, price FROM products WHERE price > 100 ORDER BY name",
    "<div class='menu'><a href='/home'>Home</a></div>",
    "2021-03-04 10:22:31 INFO server: connection accepted from client",
    "ERROR could not open the file: permission denied",
    "[kernel] usb 1-1: new high-speed device number 4",
    "id,date,amount,currency\n17,2020-05-01,250.00,EUR",
    '{"name": "sensor", "unit": "celsius", "value": 21.5}',
    "Copyright holders grant permission to use this software free of charge.",
    "Chapter 4: Results and discussion",
)


class Meaning:
    """A query and those who can be asked about its meaning: `encoder`, the model in use, and the `older` models of
    slices that are not indexed by it yet. `depth` entries are asked of each."""

    def __init__(
        self,
        text: str,
        encoder: Encoder,
        vectors: VectorIndex,
        depth: int,
        where: Filter | None,
        older: Sequence[Encoder] = (),
    ) -> None:
        self.depth = depth
        self.where = where
        self._encoder = encoder
        self._vectors = vectors
        self._asked = [_Asked(text, each) for each in (encoder, *older)]

    def hits(self, notes: list[str]) -> list[Hit]:
        """The entries nearest to the query; where some or all slices have none, `notes` say why.

        ModelError where the only model cannot run, IndexDownError where the index does not answer.
        """
        if self._encoder.model == OFF:
            notes.append(
                "Not searched by meaning: embeddings are off. Set MESH_EMBEDDING_MODEL to a model to have both."
            )
            return []
        found = self._of_each(lambda asked: self._around(asked).hits, notes)
        older = [asked.encoder.model for asked, hits in found if hits and asked.encoder is not self._encoder]
        if older:
            notes.append(
                f"Slices that are not embedded with {self._encoder.model} yet were searched by {', '.join(older)}: "
                "`mesh backfill DATASET --stale` makes them again."
            )
        hits = self._merged(found)
        if not hits and not notes:
            notes.extend(_unembedded(self._vectors, self._encoder.model, self.where))
        return hits

    def hits_like(self, best: Sequence[Hit]) -> list[Hit]:
        """The entries nearest to the query and the `best` entries together; none where these have no vectors."""
        has_any = False

        def nearest(asked: _Asked) -> list[Hit]:
            nonlocal has_any
            theirs = self._vectors.vectors_of(asked.encoder.model, best)
            has_any = has_any or bool(len(theirs))
            vector = moved(asked.vector, theirs.mean(axis=0)) if len(theirs) else asked.vector
            return self._around(asked).again(vector) if vector.any() else []

        found = self._of_each(nearest, [])
        return self._merged(found) if has_any else []

    def _of_each(self, ask: Callable[[_Asked], list[Hit]], notes: list[str]) -> list[tuple[_Asked, list[Hit]]]:
        """What each model finds. One that cannot run is left out and noted, where there are others."""
        if len(self._asked) == 1:
            return [(self._asked[0], ask(self._asked[0]))]
        found: list[tuple[_Asked, list[Hit]]] = []
        for asked in self._asked:
            try:
                found.append((asked, ask(asked)))
            except ModelError as error:
                notes.append(f"Some slices are not searched by meaning: {error}")
        return found

    def _around(self, asked: _Asked) -> Around:
        if asked.around is None:
            model = asked.encoder.model
            asked.around = self._vectors.around(model, asked.vector, limit=self.depth, where=self.where)
        return asked.around

    def _merged(self, found: list[tuple[_Asked, list[Hit]]]) -> list[Hit]:
        """One list with scores as the first of those that found something would give them."""
        answered = [(asked, hits) for asked, hits in found if hits]
        if len(answered) < 2:
            return answered[0][1] if answered else []
        mean, deviation = answered[0][0].chance
        merged: list[Hit] = []
        for asked, hits in answered:
            own_mean, own_deviation = asked.chance
            ratio = deviation / own_deviation
            merged += [Hit(hit.chunk_id, hit.slice, mean + ratio * (hit.score - own_mean)) for hit in hits]
        return sorted(merged, key=lambda hit: (-hit.score, hit.chunk_id))[: self.depth]


class _Asked:
    """One generation of vectors, asked by its own model."""

    def __init__(self, text: str, encoder: Encoder) -> None:
        self.encoder = encoder
        self.around: Around | None = None  # once its index was asked
        self._text = text

    @cached_property
    def vector(self) -> NDArray[np.float32]:
        """Of the query."""
        return self.encoder.encode([self._text])[0]

    @cached_property
    def chance(self) -> tuple[float, float]:
        """Mean and standard deviation of the cosines of unrelated texts with the query."""
        cosines = _unrelated(self.encoder) @ self.vector
        return float(cosines.mean()), max(float(cosines.std()), 1e-6)


@lru_cache(maxsize=4)  # one model of now, and those before it
def _unrelated(encoder: Encoder) -> NDArray[np.float32]:
    return encoder.encode(_UNRELATED)


def moved(question: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float32]:
    """The unit vector between a question's own and the mean of what was found for it."""
    between = _OWN_SHARE * question + (1 - _OWN_SHARE) * found
    return unit(between[None].astype(np.float32))[0]


def _unembedded(vectors: VectorIndex, model: str, where: Filter | None) -> list[str]:
    """A note where everything that could be found was embedded with other models: the setting was changed since."""
    held = vectors.models(where.dataset if where else None)
    if not held or model in held:
        return []
    others = ", ".join(sorted(held - {OFF}))
    only = f", only with {others}" if others else ", because embeddings were off"
    return [
        f"Not searched by meaning: nothing was embedded with {model} yet{only}. "
        "Materialize `chunk_embeddings` and `vector_index`, or set MESH_EMBEDDING_MODEL back."
    ]
