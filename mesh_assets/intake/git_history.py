"""How often each file of a dropped checkout of git was changed: read by git, with nothing of the checkout trusted.

A hostile checkout names programs in its settings and hooks; none of them is run: settings of the machine and hooks are
left out, and what the checkout's own settings might start is overridden. Where git is not there, or does not answer in
time, there is no history.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Commits that are looked back, and for how long; older habits say little of the code of today.
MAX_COMMITS, SECONDS = 5_000, 20.0
_MAX_OUTPUT = 64 << 20
_SAFE = ("core.fsmonitor=", "core.hooksPath=/dev/null", "core.pager=cat", "diff.external=", "core.attributesFile=")


@dataclass(frozen=True, slots=True)
class History:
    """`head` is the commit that the checkout is at, empty without one; `commits` how often each path was changed."""

    head: str = ""
    commits: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, folder: Path) -> History:
        """The history of the checkout that a folder is."""
        # A `.git` that is a file or a link leads out of the folder: what it leads to was not dropped.
        if not (folder / ".git").is_dir() or (folder / ".git").is_symlink():
            return cls()
        head = _git(folder, "rev-parse", "HEAD").strip()
        if not head:
            return cls()
        log = _git(
            *(folder, "log", f"--max-count={MAX_COMMITS}", "--no-merges", "--numstat", "--no-renames", "-z"),
            *("--no-ext-diff", "--no-textconv", "--format=", "HEAD"),
        )
        counts: Counter[str] = Counter()
        for entry in log.split("\0"):
            fields = entry.strip("\n").split("\t", 2)
            if len(fields) == 3:
                counts[fields[2]] += 1
        return cls(head, dict(counts))


def _git(folder: Path, *arguments: str) -> str:
    """What git says; nothing where it is not installed, fails, or is too slow."""
    git = shutil.which("git")
    if git is None:
        return ""
    settings = [part for setting in (*_SAFE, f"safe.directory={folder}") for part in ("-c", setting)]
    environment = {
        "PATH": os.defpath,
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_DIR": str(folder / ".git"),
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "",
    }
    try:
        done = subprocess.run(
            [git, *settings, "--no-pager", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[:_MAX_OUTPUT].decode("utf-8", "replace") if done.returncode == 0 else ""
