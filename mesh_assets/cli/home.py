"""Where Dagster lives: DAGSTER_HOME is the clone, and `.env` says so to every process that is started there."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from dotenv import dotenv_values

from mesh_assets.cli.console import errors, safe
from mesh_assets.settings import PROJECT_ROOT

ENV_FILE = PROJECT_ROOT / ".env"
_INSTANCE = "dagster.yaml"


def dagster_environment() -> dict[str, str]:
    """The environment for Dagster's processes: `.env`, which is written where it is missing, then the real one."""
    if not ENV_FILE.exists():
        ENV_FILE.write_text(f"DAGSTER_HOME={PROJECT_ROOT}\nMESH_STATE=data/state\nMESH_DROPS=data/drops\n")
    values = {name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None}
    values |= os.environ
    home = Path(values.get("DAGSTER_HOME", ""))
    if not home.is_absolute() or not home.is_dir():  # the clone was moved since `.env` was written
        values["DAGSTER_HOME"] = str(PROJECT_ROOT)
    _complete(Path(values["DAGSTER_HOME"]))
    # Without compiled files each of Dagster's processes compiles everything again: a minute instead of seconds.
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    return values


def _complete(home: Path) -> None:
    """Give a home of the owner's the `dagster.yaml` of the clone where it has none: without it two runs of one slice
    may overlap, and telemetry is on.
    """
    if not (home / _INSTANCE).exists():
        with suppress(OSError):  # `mesh doctor` says what that means
            shutil.copyfile(PROJECT_ROOT / _INSTANCE, home / _INSTANCE)
            errors.print(f"{safe(str(home))} had no {_INSTANCE}: that of the clone was copied there.", markup=False)


def use_dagster_home() -> None:
    """Let this process open the same instance as the daemon."""
    os.environ["DAGSTER_HOME"] = dagster_environment()["DAGSTER_HOME"]
