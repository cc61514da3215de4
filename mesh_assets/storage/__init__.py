"""The lake on disk: paths, atomic writes, footers, and the IO manager that joins them to Dagster."""
