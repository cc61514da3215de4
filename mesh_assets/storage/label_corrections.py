"""Corrections of labels, a line each: `<state>/labels/corrections.jsonl`. A later word on a chunk replaces an earlier.

The vector is kept with the word, for the chunk may change or go. One of another model teaches nothing and is left out.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import numpy as np

from mesh_assets.atomic import replacing
from mesh_assets.errors import SettingsError
from mesh_assets.insights.corrections import Correction
from mesh_assets.insights.labels import Vectors


def _file(state: Path) -> Path:
    return state / "labels" / "corrections.jsonl"


def add_correction(state: Path, *, chunk_id: str, dataset: str, model: str, correction: Correction) -> None:
    """Keep a word on the chunk. One write of one line, so that two at once do not mix."""
    row = {
        "chunk_id": chunk_id,
        "dataset": dataset,
        "label_set": correction.label_set,
        "label": correction.label,
        "model": model,
        "vector": base64.b64encode(correction.vector.astype(np.float16).tobytes()).decode(),
    }
    path = _file(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, json.dumps(row).encode() + b"\n")
    finally:
        os.close(handle)


def corrections_of(state: Path, model: str) -> list[Correction]:
    """The last word on each chunk and label set, in the order of the ids; SettingsError for a line that is none."""
    path = _file(state)
    if not path.exists():
        return []
    found: dict[tuple[str, str], Correction] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            vector: Vectors = np.frombuffer(base64.b64decode(row["vector"]), np.float16).astype(np.float32)
            if row["model"] == model:
                found[row["chunk_id"], row["label_set"]] = Correction(row["label_set"], row["label"], vector)
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"Line {number} of {path} is no correction: {error}.", remedy="Remove that line."
            ) from error
    return [found[key] for key in sorted(found)]


def forget_corrections(state: Path, dataset: str) -> None:
    """Take the words on chunks of a dataset away."""
    path = _file(state)
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if _dataset(line) != dataset]
    if len(kept) < len(lines):
        with replacing(path, "forget") as beside:
            beside.write_text("".join(kept), encoding="utf-8")


def _dataset(line: str) -> object:
    try:
        return json.loads(line)["dataset"]
    except (ValueError, KeyError, TypeError):
        return None  # a line that is no correction holds back nothing else
