"""Jobs: what a sensor, a schedule or a person starts. A slice run is one process and one partition."""

import dagster as dg

from mesh_assets.stages import SLICE_ASSETS

# Tags by which the sensors find their runs again.
DATASET_TAG = "mesh/dataset"
VERSION_TAG = "mesh/slice_version"

# A file that changes while it is read fails its step once; the second try rejects it.
_RETRY = dg.RetryPolicy(max_retries=1, delay=2)

manifest_job = dg.define_asset_job(
    "manifest_job",
    selection=["drop_manifests"],
    description="Look into a dataset's folder and plan its slices.",
    op_retry_policy=_RETRY,
)
slice_job = dg.define_asset_job(
    "slice_job",
    selection=list(SLICE_ASSETS),
    description="Everything about one slice: read, chunk, embed, analyse, index, report.",
    op_retry_policy=_RETRY,
)
index_job = dg.define_asset_job(
    "index_job",
    selection=["vector_index", "fulltext_index", "slice_reports"],
    description="Bring the indexes of one slice, and what its report says of them, up to date from the lake.",
    op_retry_policy=_RETRY,
)
report_job = dg.define_asset_job(
    "report_job",
    selection=["dataset_reports", "dataset_statistics"],
    description="Write the report and the statistics of one dataset from what its slices found.",
    op_retry_policy=_RETRY,
)
JOBS = (manifest_job, slice_job, index_job, report_job)
