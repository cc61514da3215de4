"""Text in pictures, read by tesseract where it is installed.

Without it pictures are read as before, and nothing says so of each of them: `mesh doctor` and the README say it once.
A thousand rejects that all say "no tesseract" would hide those that a person can do something about file by file.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING

from mesh_assets.chunks.media.reading import clean

if TYPE_CHECKING:
    from PIL.Image import Image

PROGRAM = "tesseract"
# Seconds of wall time for one picture: a page of print takes about two on one core.
SECONDS = 120
# Smaller pictures have no line that can be read; larger ones are reduced to what 600 dpi give of a page of A4.
_LEAST_PIXELS, _MOST_PIXELS = 40, 7_000
_MOST_CHARACTERS = 200_000


@cache
def program() -> str | None:
    """Where tesseract is; None where it is not installed."""
    return shutil.which(PROGRAM)


@cache
def version() -> str:
    """`tesseract 5`, or nothing. Another one may read another text, and so is part of what a reading is made from."""
    found = program()
    if found is None:
        return ""
    said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    words = said.split()
    return f"{PROGRAM} {words[1].lstrip('v').split('.')[0]}" if len(words) > 1 else PROGRAM


def printed_text(image: Image) -> str:
    """The text in an RGB picture as lines; empty where there is none. TimeoutError where tesseract takes too long."""
    found = program()
    if found is None or min(image.size) < _LEAST_PIXELS:
        return ""
    if max(image.size) > _MOST_PIXELS:
        image = image.copy()
        image.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    written = io.BytesIO()
    image.convert("L").save(written, "PNG", compress_level=1)
    try:
        answer = subprocess.run(
            [found, "stdin", "stdout"],
            input=written.getvalue(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"tesseract took more than {SECONDS} s") from error
    # It refuses pictures that it finds too small or without lines: those have no text.
    lines = (" ".join(line.split()) for line in answer.stdout.decode("utf-8", "replace").splitlines())
    return clean("\n".join(line for line in lines if any(map(str.isalnum, line))), _MOST_CHARACTERS)
