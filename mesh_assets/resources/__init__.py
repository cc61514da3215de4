"""Connections as Dagster resources, one a file, each with its embedded default."""
