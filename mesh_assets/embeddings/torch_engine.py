"""A model run by torch: in bfloat16 on a GPU, in float32 on a CPU where OpenVINO cannot run it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesh_assets.embeddings.model_files import REMEDY, load_torch
from mesh_assets.errors import ModelError

# What the drivers of GPUs that torch knows put there: NVIDIA's, NVIDIA's under Windows (WSL), AMD's.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def gpu_is_there() -> bool:
    """Whether torch sees a GPU. Torch, which takes seconds to import, is asked only where a driver is loaded."""
    if not any(Path(device).exists() for device in _GPU_DEVICES):
        return False
    import torch

    return torch.cuda.is_available()


class TorchEngine:
    """An engine of SentenceEncoder over the model in `folder`, on `device`.

    `batch` texts at a time on a GPU. On a CPU one, by `threads` threads, because a text's vector then does not depend
    on its neighbours; a GPU's batches change a last bit.
    """

    def __init__(self, folder: Path, *, device: str, batch: int, threads: int) -> None:
        self._folder = folder
        self._model = load_torch(folder, device)
        self._batch = batch if device == "cuda" else 1
        self._threads = threads
        self.name = f"torch {'bf16' if device == 'cuda' else 'fp32'} on {device}"
        if device == "cuda":
            self._model.bfloat16()

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise ModelError(f"The model in {self._folder} does not tell its dimension.", remedy=REMEDY)
        return dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The model's vectors, shape (len(texts), dimension); RuntimeError where torch or its memory gives up."""
        import torch

        torch.set_num_threads(self._threads)
        vectors = self._model.encode(
            list(texts), batch_size=self._batch, show_progress_bar=False, convert_to_tensor=True
        )
        return vectors.float().cpu().numpy()
