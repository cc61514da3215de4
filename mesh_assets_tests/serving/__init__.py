"""Tests of the search page and its HTTP API."""
