"""Words for sound and pictures, by models that are on this machine: transcripts and captions.

Models load once a process and only from folders: nothing is ever fetched. Which model is used is a setting of its
owner; without one, nothing here is called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.media.reading import one_line
from mesh_assets.errors import ModelError

if TYPE_CHECKING:
    from PIL.Image import Image

# What speech models hear, in samples a second.
SPEECH_RATE = 16_000
# Tokens of one caption: a sentence or two.
_CAPTION_TOKENS = 60
_REQUEST = "Describe this picture in one sentence."
_Pipeline = Callable[..., Any]


def model_folders(name: str) -> list[Path]:
    """Where the files of a model may lie: the folder itself, or that of its name in the cache of Hugging Face."""
    if not name:
        return []
    if (folder := Path(name).expanduser()).is_dir():
        return [folder.resolve()]
    from huggingface_hub import constants

    return [Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"]


def transcript(model: str, samples: NDArray[np.float32]) -> str:
    """What is said in up to 30 s of mono sound of 16,000 samples a second. ModelError where the model does not work."""
    answer = _asked(model, "automatic-speech-recognition", {"raw": samples, "sampling_rate": SPEECH_RATE})
    return one_line(str(cast("dict[str, object]", answer)["text"]))


def caption(model: str, image: Image) -> str:
    """What is seen in an RGB picture, in a sentence. ModelError where the model does not work."""
    chats = getattr(_pipeline(model, "image-text-to-text").processor, "chat_template", None)  # pyright: ignore[reportFunctionMemberAccess]
    more = {"generate_kwargs": {"max_new_tokens": _CAPTION_TOKENS, "do_sample": False}, "return_full_text": False}
    if chats:
        content = [{"type": "image", "image": image}, {"type": "text", "text": _REQUEST}]
        answer = _asked(model, "image-text-to-text", text=[{"role": "user", "content": content}], **more)
    else:
        answer = _asked(model, "image-text-to-text", images=image, text="", **more)
    return one_line(str(cast("list[dict[str, object]]", answer)[0]["generated_text"]))


def _asked(model: str, task: str, *given: object, **more: object) -> object:
    try:
        return _pipeline(model, task)(*given, **more)
    except ModelError:
        raise
    except Exception as error:  # whatever a library does with a model that does not fit is told to its owner
        raise _unusable(model, task, error) from error


@cache
def _load(model: str, task: str) -> _Pipeline | ModelError:
    """The pipeline, or why there is none: tried once, not for every file."""
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return cast("_Pipeline", pipeline(task, model=str(_snapshot(model)), device="cpu"))  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownVariableType]
    except Exception as error:  # noqa: BLE001  # as above
        return _unusable(model, task, error)


def _pipeline(model: str, task: str) -> _Pipeline:
    loaded = _load(model, task)
    if isinstance(loaded, ModelError):
        raise loaded
    return loaded


def _snapshot(model: str) -> Path:
    if (folder := Path(model).expanduser()).is_dir():
        return folder
    import huggingface_hub

    return Path(str(huggingface_hub.snapshot_download(model, local_files_only=True)))


def _unusable(model: str, task: str, error: Exception) -> ModelError:
    setting = "MESH_SPEECH_MODEL" if task.startswith("automatic") else "MESH_CAPTION_MODEL"
    said = one_line(f"{type(error).__name__}: {error}", 300)
    return ModelError(
        f"{setting}={model} does not work: {said}.",
        remedy=f"Set {setting} to a folder with a model of transformers for {task}, or to nothing; "
        "then `mesh backfill` with --stale.",
    )
