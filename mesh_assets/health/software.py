"""Checks of what is installed: Python, packages against the ranges of pyproject.toml, Debian packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mesh_assets.health.findings import Finding

_INSTALL = "Run `make demo` or `make test` in the clone: both install what requirements.lock pins."
# Dagster's integrations are numbered beside it: 1.13.27 belongs to 0.29.27.
_INTEGRATION_OFFSET = 16
# Programs that something in the project uses: the Debian package of each, and what goes without it.
DEBIAN_PACKAGES: Mapping[str, tuple[str, str]] = {
    "chromium": ("chromium", "the browser tests, which skip without it"),
    "pg_ctlcluster": ("postgresql", "the tests of the ledger on a server, which skip without it"),
    "tesseract": ("tesseract-ocr", "text in pictures and scans, which are read without their text else"),
}


def python(version: str, wanted: str) -> Finding:
    """The interpreter against `requires-python`."""
    if Version(version) in SpecifierSet(wanted):
        return Finding("python", "ok", f"Python {version}")
    return Finding("python", "wrong", f"Python {version}, {wanted} is needed", "Make .venv with another one: PYTHON=.")


def packages(requirements: Sequence[str], installed: Callable[[str], str | None]) -> list[Finding]:
    """One finding for everything that fits, or one for each package that is missing or out of its range."""
    faults: list[Finding] = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            faults.append(Finding("packages", "wrong", f"pyproject.toml asks for {text!r}", "Correct that line."))
            continue
        found = installed(requirement.name)
        if found is None:
            faults.append(Finding("packages", "wrong", f"{requirement.name} is not installed", _INSTALL))
        elif not requirement.specifier.contains(found, prereleases=True):
            what = f"{requirement.name} {found} is installed, {requirement.specifier} is needed"
            faults.append(Finding("packages", "wrong", what, _INSTALL))
    return faults or [Finding("packages", "ok", f"all {len(requirements)} packages are in their ranges")]


def dagster_family(installed: Mapping[str, str]) -> Finding:
    """Dagster's packages must be of one release: of different ones, some start and fail at the first run."""
    core = Version(installed.get("dagster", "0"))
    beside = f"0.{core.minor + _INTEGRATION_OFFSET}.{core.micro}"
    odd = [f"{n} {v}" for n, v in sorted(installed.items()) if v not in (str(core), beside)]
    if odd:
        return Finding("dagster", "wrong", f"dagster is {core}, but there are {', '.join(odd)}", _INSTALL)
    return Finding("dagster", "ok", f"{len(installed)} packages of Dagster are all of {core}")


def debian(is_there: Callable[[str], bool]) -> list[Finding]:
    """What Debian can add. Nothing of it is needed to read drops."""
    return [
        Finding("debian", "ok", f"{name} is installed")
        if is_there(name)
        else Finding(
            "debian", "ok", f"{name} is not installed: optional, for {use}", f"sudo apt-get install -y {package}"
        )
        for name, (package, use) in DEBIAN_PACKAGES.items()
    ]
