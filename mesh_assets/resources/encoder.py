"""The encoder in use: a local sentence-transformers model, loaded at its first use."""

from mesh_assets.embeddings.no_encoder import NoEncoder
from mesh_assets.embeddings.protocol import OFF, Encoder
from mesh_assets.embeddings.sentence_encoder import SentenceEncoder
from mesh_assets.embeddings.static_encoder import StaticEncoder
from mesh_assets.machine import run_threads
from mesh_assets.settings import Settings


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
