"""The vector index in use: the embedded engine, files below the state folder."""

import dagster as dg

from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.protocol import VectorIndex
from mesh_assets.machine import cores
from mesh_assets.settings import Settings


def connect_vector_index(settings: Settings, *, run_id: str = "") -> VectorIndex:
    """FAISS over binary codes. Its temporary files carry the run id."""
    return FaissVectorIndex(settings.state / "indexes" / "vectors", run_id=run_id, threads=cores(settings))


def vector_index_resource(settings: Settings) -> dg.ResourceDefinition:
    """The index for runs."""

    def connect(context: dg.InitResourceContext) -> VectorIndex:
        return connect_vector_index(settings, run_id=context.run.run_id if context.run else "")

    return dg.ResourceDefinition(connect)
