"""Input for kill tests: real files, each dataset a different part of the standard library, large enough to be hit."""

from __future__ import annotations

import random
import sysconfig
from pathlib import Path

STDLIB = Path(sysconfig.get_paths()["stdlib"])


def fill(folder: Path, size: int, seed: int) -> None:
    """Copy modules, chosen by `seed`, as code and as text, and a log, until `folder` holds about `size` bytes."""
    chosen = random.Random(seed)
    modules = sorted(path for path in STDLIB.glob("*.py") if path.stat().st_size > 4000)
    chosen.shuffle(modules)
    folder.mkdir(parents=True)
    filled = 0
    for number, module in enumerate(modules):
        if filled >= size:
            break
        content = module.read_bytes()
        target = folder / (module.name if number % 2 else f"{module.stem}.txt")
        target.write_bytes(content)
        filled += len(content)
    lines = (f"2026-03-01 10:{n // 60 % 60:02d}:{n % 60:02d} INFO worker {seed} took job {n % 17}" for n in range(3000))
    (folder / "worker.log").write_text("\n".join(lines) + "\n")
