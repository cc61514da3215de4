"""The two partitionings: datasets and slices. Keys are made and checked in `mesh_assets.slices`."""

import dagster as dg

SLICES_NAME = "slices"
DATASETS = dg.DynamicPartitionsDefinition(name="datasets")
SLICES = dg.DynamicPartitionsDefinition(name=SLICES_NAME)

# Edges between a slice and a dataset: custom mappings are dropped from the graph that the UI sees.
ACROSS_GRAINS = dg.AllPartitionMapping()
