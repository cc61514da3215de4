"""What is told of names and failures: no name forges a line, and what was stopped is no failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from mesh_assets.cli import run_states
from mesh_assets.cli.console import safe, safe_lines
from mesh_assets.storage.run_tags import PARTITION_TAG


def test_a_name_is_one_line_and_steers_no_terminal() -> None:
    assert safe("a\nb\x1b[2J\tc\u202e\r") == "a\ufffdb\ufffd[2J\tc\ufffd\ufffd"
    assert safe_lines("a\nb\x1b") == "a\nb\ufffd"


@pytest.mark.parametrize(
    ("cls_name", "said"),
    [("DagsterExecutionInterruptedError", "was stopped while it was at work"), ("OSError", "no space left")],
)
def test_a_run_that_the_end_of_the_mesh_cut_off_says_so(cls_name: str, said: str) -> None:
    error = SimpleNamespace(cls_name=cls_name, message="no space left\n")
    data = SimpleNamespace(error=error, user_failure_data=None)
    event = SimpleNamespace(step_failure_data=data, step_key="chunk_relations")
    record = SimpleNamespace(event_log_entry=SimpleNamespace(dagster_event=event))
    found = SimpleNamespace(records=[record])
    instance: Any = SimpleNamespace(get_records_for_run=lambda *_, **__: found)
    run = dg.DagsterRun("slice_job", tags={PARTITION_TAG: "a.000000"})
    failed = run_states._failure(instance, run)  # pyright: ignore[reportPrivateUsage]
    assert (failed.slice, failed.step) == ("a.000000", "chunk_relations")
    assert said in failed.why
