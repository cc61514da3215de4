"""The scan of signs: what is near the best is told, whatever the length, the rows and the query."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.indexes.sign_codes import BLOCK, PIECE, SignScan, code_bytes, packed


@settings(max_examples=80, deadline=None)
@given(
    dimension=st.sampled_from([1, 3, 8, 20, 64, 100, 384, 1024, 4096]),
    bounds=st.tuples(st.integers(0, 500), st.integers(1, 500)),
    wanted=st.integers(1, 600),
    seed=st.integers(0, 99),
)
def test_the_best_by_signs_are_told_with_their_products(
    dimension: int, bounds: tuple[int, int], wanted: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((1000, dimension)).astype(np.float32)
    query = generator.standard_normal(dimension).astype(np.float32)
    start, stop = bounds[0], bounds[0] + bounds[1]
    products, rows = SignScan(query).best(packed(values), start, stop, wanted)
    exact = np.where(values > 0, 1, -1) @ query
    assert len(set(rows.tolist())) == len(rows) == min(wanted, stop - start)
    assert rows.min() >= start
    assert rows.max() < stop
    # Each table of sixteen sums is rounded to steps of a 255th of what the widest of them spans.
    fours = np.abs(np.pad(query, (0, -dimension % 4))).reshape(-1, 4).sum(axis=1)
    near = 1.01 * len(fours) * fours.max() / 255
    np.testing.assert_allclose(products, exact[rows], atol=near)
    assert exact[rows].min() >= np.sort(exact[start:stop])[-len(rows)] - 2 * near


@pytest.mark.parametrize("number", [0, np.nan, np.inf, -np.inf, 1e30, 1e-30])
def test_a_query_that_says_nothing_finds_as_many(number: float) -> None:
    codes = packed(np.ones((100, 384), np.float32))
    products, rows = SignScan(np.full(384, number, np.float32)).best(codes, 3, 100, 10)
    assert rows.size == products.size == 10
    assert np.isfinite(products).all()


def test_memory_that_another_answer_left_behind_changes_nothing() -> None:
    """FAISS's other way to search took what the answer's memory held before for a bound."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((1000, 384)).astype(np.float32)
    query = generator.standard_normal(384).astype(np.float32)
    codes = packed(values)
    for wanted in (50, 10, 1):
        SignScan(query).best(codes, 0, 1000, 50)
        left = [np.full((1, wanted), np.finfo(np.float32).max) for _ in range(100)]
        del left
        assert len(SignScan(query).best(codes, 5, 6, wanted)[1]) == 1


def test_packing_in_parts_gives_the_same() -> None:
    values = np.random.default_rng(1).standard_normal((1000, 20))
    parts = [packed(values[first : first + 10 * BLOCK]) for first in range(0, 1000, 10 * BLOCK)]
    np.testing.assert_array_equal(np.concatenate(parts), packed(values))
    assert packed(values).shape == (-(-1000 // BLOCK), BLOCK * code_bytes(20))
    assert PIECE % BLOCK == 0
