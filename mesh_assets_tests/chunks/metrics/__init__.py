"""Tests of the chunkers of metrics that are no tables."""
