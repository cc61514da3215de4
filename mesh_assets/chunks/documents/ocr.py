"""Text in pictures, by tesseract where it is installed. What is a picture of text belongs to who asks."""

from __future__ import annotations

import os
import shutil
import subprocess

# One page of small print takes tesseract some ten seconds.
_SECONDS = 120


def recognises() -> bool:
    """Whether tesseract is installed."""
    return shutil.which("tesseract") is not None


def recognised(picture: bytes) -> str:
    """The text in a PNG, paragraphs parted by a blank line; empty where none is found, or in two minutes."""
    environment = os.environ | {"OMP_THREAD_LIMIT": "1"}
    try:
        done = subprocess.run(
            ["tesseract", "stdin", "stdout"],
            input=picture, capture_output=True, timeout=_SECONDS, check=False, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode("utf-8", "replace").replace("\f", "").strip()
