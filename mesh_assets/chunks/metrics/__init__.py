"""Metrics that are not tables: how each format writes its samples, and how they become chunks."""
