"""The encoder in use: a local sentence-transformers model, loaded at its first use; and those that were before it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_assets.embeddings.no_encoder import NoEncoder
from mesh_assets.embeddings.protocol import OFF, Encoder
from mesh_assets.embeddings.sentence_encoder import SentenceEncoder
from mesh_assets.embeddings.static_encoder import StaticEncoder
from mesh_assets.errors import ModelError
from mesh_assets.machine import run_threads
from mesh_assets.settings import Settings
from mesh_assets.storage.generations import Generation, Generations


def connect_encoder(settings: Settings) -> Encoder:
    """The model of the settings, none where it is `off`; ModelError at its first use where it is not here."""
    if settings.embedding_model == OFF:
        return NoEncoder()
    cache = settings.state / "models"
    full = SentenceEncoder(
        settings.embedding_model,
        batch=settings.embedding_batch,
        threads=run_threads(settings),
        cache=cache,
        precision=settings.embedding_precision,
    )
    return StaticEncoder(full, cache) if settings.embedding_effort == "two" else full


class OlderEncoder:
    """An Encoder of a model that is not in use any more, as long as its files are what they were."""

    def __init__(self, model: str, connect: Callable[[], Encoder]) -> None:
        self._model = model
        self._connect = connect

    @property
    def model(self) -> str:
        """As it was recorded."""
        return self._model

    @property
    def dimension(self) -> int:
        """Length of each vector; loads the model."""
        return self._encoder.dimension

    @property
    def engine(self) -> str:
        """What runs the model; loads it."""
        return self._encoder.engine

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors. ModelError where the model is not here any more, or another lies in its place."""
        return self._encoder.encode(texts)

    @cached_property
    def _encoder(self) -> Encoder:
        remedy = "Put its files back, or make the slices again: `mesh backfill DATASET --stale`."
        try:
            encoder = self._connect()
            found = encoder.model
        except ModelError as error:
            raise ModelError(f"{self._model} is not on this machine any more.", remedy=remedy) from error
        if found != self._model:
            raise ModelError(f"In the place of {self._model} lies {found} now.", remedy=remedy)
        return encoder


class SearchEncoders:
    """The encoder of the settings, and those of the older generations that slices are still indexed by."""

    def __init__(self, settings: Settings, connect: Callable[[Settings], Encoder] = connect_encoder) -> None:
        self._settings = settings
        self._connect = connect
        self._older: dict[str, OlderEncoder] = {}

    @cached_property
    def current(self) -> Encoder:
        """The one in use."""
        return self._connect(self._settings)

    def older(self) -> list[Encoder]:
        """The others, newest first, as the records are at this moment."""
        model = OFF
        with suppress(ModelError):
            model = self.current.model
        found = {each.model: each for each in Generations(self._settings.state).all() if each.model not in (model, OFF)}
        self._older = {name: self._older.get(name) or self._encoder(each) for name, each in found.items()}
        return list(self._older.values())

    def _encoder(self, generation: Generation) -> OlderEncoder:
        changed = {"embedding_model": generation.setting, "embedding_effort": generation.effort}
        settings = self._settings.model_copy(update=changed)
        return OlderEncoder(generation.model, lambda: self._connect(settings))
