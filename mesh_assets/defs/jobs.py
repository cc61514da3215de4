"""Jobs: what a sensor, a schedule or a person starts. A slice run is one process and one partition.

The policies of their steps are those of the assets, so that a run by hand has them too.
"""

import dagster as dg

from mesh_assets.stages import SLICE_ASSETS

# Which of the queued runs goes first: the higher number. A manifest takes seconds and tells what there is to do; what a
# person starts in the UI has 0, slices that a sensor asks for -8 to -1 (`slice_priority`).
MANIFEST_PRIORITY, REPORT_PRIORITY, BACKFILL_PRIORITY = "10", "5", "-10"

manifest_job = dg.define_asset_job(
    "manifest_job",
    selection=["drop_manifests", "immediate_insights"],
    description="Look into a dataset's folder, plan its slices, and tell from a sample what is in there.",
)
slice_job = dg.define_asset_job(
    "slice_job",
    selection=list(SLICE_ASSETS),
    description="Everything about one slice: read, chunk, embed, analyse, index, report.",
)
index_job = dg.define_asset_job(
    "index_job",
    selection=["vector_index", "fulltext_index", "graph_index", "slice_reports"],
    description="Bring the indexes of one slice, and what its report says of them, up to date from the lake.",
)
analyses_job = dg.define_asset_job(
    "analyses_job",
    selection=[
        *("surface_analyses", "deep_analyses", "expert_analyses", "research_analyses", "slice_reports"),
    ],
    description="Answer the questions of one slice that waited, and bring its report up to date.",
)
report_job = dg.define_asset_job(
    "report_job",
    selection=["communities", "receipts", "dataset_reports", "dataset_statistics"],
    description="Write the report and the statistics of one dataset from what its slices found, and what it cost.",
)
JOBS = (manifest_job, slice_job, index_job, analyses_job, report_job)
