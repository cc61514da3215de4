"""The labels in use: those of the settings' files with the owner's corrections, told by the encoder in use."""

import logging

from mesh_assets.embeddings.protocol import OFF, Encoder
from mesh_assets.embeddings.stage import known_or_made
from mesh_assets.errors import SettingsError
from mesh_assets.insights.label_shares import Labeller
from mesh_assets.insights.labels import LabelSet, read_labels
from mesh_assets.settings import OWN_LABELS, SHIPPED_LABELS, Settings
from mesh_assets.storage.label_corrections import corrections_of
from mesh_assets.storage.shared_vectors import SharedVectors

_LOG = logging.getLogger(__name__)


def label_sets(settings: Settings) -> list[LabelSet]:
    """The label sets of the shipped file and the owner's; SettingsError for a file that is none."""
    if settings.labels != OWN_LABELS and not settings.labels.is_file():
        raise SettingsError(
            f"MESH_LABELS: there is no file {settings.labels}.", remedy="Correct the path, or unset it."
        )
    return read_labels(SHIPPED_LABELS, settings.labels)


def connect_labeller(settings: Settings, encoder: Encoder) -> Labeller:
    """What labels chunks; the model is loaded when the first chunk is there, and nothing is labelled without one."""
    model = encoder.model
    corrections = [] if model == OFF else corrections_of(settings.state, model)
    known = SharedVectors(settings.state, model, log=_LOG.warning)  # descriptions hardly change from slice to slice
    return Labeller(label_sets(settings), lambda texts: known_or_made(texts, encoder, known), model, corrections)
