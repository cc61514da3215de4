"""The `mesh` command in this process: what it prints and its status, without the seconds that a new process takes."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from mesh_assets.cli.main import app
from mesh_assets_tests.flow.location import Location


@dataclass(frozen=True)
class Printed:
    """What a call of the command wrote."""

    stdout: str
    stderr: str


def mesh(location: Location, *arguments: str, expect: int = 0) -> Printed:
    """Call the command as `mesh ARGUMENTS...` on a location; fails where its status is not `expect`."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("MESH_STATE", str(location.settings.state))
        patch.setenv("MESH_DROPS", str(location.settings.drops))
        patch.setenv("DAGSTER_HOME", str(location.folder / "dagster"))
        patch.setattr(sys, "argv", ["mesh", *arguments])
        with pytest.raises(SystemExit) as ended:
            app()
    assert (ended.value.code or 0) == expect, out.getvalue() + err.getvalue()
    return Printed(out.getvalue(), err.getvalue())
