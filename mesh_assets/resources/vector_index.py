"""The vector index in use: files below the state folder, or the Qdrant server of `MESH_QDRANT_URL`."""

import dagster as dg

from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.protocol import VectorIndex
from mesh_assets.machine import cores
from mesh_assets.resources.qdrant_vectors import QdrantVectorIndex, connected
from mesh_assets.settings import NO_SERVER, Settings


def connect_vector_index(settings: Settings, *, run_id: str = "") -> VectorIndex:
    """Qdrant where a server is set, else FAISS over binary codes, whose temporary files carry the run id."""
    if settings.qdrant_url != NO_SERVER:
        return QdrantVectorIndex(connected(settings.qdrant_url))
    return FaissVectorIndex(settings.state / "indexes" / "vectors", run_id=run_id, threads=cores(settings))


def vector_index_resource(settings: Settings) -> dg.ResourceDefinition:
    """The index for runs."""

    def connect(context: dg.InitResourceContext) -> VectorIndex:
        return connect_vector_index(settings, run_id=context.run.run_id if context.run else "")

    return dg.ResourceDefinition(connect)
