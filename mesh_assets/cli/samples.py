"""The sample datasets: real files that ship with the project or that every Python has, under 1 MB of text."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from mesh_assets.intake.incoming import bring_in
from mesh_assets.settings import PROJECT_ROOT, Settings

SAMPLES = PROJECT_ROOT / "data" / "samples"
SAMPLE_DATASETS = ("mesh-project", "python-stdlib", "shop-service")
SEARCHES = (
    "database is locked",
    "buyers could not check out",
    "wait for several coroutines to finish",
)
# Parts of this project and of the standard library that are small enough to be read in a minute or two.
OWN_PARTS = ("intake", "schemas")
STDLIB_PACKAGES = ("json", "sqlite3", "concurrent/futures")
STDLIB_MODULES = ("asyncio/tasks.py", "asyncio/locks.py", "queue.py", "sched.py", "csv.py")


def drop_samples(settings: Settings) -> int:
    """Bring the samples into the drop area; how many files were new. Doing it twice brings none."""
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    sources: list[tuple[str, Path, str]] = [
        *(("mesh-project", PROJECT_ROOT / "mesh_assets" / name, f"mesh_assets/{name}") for name in OWN_PARTS),
        ("mesh-project", PROJECT_ROOT / "README.md", ""),
        ("shop-service", SAMPLES / "shop-service", ""),
        *(("python-stdlib", stdlib / name, name) for name in STDLIB_PACKAGES),
        *(("python-stdlib", stdlib / name, str(Path(name).parent)) for name in STDLIB_MODULES),
    ]
    new = 0
    for dataset, source, below in sources:
        new += bring_in(
            source, f"{dataset}/{below}", settings.drops, progress=lambda _: None, skip=("__pycache__",)
        ).copied
    return new
