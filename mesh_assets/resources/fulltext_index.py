"""The full-text index in use: files below the state folder, or the Elasticsearch server of `MESH_ELASTICSEARCH_URL`."""

from mesh_assets.indexes.protocol import FulltextIndex
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.resources.elastic_words import ElasticFulltextIndex, connected
from mesh_assets.settings import NO_SERVER, Settings


def connect_fulltext_index(settings: Settings) -> FulltextIndex:
    """Elasticsearch where a server is set, else tantivy: one writer at a time, any number of readers."""
    if settings.elasticsearch_url != NO_SERVER:
        return ElasticFulltextIndex(connected(settings.elasticsearch_url))
    return TantivyFulltextIndex(settings.state / "indexes" / "words")
