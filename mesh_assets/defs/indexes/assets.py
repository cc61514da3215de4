"""Assets of the stage `indexes`. An index that is down never fails a slice: its state stays pending."""

import dagster as dg

from mesh_assets.defs.partitions import slice_asset
from mesh_assets.defs.produce import produce
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.indexes.protocol import FulltextIndex, VectorIndex
from mesh_assets.indexes.stage import DOCUMENT_COLUMNS, index_documents, index_vectors
from mesh_assets.schemas.outcome import StageOutput
from mesh_assets.storage.lake import Lake, LakeTable


@slice_asset()
def vector_index(
    context: dg.AssetExecutionContext,
    chunk_embeddings: LakeTable,
    lake: dg.ResourceParam[Lake],
    encoder: dg.ResourceParam[Encoder],
    vectors: dg.ResourceParam[VectorIndex],
) -> StageOutput:
    """The slice's vectors where search finds them: by meaning, in milliseconds, from any number of processes."""
    return produce(
        context,
        lake,
        lambda outcome: iter(
            [index_vectors(vectors, context.partition_key, encoder.model, chunk_embeddings.batches(), outcome)]
        ),
        upstream=[chunk_embeddings],
        total=chunk_embeddings.footer.rows,
        unit="vectors",
        settings={"model": encoder.model, "engine": vectors.engine},
        is_there=lambda state: vectors.held(context.partition_key, encoder.model) == state.footer.rows_in,
    )


@slice_asset()
def fulltext_index(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    lake: dg.ResourceParam[Lake],
    words: dg.ResourceParam[FulltextIndex],
) -> StageOutput:
    """The slice's words where search finds them: ranked by BM25, one writer at a time, any number of readers."""
    return produce(
        context,
        lake,
        lambda outcome: iter(
            [index_documents(words, context.partition_key, chunk_sets.batches(DOCUMENT_COLUMNS), outcome)]
        ),
        upstream=[chunk_sets],
        total=chunk_sets.footer.rows,
        unit="chunks",
        settings={"engine": words.engine},
        is_there=lambda state: words.held(context.partition_key) == state.footer.rows_in,
    )
