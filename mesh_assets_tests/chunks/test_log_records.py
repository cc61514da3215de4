"""Log text becomes records: an event stays one with its stack trace, and its level is found where it stands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.log_records import level_of
from mesh_assets_tests.chunks.records import records_of

JAVA = """2026-11-22 10:42:01,123 [main] INFO  App - starting
2026-11-22 10:42:02,000 [main] ERROR App - failed
java.lang.IllegalStateException: naïve
\tat App.run(App.java:10)
Caused by: java.io.IOException: disk
\t... 3 more
2026-11-22 10:42:03,000 [main] WARN  App - retrying
"""
PYTHON = """INFO:root:starting
ERROR:root:failed
Traceback (most recent call last):
  File "app.py", line 3, in <module>
    run()
ValueError: no
INFO:root:done
"""


def test_a_stack_trace_belongs_to_its_event() -> None:
    records = list(records_of(JAVA))
    assert [(record.level, record.line_start) for record in records] == [("INFO", 1), ("ERROR", 2), ("WARN", 7)]
    assert records[1].time == datetime(2026, 11, 22, 10, 42, 2, tzinfo=UTC)
    assert records[1].record.message == "[main] ERROR App - failed"
    assert records[1].text.endswith("... 3 more\n")


def test_offsets_open_the_record() -> None:
    for record in records_of(JAVA):
        assert JAVA.encode()[record.byte_start :].decode().startswith(record.text)


def test_without_timestamps_a_python_traceback_still_belongs_to_its_event() -> None:
    records = list(records_of(PYTHON))
    assert [record.level for record in records] == ["INFO", "ERROR", "INFO"]
    assert records[1].text.endswith("ValueError: no\n")


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("[Sun Nov 22 10:42:01 2026] [error] denied", "ERROR"),
        ("[Sun Nov 22 10:42:01 2026] [core:warn] [pid 3] slow", "WARN"),
        ("2026-11-22T10:42:01Z WARNING disk 91%", "WARN"),
        ('{"time":"2026-11-22T10:42:01Z","level":"fatal","msg":"x"}', "FATAL"),
        ("ts=2026-11-22T10:42:01Z level=debug msg=x", "DEBUG"),
        ('1.2.3.4 - - [22/Nov/2026:10:42:01 +0000] "GET /ERROR HTTP/1.1" 503 12 "-" "-"', "ERROR"),
        ('1.2.3.4 - - [22/Nov/2026:10:42:01 +0000] "GET /ERROR HTTP/1.1" 404 12', "WARN"),
        ('1.2.3.4 - - [22/Nov/2026:10:42:01 +0000] "GET /ERROR HTTP/1.1" 200 12', None),
        ("03-17 16:13:38.811  1702  2395 E WindowManager: x", "ERROR"),
        ("Nov 22 10:42:01 host app: no errors were found", None),
        ("Nov 22 10:42:01 host app: emergency exit is open", None),
    ],
)
def test_levels(line: str, level: str | None) -> None:
    assert [record.level for record in records_of(line)] == [level]


def test_a_level_far_inside_a_message_is_prose() -> None:
    assert level_of("x" * 300 + " ERROR ") is None


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "2026-11-22 10:42:01 ERROR é\n",
                "\tat x\n",
                "Traceback (most recent call last):\n",
                "E: x\r\n",
                "\n",
                "  \r",
                "€",
            ]
        ),
        max_size=20,
    )
)
def test_records_are_all_of_the_text(parts: list[str]) -> None:
    text = "".join(parts)
    records = list(records_of(text))
    assert "".join(record.text for record in records) == text
