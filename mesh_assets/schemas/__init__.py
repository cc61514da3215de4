"""The tables of the mesh, one module each: columns, key, grain, units.

A schema is written once. It drives the cast when a table is written, the columns shown in the Dagster UI, the view in
`lake.duckdb` and the generated asset check. Adding a column is one line in one file. `TABLES` maps each asset to its
table; `ATTACHED` are tables that a stage publishes beside its own.
"""

from mesh_assets.schemas.analyses import ANALYSES
from mesh_assets.schemas.cases import CASES
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.communities import COMMUNITIES
from mesh_assets.schemas.embeddings import EMBEDDINGS
from mesh_assets.schemas.extents import EXTENTS, SOURCES
from mesh_assets.schemas.graph import EDGES, VERTICES
from mesh_assets.schemas.immediate import IMMEDIATE_INSIGHTS
from mesh_assets.schemas.index_states import INDEX_STATES
from mesh_assets.schemas.insights import CHUNK_INSIGHTS, CHUNK_LABELS, CODE_FINDINGS, INSIGHTS
from mesh_assets.schemas.log_events import LOG_EVENTS, LOG_INSIGHTS, LOG_TEMPLATES
from mesh_assets.schemas.moments import MOMENTS
from mesh_assets.schemas.previews import PREVIEWS
from mesh_assets.schemas.receipts import RECEIPTS
from mesh_assets.schemas.relations import RELATIONS
from mesh_assets.schemas.reports import REPORTS
from mesh_assets.schemas.series_points import SERIES, SERIES_POINTS
from mesh_assets.schemas.statistics import STATISTICS
from mesh_assets.schemas.symbols import SYMBOLS
from mesh_assets.schemas.table import Table

TABLES: dict[str, Table] = {
    "drop_manifests": EXTENTS,
    "raw_partitions": SOURCES,
    "chunk_sets": CHUNKS,
    "chunk_embeddings": EMBEDDINGS,
    "chunk_insights": CHUNK_INSIGHTS,
    "chunk_relations": RELATIONS,
    "code_findings": CODE_FINDINGS,
    "slice_insights": INSIGHTS,
    "immediate_insights": IMMEDIATE_INSIGHTS,
    "log_events": LOG_EVENTS,
    "series": SERIES,
    "series_points": SERIES_POINTS,
    "vector_index": INDEX_STATES,
    "fulltext_index": INDEX_STATES,
    "graph_index": EDGES,
    "time_index": MOMENTS,
    "communities": COMMUNITIES,
    "cases": CASES,
    "surface_analyses": ANALYSES,
    "deep_analyses": ANALYSES,
    "expert_analyses": ANALYSES,
    "research_analyses": ANALYSES,
    "receipts": RECEIPTS,
    "slice_reports": REPORTS,
    "dataset_reports": REPORTS,
    "dataset_statistics": STATISTICS,
}
ATTACHED: dict[str, Table] = {
    "symbols": SYMBOLS,
    "previews": PREVIEWS,
    "chunk_labels": CHUNK_LABELS,
    "log_templates": LOG_TEMPLATES,
    "log_insights": LOG_INSIGHTS,
    "vertices": VERTICES,
}
