"""The full-text index in use: the embedded engine, files below the state folder."""

from mesh_assets.indexes.protocol import FulltextIndex
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.settings import Settings


def connect_fulltext_index(settings: Settings) -> FulltextIndex:
    """Tantivy: one writer at a time, any number of readers."""
    return TantivyFulltextIndex(settings.state / "indexes" / "words")
