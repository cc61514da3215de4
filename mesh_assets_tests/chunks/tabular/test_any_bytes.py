"""Whatever the bytes, a reader gives pieces and rejects, or says in a SourceError what is wrong."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.errors import SourceError
from mesh_assets_tests.chunks.tabular.readings import cut
from mesh_assets_tests.chunks.tabular.test_columnar import arrow_file, arrow_stream, parquet
from mesh_assets_tests.chunks.tabular.test_workbooks import cells, ods, xlsx

TABLE = pa.table(
    {"id": range(50), "name": [f"name {n}" for n in range(50)], "at": pa.array(range(50), pa.timestamp("s"))}
)
GOOD = {
    "parquet": [parquet(TABLE)],
    "arrow": [arrow_file(TABLE), arrow_stream(TABLE)],
    "sqlite": [b"SQLite format 3\0"],
    "xlsx": [xlsx({"S": [["a", "b"], [1, "x"], [2, "y"]]})],
    "xls": [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x09\x08\x10\x00\x00\x06\x05\x00"],
    "ods": [ods(cells("a", "b"), cells(1, 2))],
    "xml": [b"<r><x><a>1</a></x><x><a>2</a></x></r>"],
}


@pytest.mark.parametrize("form", GOOD)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_bytes_do(form: str, data: st.DataObject) -> None:
    good = data.draw(st.sampled_from(GOOD[form]))
    at = data.draw(st.integers(0, len(good)))
    noise = data.draw(st.binary(max_size=60))
    how = data.draw(st.sampled_from(["cut", "overwrite", "insert", "noise"]))
    made = {
        "cut": good[:at],
        "overwrite": good[:at] + noise + good[at + len(noise) :],
        "insert": good[:at] + noise + good[at:],
        "noise": good[:8] + noise,
    }[how]
    try:
        cut(made, form, 64)
    except SourceError as error:
        assert error.reason and error.remedy
