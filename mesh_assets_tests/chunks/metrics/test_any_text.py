"""Whatever lines of metrics say, each byte is given once, by windows of any size, and the parsers never fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks import windows
from mesh_assets.chunks.metrics import influx, prometheus
from mesh_assets.chunks.metrics.samples import Line, Sample
from mesh_assets_tests.chunks.sources import checked, source

WORDS = [
    "# HELP up Whether.\n", "# TYPE up gauge\n", "# HELP up\n", "# EOF\n", "# a comment\n", "#", "\n", "\r\n", " ",
    "\t", "up 1\n", 'up{a="b"} 1 1700000000000\n', "up_sum 3\n", 'down{a="', '\\"', '"} ', '{"a.b"} 2\n',
    "up 1 99999999999999999\n", "cpu,host=a load=.5 1700000000\n", "cpu load=1i\n", 'cpu n="', "a\\ b x=t\n",
    "mem free=", "9", "é", "\ufeff", "\0", "😀", "x" * 200,
]  # fmt: skip
texts = st.lists(st.sampled_from(WORDS), max_size=60).map("".join)
FORMS = [("prometheus", prometheus.lines, prometheus.samples), ("influx", influx.lines, influx.samples)]


@pytest.mark.parametrize(("form", "lines", "samples"), FORMS)
@settings(max_examples=60, deadline=None)
@given(text=texts, size=st.integers(20, 400), tokens=st.sampled_from([16, 64, 256]))
def test_every_byte_is_given_once(
    form: str,
    lines: Callable[[str], Iterator[Line]],
    samples: Callable[[str], Iterator[Sample]],
    text: str,
    size: int,
    tokens: int,
) -> None:
    found = list(lines(text))
    assert [line.stop for line in found] == sorted({line.stop for line in found})
    assert (found[-1].stop if found else 0) == len(text)
    assert all(sample.name for sample in samples(text))
    given = source(text, "metric", form)
    checked(given, tokens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows.text_windows, "__kwdefaults__", {"size": size, "line_limit": 0})
        checked(given, tokens)
