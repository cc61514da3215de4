"""Names that a local model tells: people, organisations, places that nothing in their form gives away.

The model is one of transformers for token classification, in a folder or in the local cache; nothing is fetched. What
the forms of `entities` find wins over it. Without a model nothing here is loaded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

from mesh_assets.errors import ModelError

OFF = "off"
# What data sets for names call the sorts that all of them know; others are told as `name`.
_LABELS = {
    **dict.fromkeys(("per", "person", "people"), "person"),
    **dict.fromkeys(("org", "organization", "organisation", "company", "corporation"), "organisation"),
    **dict.fromkeys(("loc", "location", "gpe", "place", "fac"), "place"),
}
MODEL_LABELS = ("person", "organisation", "place", "name")
# Below, the model is more in doubt than sure.
_LEAST_SCORE = 0.5
_BATCH = 16
_LONGEST = 120
_REMEDY = (
    "Set MESH_NER_MODEL to a folder with a model of transformers for token classification, or to a name in the local "
    "Hugging Face cache; `off` for none. Then `mesh backfill DATASET --stale`."
)


class Name(NamedTuple):
    """Characters `start` up to `stop` of a text, and which of `MODEL_LABELS` it is."""

    label: str
    start: int
    stop: int


class NameModel:
    """The model called `model`, a folder or a name in the cache. Loaded when it is first asked.

    One that does not work tells no names, and `log` says why, once: it costs no slice.
    """

    def __init__(self, model: str, log: Callable[[str], object]) -> None:
        self._setting = model
        self._log = log
        self._is_broken = False

    @property
    def source(self) -> str:
        """Named with each entity that it tells."""
        return self._setting.rstrip("/").rsplit("/", 1)[-1]

    def check(self) -> None:
        """ModelError where there is no such model on this machine. It is not loaded."""
        config = self._folder / "config.json"
        try:
            said = json.loads(config.read_text(encoding="utf-8"))
            kinds = [str(each) for each in said.get("architectures") or ()]
        except (OSError, ValueError, AttributeError) as error:
            raise ModelError(f"MESH_NER_MODEL={self._setting}: {config} cannot be read.", remedy=_REMEDY) from error
        if not any(kind.endswith("ForTokenClassification") for kind in kinds):
            found = ", ".join(kinds) or "none that it names"
            raise ModelError(f"MESH_NER_MODEL={self._setting} is a model for {found}.", remedy=_REMEDY)

    def names(self, texts: Sequence[str]) -> list[list[Name]]:
        """The names of each text in order, none overlapping."""
        if texts and self.works:
            try:
                found = self._told(list(texts))
                return [_names(text, tokens) for text, tokens in zip(texts, found, strict=True)]
            except Exception as error:  # noqa: BLE001  # whatever a library does with a model that does not fit
                self._give_up(error)
        return [[] for _ in texts]

    @property
    def works(self) -> bool:
        """Whether it could be loaded, and has not failed since; loads it."""
        if not self._is_broken:
            try:
                _ = self._pipeline
            except Exception as error:  # noqa: BLE001  # as above
                self._give_up(error)
        return not self._is_broken

    def _told(self, texts: list[str]) -> list[list[dict[str, Any]]]:
        return self._pipeline(texts, batch_size=_BATCH)

    @cached_property
    def _folder(self) -> Path:
        if self._setting and Path(self._setting).expanduser().is_dir():
            return Path(self._setting).expanduser()
        os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the library is imported
        import huggingface_hub

        try:
            return Path(cast("Any", huggingface_hub).snapshot_download(self._setting, local_files_only=True))
        except (OSError, ValueError) as error:  # not in the cache; not a name
            raise ModelError(f"MESH_NER_MODEL={self._setting} is not on this machine.", remedy=_REMEDY) from error

    @cached_property
    def _pipeline(self) -> Callable[..., list[list[dict[str, Any]]]]:
        os.environ["HF_HUB_OFFLINE"] = "1"
        from transformers import pipeline
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        return cast("Any", pipeline)(
            "token-classification", model=str(self._folder), aggregation_strategy="simple", device="cpu"
        )

    def _give_up(self, error: Exception) -> None:
        self._is_broken = True
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        self._log(f"Names are told by their form only. MESH_NER_MODEL={self._setting} does not work: {said}. {_REMEDY}")


def _names(text: str, tokens: Sequence[dict[str, Any]]) -> list[Name]:
    found: list[Name] = []
    for token in sorted(tokens, key=lambda token: int(token["start"])):
        start, stop = int(token["start"]), int(token["end"])
        said = text[start:stop]
        start, stop = start + len(said) - len(said.lstrip()), stop - len(said) + len(said.rstrip())
        is_behind = not found or start >= found[-1].stop
        sure = float(token["score"]) >= _LEAST_SCORE and 2 <= stop - start <= _LONGEST
        if sure and is_behind and any(character.isalpha() for character in text[start:stop]):
            label = str(token.get("entity_group") or "").lower().removeprefix("b-").removeprefix("i-")
            found.append(Name(_LABELS.get(label, "name"), start, stop))
    return found
