"""Briefs: standing questions for kinds of data, read from YAML files and checked. What they become belongs to `cases`.

The shipped ones lie in `defaults/briefs`, one a file, named as the file. A file of the owner's with the same name is
laid over it field by field, and another name adds a brief.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from blake3 import blake3
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mesh_assets.analyses.checkable import Check, with_checks
from mesh_assets.analyses.facts import FACTS
from mesh_assets.analyses.techniques.choice import Wish
from mesh_assets.errors import SettingsError
from mesh_assets.mesh.prompts import ANSWER_SCHEMA

Kind = Literal["text", "code", "image", "audio", "video", "structured", "log", "metric"]
_REMEDY = "Correct it; `mesh_assets/defaults/briefs/README.md` says what each field means."
_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_TITLE = "{title}"


class _Evidence(BaseModel):
    """How much evidence a case has. `facts` are computed: names of `FACTS`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pieces: Annotated[int, Field(ge=1, le=40)] = 10
    relevance: Annotated[float, Field(ge=0, le=1)] = 0.7
    facts: tuple[str, ...] = ()

    @field_validator("facts")
    @classmethod
    def _known(cls, facts: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(facts) - set(FACTS))
        if unknown:
            raise ValueError(f"no such facts: {', '.join(unknown)}; there are {', '.join(sorted(FACTS))}")
        return facts


class _Fields(BaseModel):
    """One file. The names are those that its owner writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    question: Annotated[str, Field(min_length=10, max_length=2000)]
    audience: Annotated[str, Field(min_length=1)]
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    about: Annotated[tuple[str, ...], Field(min_length=1)]
    per: Literal["insight", "slice"] = "slice"
    cases: Annotated[int, Field(ge=1, le=20)] = 1
    least_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    speciality: Annotated[str, Field(min_length=1)] = "general"
    evidence: _Evidence = _Evidence()
    aspects: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z -]{0,30}$")], ...] = ()
    checks: tuple[Check, ...] = ()
    share: Annotated[float, Field(gt=0, le=1)] = 0.2
    is_impossible: bool = False
    technique: Wish = "auto"
    disabled: bool = False

    @field_validator("question")
    @classmethod
    def _only_title_is_open(cls, question: str) -> str:
        try:
            question.format(title="")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"only {_TITLE} may stand in braces ({error})") from error
        return question


@dataclass(frozen=True)
class Brief:
    """A standing question.

    It has a case for each of the best `cases` insights whose type is in `about` (`per` insight), or one for all of them
    (`per` slice), where they are about one of `kinds`. `share` is the part of a run's money that its cases may take,
    beside the shares of the other briefs. `technique` is how it is best answered at the depths that use one.
    """

    name: str
    question: str
    audience: str
    kinds: tuple[str, ...]
    about: tuple[str, ...]
    is_per_insight: bool
    cases: int
    least_score: float
    speciality: str
    pieces: int
    relevance: float
    facts: tuple[str, ...]
    aspects: tuple[str, ...]
    checks: tuple[Check, ...]
    share: float
    is_impossible: bool
    technique: Wish

    @cached_property
    def schema(self) -> Mapping[str, object]:
        """JSON schema of an answer: the mesh's own, where each claim may say to which of the aspects it belongs, and
        bring what the data can be asked.
        """
        if not self.aspects:
            return with_checks(ANSWER_SCHEMA, self.checks)
        schema = cast("dict[str, Any]", deepcopy(dict(ANSWER_SCHEMA)))
        claim: dict[str, Any] = schema["properties"]["claims"]["items"]
        claim["properties"]["aspect"] = {"type": "string", "enum": list(self.aspects)}
        return with_checks(schema, self.checks)

    @cached_property
    def version(self) -> str:
        """12 hex digits of what its cases and their answers depend on."""
        said = [self.name, self.question, self.speciality, self.pieces, self.relevance, self.facts, self.aspects]
        said += [self.checks] if self.checks else []
        text = json.dumps([*said, self.kinds, self.about, self.is_per_insight, self.least_score], sort_keys=True)
        return blake3(text.encode()).hexdigest(length=6)

    def asked(self, title: str) -> str:
        """The question about something called `title`."""
        return self.question.format(title=title)


def read_briefs(shipped: Path, own: Path) -> list[Brief]:
    """The briefs of the folder `shipped` with those of `own`, where that exists, laid over them, by name.

    SettingsError names the file and the field that cannot be used; a disabled brief is left out, but checked.
    """
    files = _files(shipped)
    changes = _files(own) if own.is_dir() else {}
    found: list[Brief] = []
    for name in sorted({*files, *changes}):
        fields: dict[str, object] = {}
        for path in filter(None, (files.get(name), changes.get(name))):
            fields |= _fields(path)
        checked = _checked(changes.get(name) or files[name], name, fields)
        if not checked.disabled:
            found.append(_brief(name, checked))
    return found


def briefs_digest(briefs: list[Brief]) -> str:
    """Changes where a brief does, also in what is no part of its version."""
    said = [
        [each.version, each.cases, each.share, each.audience, each.is_impossible, each.technique] for each in briefs
    ]
    return blake3(json.dumps(said).encode()).hexdigest(length=6)


def _files(folder: Path) -> dict[str, Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise SettingsError(f"{folder} cannot be read: {error}.", remedy="Correct MESH_BRIEFS, or unset it.") from error
    return {path.stem: path for path in paths}


def _fields(path: Path) -> dict[str, object]:
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        said = str(error).replace("\n", " ")
        raise SettingsError(f"{path} cannot be read: {said}.", remedy=_REMEDY) from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} has no fields.", remedy=_REMEDY)
    return {str(name): value for name, value in cast("dict[object, object]", content).items()}


class _Named(BaseModel):
    name: Annotated[str, Field(pattern=_NAME)]


def _checked(path: Path, name: str, fields: Mapping[str, object]) -> _Fields:
    try:
        _Named(name=name)
        return _Fields.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"The brief {path} cannot be used: {faults}.", remedy=_REMEDY) from error


def _brief(name: str, fields: _Fields) -> Brief:
    return Brief(
        name=name,
        question=" ".join(fields.question.split()),
        audience=fields.audience,
        kinds=fields.kinds,
        about=fields.about,
        is_per_insight=fields.per == "insight",
        cases=fields.cases if fields.per == "insight" else 1,
        least_score=fields.least_score,
        speciality=fields.speciality,
        pieces=fields.evidence.pieces,
        relevance=fields.evidence.relevance,
        facts=fields.evidence.facts,
        aspects=fields.aspects,
        checks=fields.checks,
        share=fields.share,
        is_impossible=fields.is_impossible,
        technique=fields.technique,
    )
