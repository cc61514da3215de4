"""A model run by OpenVINO, the default on a CPU: 16-bit where the processor computes in it, converted once and kept.

    <cache>/<fingerprint>-<version>/    model.xml, model.bin, tokenizer.json, facts.json

With what is kept there neither torch nor transformers is imported, which saves a process four CPU-seconds. The
conversion goes through OpenVINO's PyTorch frontend itself: `openvino.convert_model` does the same and reports each use
to its maker over the network.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.atomic import staging, sweep_stagings
from mesh_assets.embeddings.model_files import fingerprint, load_torch

if TYPE_CHECKING:
    import openvino as ov
    from sentence_transformers import SentenceTransformer

# Of the conversion: another one is converted anew beside the old.
_VERSION = 1
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
# A text is padded to the next multiple of so many tokens and computed with texts of the same length only. So its
# vector is the same to the bit whatever is embedded with it, and the engine meets sixteen shapes rather than 256: it
# makes code for each shape. Without rounding, one text at a time, 10% slower; 5% slower with eight and padding.
_TOKEN_STEP = 16
# Texts computed at once, measured on texts of 122 tokens in the mean: 150 a CPU-second for 4, 8 and 16, 113 for one.
_BATCH = 8
# Converted and original must agree on texts of lengths that the conversion did not see.
_PROBES = ("A", "The pump failed because its bearing ran dry.", "Who moved my cheese, and when? " * 40)
_EXAMPLES = ("hello", "two texts of unequal length")
_LEAST_COSINE = 0.9999


class ConversionError(Exception):
    """The model cannot be run by OpenVINO; the text says why. Torch can run it all the same."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the runtime must know beside the graph: its inputs in order, and how texts become tokens."""

    inputs: list[str]
    window: int
    padding: int
    dimension: int


