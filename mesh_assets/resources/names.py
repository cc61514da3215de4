"""The model for names in use: that of MESH_NER_MODEL, or none."""

from collections.abc import Callable

from mesh_assets.errors import ModelError
from mesh_assets.insights.model_names import OFF, NameModel
from mesh_assets.settings import Settings


def connect_names(settings: Settings, log: Callable[[str], object]) -> NameModel | None:
    """The model, loaded when it is first asked; where one is set that is not here there is none, and `log` says so."""
    if settings.ner_model == OFF:
        return None
    names = NameModel(settings.ner_model, log)
    try:
        names.check()
    except ModelError as error:
        log(f"Names are told by their form only. {error}")
        return None
    return names


def names_told_by(settings: Settings, names: NameModel | None) -> str:
    """For the footer and the report: the setting, and that it could not be followed where that is so."""
    if names is not None or settings.ner_model == OFF:
        return settings.ner_model
    return f"{OFF}, because {settings.ner_model} cannot be used"
