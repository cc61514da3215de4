"""A failed step says in words what happened and what to do."""

from __future__ import annotations

import dagster as dg
import pytest

from mesh_assets.errors import CorruptTableError, LakeError
from mesh_assets.storage.failures import in_words


def test_an_error_of_the_mesh_is_told_with_its_remedy_and_no_traceback_of_causes() -> None:
    with pytest.raises(dg.Failure) as failure, in_words(0):
        raise LakeError("The disk is full.", remedy="Make room.")
    assert failure.value.description == "The disk is full. Make room."
    assert failure.value.metadata["what_to_do"].value == "Make room."
    assert failure.value.allow_retries
    assert failure.value.__suppress_context__


@pytest.mark.parametrize(("attempt", "error"), [(0, CorruptTableError), (1, LakeError)])
def test_what_lasts_and_what_failed_twice_is_not_tried_again(attempt: int, error: type[LakeError]) -> None:
    with pytest.raises(dg.Failure) as failure, in_words(attempt):
        raise error("It is damaged.", remedy="Delete it.")
    assert not failure.value.allow_retries


def test_an_unexpected_exception_is_called_a_defect_and_says_where() -> None:
    with pytest.raises(dg.Failure) as failure, in_words():
        _ = {}["missing"]
    assert "defect of the mesh" in str(failure.value.description)
    assert "KeyError: 'missing'" in str(failure.value.description)
    assert "test_failures.py:" in str(failure.value.description)
    assert isinstance(failure.value.__cause__, KeyError)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")]
)
def test_memory_that_was_not_enough_names_the_settings(error: Exception) -> None:
    with pytest.raises(dg.Failure, match="MESH_MEMORY_GIB"), in_words():
        raise error


def test_what_dagster_itself_asks_for_passes() -> None:
    with pytest.raises(dg.RetryRequested), in_words():
        raise dg.RetryRequested
