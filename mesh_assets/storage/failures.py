"""Errors as Dagster shows them: a failed step says in words what happened and what to do, before any traceback."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import dagster as dg

import mesh_assets
from mesh_assets.errors import (
    CitationError,
    CorruptTableError,
    KeyFormatError,
    MeshError,
    MissingUpstreamError,
    SettingsError,
)

P = ParamSpec("P")
T = TypeVar("T")

# A file that changes while it is read fails its step once; the second try rejects it.
RETRIES = 1
# What a second try two seconds later cannot mend.
_LASTING = (SettingsError, KeyFormatError, MissingUpstreamError, CorruptTableError, CitationError)
_PACKAGE = Path(mesh_assets.__file__).parent
_MEMORY_WORDS = ("can't allocate memory", "out of memory", "cannot allocate memory", "bad_alloc", "malloc of size")


@contextmanager
def in_words(attempt: int = RETRIES) -> Generator[None]:
    """Errors of the block become `dagster.Failure` with a description and a remedy; Dagster's own pass as they are.

    `attempt` counts from 0. The last one is not to be retried: Dagster would put "Exceeded max_retries" over the words.
    """
    may_pass = attempt < RETRIES
    try:
        yield
    except (dg.Failure, dg.RetryRequested, dg.DagsterError):
        raise
    except MeshError as error:
        # Without the chain: the words are the whole story, and a traceback below them would bury it.
        again = may_pass and not isinstance(error, _LASTING)
        raise _failure(error.message, error.remedy, allow_retries=again) from None
    except Exception as error:
        if is_out_of_memory(error):
            raise _failure(
                f"The memory that a run may use was not enough ({error or 'MemoryError'}).",
                "Raise MESH_MEMORY_GIB, or lower MESH_SLICE_MIB or MESH_EMBEDDING_BATCH, then run it again.",
                allow_retries=may_pass,
            ) from error
        raise _failure(
            f"This is a defect of the mesh, not of your data: {type(error).__name__}: {error} ({_place(error)}).",
            "Please report it with this text and the stack trace below; running it again may help if it was by chance.",
            allow_retries=may_pass,
        ) from error


def told_in_words(compute: Callable[P, T]) -> Callable[P, T]:
    """The body of an asset or check, with its errors told in words."""

    @wraps(compute)
    def body(*args: P.args, **kwargs: P.kwargs) -> T:
        contexts = [a for a in (*args, *kwargs.values()) if isinstance(a, dg.AssetExecutionContext)]
        with in_words(contexts[0].retry_number if contexts else RETRIES):
            return compute(*args, **kwargs)

    return body


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception is how Python, torch, Arrow or FAISS say that they got no memory."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _MEMORY_WORDS)


def _failure(message: str, remedy: str, *, allow_retries: bool) -> dg.Failure:
    return dg.Failure(
        f"{message} {remedy}",
        metadata={"what_happened": dg.MetadataValue.text(message), "what_to_do": dg.MetadataValue.text(remedy)},
        allow_retries=allow_retries,
    )


def _place(error: BaseException) -> str:
    """The innermost line of the mesh's own code, such as `chunks/text.py:33`."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    frame = (own or frames)[-1]
    path = Path(frame.filename)
    return f"{path.relative_to(_PACKAGE) if own else path.name}:{frame.lineno}"