class OpenVinoEngine:
    """An engine of SentenceEncoder over the model in `folder`, by at most `threads` threads, each its own texts.

    `cache` is the folder of converted models; `precision` is `auto` (bf16 where the processor computes in it, else
    fp32), `fp32`, or `int8` (as `auto`, with weights of 8 bits: a quarter of their memory). ModelError where
    the model cannot be loaded at all, ConversionError where only OpenVINO cannot.
    """

    def __init__(self, folder: Path, *, cache: Path, threads: int, precision: str = "auto") -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import openvino as ov
        from tokenizers import Tokenizer

        core = ov.Core()
        capabilities = cast("list[str]", core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        bf16 = precision != "fp32" and "BF16" in capabilities
        place, self._facts = _converted(folder, cache)
        self._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
        model = core.read_model(place / "model.xml")
        if precision == "int8":
            _in_eight_bits(model)
        marks = self._tokenizer.encode("a").special_tokens_mask
        self._before = marks.index(0)
        self._after = len(marks) - self._before - 1  # a letter is one token
        self._queue = ov.AsyncInferQueue(_compiled(core, model, bf16, threads), threads)
        self._queue.set_callback(_store)
        self.name = f"OpenVINO {'bf16' if bf16 else 'fp32'}{', weights int8' if precision == 'int8' else ''}"

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        return self._facts.dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The model's vectors, shape (len(texts), dimension). RuntimeError where the engine gives up."""
        vectors = np.zeros((len(texts), self._facts.dimension), np.float32)
        by_length: dict[int, list[int]] = defaultdict(list)
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        for at, text in enumerate(encoded):
            by_length[min(-(-len(text.ids) // _TOKEN_STEP) * _TOKEN_STEP, self._facts.window)].append(at)
        for length, rows in sorted(by_length.items()):
            for start in range(0, len(rows), _BATCH):
                batch = rows[start : start + _BATCH]
                inputs = self._inputs([encoded[at] for at in batch], length)
                self._queue.start_async(inputs, (vectors, batch))
        self._queue.wait_all()
        return vectors

    @property
    def vocabulary(self) -> int:
        """Number of tokens that the model knows."""
        return self._tokenizer.get_vocab_size()

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text within the model's window, without those that only mark its ends."""
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        return [text.ids[self._before : len(text.ids) - self._after] for text in encoded]

    def encode_tokens(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The model's vector of each token as a text of its own, shape (len(tokens), dimension)."""
        around = self._tokenizer.encode("a")
        ids = np.tile(np.array(around.ids, np.int64), (len(tokens), 1))
        ids[:, self._before] = tokens
        arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        vectors = np.empty((len(tokens), self.dimension), np.float32)
        self._queue.start_async([arrays[name] for name in self._facts.inputs], (vectors, list(range(len(tokens)))))
        self._queue.wait_all()
        return vectors

    def _inputs(self, encoded: Sequence[Any], length: int) -> list[NDArray[np.int64]]:
        arrays = {name: np.zeros((len(encoded), length), np.int64) for name in _INPUTS}
        arrays["input_ids"] += self._facts.padding
        for row, text in enumerate(encoded):
            arrays["input_ids"][row, : len(text.ids)] = text.ids
            arrays["attention_mask"][row, : len(text.ids)] = 1
            arrays["token_type_ids"][row, : len(text.ids)] = text.type_ids
        return [arrays[name] for name in self._facts.inputs]


def _store(request: ov.InferRequest, target: tuple[NDArray[np.float32], list[int]]) -> None:
    vectors, rows = target
    vectors[rows] = request.get_output_tensor(0).data


def _compiled(core: ov.Core, model: ov.Model, bf16: bool, threads: int) -> ov.CompiledModel:
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        # Runs side by side would all pin themselves to the same first cores.
        "ENABLE_CPU_PINNING": False,
    }
    return core.compile_model(model, "CPU", settings)


def _in_eight_bits(model: ov.Model) -> None:
    """Replace the weights of each linear layer by 8 bits with one scale for each of its outputs, nothing calibrated.

    Activations of 8 bits as well would be a seventh faster; without NNCF's corrections their vectors had a cosine of
    .982 with the original.
    """
    from openvino import opset13

    operations = cast("Any", opset13)
    for node in cast("Sequence[Any]", model.get_ordered_ops()):
        if node.get_type_name() != "MatMul" or node.input_value(1).get_node().get_type_name() != "Constant":
            continue
        weights = np.asarray(node.input_value(1).get_node().data, np.float32)
        inputs = 1 if node.get_attributes()["transpose_b"] else 0
        scales = np.maximum(np.abs(weights).max(axis=inputs, keepdims=True) / 127, np.finfo(np.float32).tiny)
        rounded = operations.constant(np.round(weights / scales).astype(np.int8))
        restored = operations.multiply(operations.convert(rounded, "f32"), operations.constant(scales))
        node.input(1).replace_source_output(restored.output(0))


def _converted(folder: Path, cache: Path) -> tuple[Path, _Facts]:
    place = cache / f"{fingerprint(folder)}-{_VERSION}"
    facts = _kept(place)
    if facts is None:
        sweep_stagings(cache)
        with staging(cache / uuid.uuid4().hex) as made:
            facts = _convert(folder, made)
            shutil.rmtree(place, ignore_errors=True)  # what a lost disk left of an earlier one
            try:
                made.rename(place)
            except OSError:
                if _kept(place) is None:  # else another process was as fast
                    raise
    return place, facts


def _kept(place: Path) -> _Facts | None:
    """The facts of a whole conversion; None where there is none or a part is missing."""
    try:
        found = json.loads((place / "facts.json").read_text())
        sizes = cast("dict[str, int]", found.pop("sizes"))
        whole = all((place / name).stat().st_size == size for name, size in sizes.items())
        return _Facts(**found) if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _convert(folder: Path, place: Path) -> _Facts:
    """Write the model in `folder` to `place` as OpenVINO reads it, after a comparison of both."""
    import openvino as ov

    model = load_torch(folder, "cpu").eval()
    facts = _facts(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing: what they warn of is compared below
            converted = _traced(model, facts)
        _compare(model, _compiled(ov.Core(), converted, bf16=False, threads=1), facts)
        ov.save_model(converted, place / "model.xml", compress_to_fp16=False)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise ConversionError(f"OpenVINO cannot convert it: {str(error).strip().splitlines()[0]}") from error
    tokenizer = model.tokenizer.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.enable_truncation(facts.window)
    (place / "tokenizer.json").write_text(tokenizer.to_str())
    sizes = {path.name: path.stat().st_size for path in place.iterdir()}
    (place / "facts.json").write_text(json.dumps(asdict(facts) | {"sizes": sizes}))
    return facts


def _facts(model: SentenceTransformer) -> _Facts:
    """What `_convert` relies on; ConversionError where the model does more than tokens in, one vector out."""
    if not hasattr(model.tokenizer, "backend_tokenizer"):
        raise ConversionError("its tokenizer is none of the library `tokenizers`")
    if model.prompts.get(model.default_prompt_name or "", ""):
        raise ConversionError(f"it puts a prompt before each text ({model.default_prompt_name})")
    names = [name for name, value in model.preprocess(list(_EXAMPLES)).items() if hasattr(value, "shape")]
    dimension, window = model.get_embedding_dimension(), model.max_seq_length
    if not set(names) <= _INPUTS or not dimension or not window:
        raise ConversionError(f"it reads more than the tokens of a text, or names no window ({', '.join(names)})")
    return _Facts(names, int(window), int(model.tokenizer.pad_token_id or 0), dimension)


def _traced(model: SentenceTransformer, facts: _Facts) -> ov.Model:
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # pyright: ignore[reportMissingTypeStubs]

    class Pipeline(torch.nn.Module):
        """The whole model: tokens in, one vector a text out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return self.model(dict(zip(facts.inputs, inputs, strict=True)))["sentence_embedding"]

    example = model.preprocess(list(_EXAMPLES))
    with torch.no_grad():
        decoder = TorchScriptPythonDecoder(Pipeline(), example_input=tuple(example[name] for name in facts.inputs))
        frontend = cast("Any", FrontEndManager()).load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


def _compare(model: SentenceTransformer, compiled: ov.CompiledModel, facts: _Facts) -> None:
    tokens = model.preprocess(list(_PROBES))
    ours = cast("NDArray[np.float32]", compiled([tokens[name].numpy() for name in facts.inputs])[0])
    theirs = cast("NDArray[np.float32]", model.encode(list(_PROBES), show_progress_bar=False))
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = (ours * theirs).sum(axis=1) / lengths
    if not (cosines > _LEAST_COSINE).all():
        raise ConversionError(f"the converted model gives other vectors (cosine {cosines.min():.4f})")
