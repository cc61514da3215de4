"""Nodes that answer in this process: the extractive answerer, and a transformers model in a folder.

Nothing is fetched from a network. A model is loaded at its first question, once a process, and answers one at a time.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mesh_assets.errors import ModelError, NodeError
from mesh_assets.mesh.extractive import extract
from mesh_assets.mesh.prompts import system_words
from mesh_assets.mesh.protocol import Completion, Node, Request, Usage

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# A model answers one question at a time: side by side they would only share the same cores.
_GENERATING = threading.Lock()
_REMEDY = "Set `model` of the node in mesh.yaml to the folder of a transformers model for text generation."


class ExtractiveNode:
    """A Client that quotes: it needs no weights."""

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        """The quotes; NodeError where another form of answer is asked for."""
        return await asyncio.to_thread(extract, request)

    async def check(self, *, seconds: float) -> str:
        """It is always there."""
        return ""

    async def close(self) -> None:
        """Nothing is open."""


class LocalNode:
    """A Client over the transformers model in the folder `node.model`; ModelError where there is none."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        """The completion, within `seconds`; a call that is cancelled stops at its next token."""
        stop = threading.Event()
        until = time.monotonic() + seconds
        try:
            return await asyncio.to_thread(self._generate, request, lambda: stop.is_set() or time.monotonic() > until)
        finally:
            stop.set()

    async def check(self, *, seconds: float) -> str:
        """Empty where the folder holds a model; it is not loaded."""
        folder = Path(self._node.model).expanduser()
        return "" if (folder / "config.json").is_file() else f"there is no config.json in {folder}"

    async def close(self) -> None:
        """Nothing is open; the weights stay for the process."""

    def _generate(self, request: Request, is_over: Callable[[], bool]) -> Completion:
        tokenizer, model = _load(Path(self._node.model).expanduser().resolve())
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        class Over(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **_: object) -> Any:  # noqa: ANN401  # torch tensors
                return torch.full((len(input_ids),), is_over(), device=input_ids.device)

        prompt = _prompt(tokenizer, system_words(self._node, request), f"{request.stable}\n{request.asked}".strip())
        given = prompt.shape[1]
        window = cast("int | None", getattr(model.config, "max_position_embeddings", None)) or self._node.context_tokens
        if given + request.max_tokens > window:
            raise NodeError(
                f"{self._node.name} holds {window} tokens; the question has {given} and may be answered by "
                f"{request.max_tokens}.",
                remedy="Ask a node with a larger window, or about less evidence.",
                failure="refused",
            )
        with _GENERATING, torch.inference_mode():
            if is_over():
                raise self._late()
            generate = cast("Callable[..., torch.Tensor]", model.generate)
            tokens = generate(
                prompt.to(model.device),
                attention_mask=torch.ones_like(prompt, device=model.device),
                max_new_tokens=request.max_tokens,
                **_sampling(self._node, request),
                pad_token_id=tokenizer.eos_token_id,
                stopping_criteria=StoppingCriteriaList([Over()]),
            )[0, given:]
        ended = tokenizer.eos_token_id is not None and int(tokens[-1]) == tokenizer.eos_token_id
        if not ended and len(tokens) < request.max_tokens:
            raise self._late()
        text = str(tokenizer.decode(tokens, skip_special_tokens=True))
        return Completion(text, "stop" if ended else "length", Usage(input=given, output=len(tokens)))

    def _late(self) -> NodeError:
        return NodeError(
            f"{self._node.name} did not answer in time.",
            remedy="Raise `limits.seconds` of the node in mesh.yaml, lower `output_tokens`, or use a smaller model.",
            failure="timeout",
        )


def _sampling(node: Node, request: Request) -> dict[str, object]:
    """How the next token is taken: the likeliest, or by `temperature`. NodeError for a parameter that is not known."""
    unknown = set(request.parameters) - {"temperature"}
    if unknown:
        raise NodeError(
            f"{node.name} does not know {', '.join(sorted(unknown))}.",
            remedy="A model in this process takes the parameter `temperature` only.",
            failure="refused",
        )
    heat = float(request.parameters.get("temperature", 0))
    return {"do_sample": True, "temperature": heat} if heat > 0 else {"do_sample": False}


def _prompt(tokenizer: "PreTrainedTokenizerBase", system: str, user: str) -> Any:  # noqa: ANN401  # a torch.Tensor
    """Token ids, shape (1, n): by the model's chat template where it has one, else as plain text."""
    if tokenizer.chat_template:
        turns = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        said = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        return tokenizer(str(said), return_tensors="pt", add_special_tokens=False)["input_ids"]
    return tokenizer(f"{system}\n\n{user}\n\n", return_tensors="pt")["input_ids"]


@cache
def _load(folder: Path) -> "tuple[PreTrainedTokenizerBase, PreTrainedModel]":
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = cast(Any, AutoTokenizer).from_pretrained(str(folder), local_files_only=True)
        model = cast(Any, AutoModelForCausalLM).from_pretrained(str(folder), local_files_only=True, dtype="auto")
        model.to(device).eval()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError) as error:
        raise ModelError(f"The model in {folder} cannot be loaded: {error}.", remedy=_REMEDY) from error
    return tokenizer, model
