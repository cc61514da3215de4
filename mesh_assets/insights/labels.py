"""Labels by description: what a chunk is about and what sort of content it is, told without training.

A file describes label sets in words, the owner's copy is laid over the shipped one. A chunk gets the label of each set
whose description its vector is nearest to, or `other`. What corrections of the owner add is in `corrections`; what is
said of a slice, in `label_shares`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import yaml
from blake3 import blake3
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mesh_assets.errors import SettingsError

OTHER = "other"
_REMEDY = "Correct it; `mesh_assets/defaults/labels.yaml` says what each field means."
_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels of which a chunk has one, each with its descriptions.

    The probability of a label is softmax(`scale` * cosine), where `other` stands for a label at the cosine `other`.
    Both were fitted with the model `model` to labelled texts; `is_calibrated` is False once the labels are not those.
    """

    name: str
    labels: Mapping[str, tuple[str, ...]]
    model: str
    scale: float
    other: float
    is_calibrated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The labels in order, `other` last: columns of what `probabilities` gives."""
        return (*self.labels, OTHER)

    def calibrated_for(self, model: str) -> bool:
        """Whether probabilities mean what they say with the vectors of this model."""
        return self.is_calibrated and model.split("@")[0] == self.model


class _Calibration(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model: str
    scale: Annotated[float, Field(gt=0, le=1000)]
    other: Annotated[float, Field(ge=-1, le=1)]


_Names = Annotated[str, Field(pattern=_NAME)]
_Text = Annotated[str, Field(min_length=3, max_length=2000)]


class _Set(BaseModel):
    model_config = ConfigDict(extra="forbid")
    calibration: _Calibration | None = None
    labels: dict[_Names, Annotated[list[_Text], Field(min_length=1)] | _Text | None] = Field(default_factory=dict)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sets: dict[_Names, _Set | None] = Field(default_factory=dict)


def read_labels(shipped: Path, own: Path) -> list[LabelSet]:
    """The label sets of `shipped` with `own`, which need not exist, laid over them; SettingsError for what is no such.

    A label or set of `own` that is null takes that of `shipped` away; a set without labels is none.
    """
    base = _file(shipped)
    over = _file(own) if own.exists() else _File()
    found: list[LabelSet] = []
    for name in dict.fromkeys((*base.sets, *over.sets)):
        given = base.sets.get(name) or _Set()
        changes = over.sets[name] if name in over.sets else _Set()
        labels = {} if changes is None else {**given.labels, **changes.labels}
        labels = {label: texts for label, texts in labels.items() if texts is not None}
        if OTHER in labels:
            raise SettingsError(f"{own}: `{OTHER}` of {name} is what no description fits.", remedy=_REMEDY)
        if changes is None or not labels:
            continue
        calibration = changes.calibration or given.calibration
        is_calibrated = calibration is not None and (changes.calibration is not None or labels == given.labels)
        calibration = calibration or _DEFAULT
        texts = {label: (text,) if isinstance(text, str) else tuple(text) for label, text in labels.items()}
        found.append(LabelSet(name, texts, calibration.model, calibration.scale, calibration.other, is_calibrated))
    return found


# For a set that comes without numbers: those of the shipped topics.
_DEFAULT = _Calibration(model="all-MiniLM-L6-v2", scale=32.4, other=0.17)


def _file(path: Path) -> _File:
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        said = str(error).replace("\n", " ")
        raise SettingsError(f"{path} cannot be read: {said}.", remedy=_REMEDY) from error
    try:
        return _File.model_validate({} if content is None else content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"{path} cannot be used: {faults}.", remedy=_REMEDY) from error


def fingerprint(sets: Sequence[LabelSet]) -> str:
    """Changes with anything that decides labels."""
    said = [[s.name, dict(s.labels), s.model, s.scale, s.other, s.is_calibrated] for s in sets]
    return blake3(json.dumps(said).encode()).hexdigest(length=8)


def similarities(labels: LabelSet, vectors: Vectors, encode: Encode) -> Vectors:
    """Cosines of unit `vectors` (rows, dimension) with each label, shape (rows, labels): the nearest description."""
    return nearest(vectors, described(labels, encode), owners(labels))


def described(labels: LabelSet, encode: Encode) -> Vectors:
    """Unit vectors of all descriptions, shape (descriptions, dimension)."""
    return encode([text for texts in labels.labels.values() for text in texts])


def owners(labels: LabelSet) -> NDArray[np.int64]:
    """Where the descriptions of each label begin among all."""
    return np.cumsum([0, *(len(texts) for texts in labels.labels.values())])[:-1]


def nearest(vectors: Vectors, descriptions: Vectors, begins: NDArray[np.int64]) -> Vectors:
    """For each vector and label, the cosine with the nearest of its descriptions."""
    return cast("Vectors", np.maximum.reduceat(vectors @ descriptions.T, begins, axis=1))


def probabilities(cosines: Vectors, *, scale: float, other: float) -> NDArray[np.float64]:
    """From (rows, labels) to (rows, labels + 1), `other` last; rows add up to 1."""
    level = np.full((len(cosines), 1), other)
    scores = scale * np.concatenate((cosines, level), axis=1, dtype=np.float64)
    made = np.exp(scores - scores.max(axis=1, keepdims=True))
    return made / made.sum(axis=1, keepdims=True)


def fitted(cosines: Vectors, truth: NDArray[np.int64]) -> tuple[float, float]:
    """`scale` and `other` that make the true labels (columns of `probabilities`) likeliest.

    Platt scaling with one slope for all labels (temperature, Guo et al. 2017) and the level of `other` as its offset.
    """
    tried = [(float(scale), float(other)) for scale in np.geomspace(2, 100, 60) for other in np.linspace(0, 0.6, 61)]

    def likelihood(at: tuple[float, float]) -> float:
        made = probabilities(cosines, scale=at[0], other=at[1])
        return float(np.log(np.maximum(made[np.arange(len(truth)), truth], 1e-12)).mean())

    return max(tried, key=likelihood)
