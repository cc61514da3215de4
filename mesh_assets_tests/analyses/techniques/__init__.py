"""Tests of the research techniques, on scripted nodes."""
