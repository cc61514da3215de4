"""A hit's row comes from its place in the lake, whatever happens to the slice meanwhile."""

from __future__ import annotations

import threading
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_assets.errors import CorruptTableError
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.search.protocol import ChunkRow
from mesh_assets.storage import chunk_store
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.lake import Lake

KEY, OTHER = "d.000000", "d.000001"


def chunk_id(number: int) -> str:
    """Ids that are not in the order of their rows; every two share their first half."""
    return f"{number // 2 * 0x9E3779B97F4A7C15 % (1 << 64):016x}{number:016x}"


def row(number: int, text: str, slice_key: str) -> dict[str, object]:
    fixed: dict[str, object] = {"dataset": "d", "path": "a.txt", "kind": "text", "format": "plain", "context": ""}
    numbers = dict.fromkeys(("extent_start", "tokens", "byte_start", "byte_stop", "line_start", "line_stop"), number)
    hashed: dict[str, object] = {"chunk_id": chunk_id(number), "source_hash": "0" * 32}
    return fixed | numbers | hashed | {"slice": slice_key, "text": f"{text} {number}"}


def publish(lake: Lake, numbers: range, text: str = "text", slice_key: str = KEY) -> None:
    batches = [CHUNKS.batch([row(n, text, slice_key) for n in numbers])] if numbers else []
    produced = Produced(batches, Outcome(total=len(numbers), done=len(numbers)), "input")
    lake.publish("chunk_sets", slice_key, produced, version="1", run_id="run")


def texts(chunks: LakeChunks, wanted: dict[str, list[int]]) -> dict[int, str]:
    found = chunks.fetch({key: [chunk_id(n) for n in numbers] for key, numbers in wanted.items()})
    assert all(found_id == row.chunk_id for found_id, row in found.items())
    return {int(found_id[16:], 16): row.text for found_id, row in found.items()}


def test_rows_come_from_every_row_group_and_unknown_ids_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_assets.storage.lake._SMALL_ROW_GROUP_BYTES", 4096)
    lake = Lake(tmp_path)
    publish(lake, range(500))
    publish(lake, range(500, 520), slice_key=OTHER)
    publish(lake, range(0), slice_key="d.000002")
    assert pq.read_metadata(lake.path("chunk_sets", KEY)).num_row_groups > 10
    chunks = LakeChunks(lake)
    wanted = {KEY: [499, 0, 250, 251, 777], OTHER: [510, 0], "d.000002": [1], "d.000003": [2]}
    assert texts(chunks, wanted) == {n: f"text {n}" for n in (499, 0, 250, 251, 510)}
    assert chunks.fetch({KEY: ["", "no id", chunk_id(3).upper() + "x"]}) == {}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["text", "code"]),
                "symbol": st.none() | st.sampled_from(["", "a", "é"]),
                "context": st.sampled_from(["", "Title"]),
                "place": st.none() | st.just("page 1"),
                "source_hash": st.sampled_from(["0" * 32, "1" * 32]),
                "time_start": st.none() | st.just(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
                "time_stop": st.none() | st.just(datetime(1969, 1, 2, tzinfo=UTC)),
            }
        ),
        min_size=1,
        max_size=30,
    )
)
def test_rows_are_those_of_the_table_whatever_is_the_same_in_a_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: list[dict[str, object]]
) -> None:
    monkeypatch.setattr("mesh_assets.storage.lake._SMALL_ROW_GROUP_BYTES", 1024)
    lake = Lake(tmp_path)
    made = [row(number, "text", KEY) | values for number, values in enumerate(drawn)]
    produced = Produced([CHUNKS.batch(made)], Outcome(total=len(made), done=len(made)), "input")
    lake.publish("chunk_sets", KEY, produced, version="1", run_id="run")
    found = LakeChunks(lake).fetch({KEY: [chunk_id(number) for number in range(len(made))]})
    names = [field.name for field in fields(ChunkRow)]
    assert {each.chunk_id: asdict(each) for each in found.values()} == {
        each["chunk_id"]: {name: each[name] for name in names} for each in lake.read("chunk_sets", KEY).rows()
    }


def test_a_replaced_slice_is_read_as_it_is_now_and_a_deleted_one_is_gone(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, range(10))
    chunks = LakeChunks(lake)
    assert texts(chunks, {KEY: [3]}) == {3: "text 3"}
    publish(lake, range(3, 30), "edited")
    assert texts(chunks, {KEY: [0, 3, 29]}) == {3: "edited 3", 29: "edited 29"}
    lake.delete_slices("d", [KEY])
    assert texts(chunks, {KEY: [3]}) == {}
    held = [file.path for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path.resolve()))]
    assert not held, "what is open stays on the disk"


def test_readers_get_whole_rows_while_the_slice_is_replaced(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, range(200), "old")
    stop = threading.Event()

    def write() -> None:
        for turn in range(30):
            publish(lake, range(turn, 200 + turn), "new" if turn % 2 else "old")
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    chunks, reads = LakeChunks(lake), 0
    while not stop.is_set() or reads < 3:
        found = texts(chunks, {KEY: [100, 150, 199]})
        assert len({text.split()[0] for text in found.values()}) == 1
        assert found == {n: f"{found[100].split()[0]} {n}" for n in (100, 150, 199)}
        reads += 1
    writer.join()


def test_more_slices_than_tables_are_kept_open_are_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_store, "_OPEN_TABLES", 3)
    lake = Lake(tmp_path)
    keys = [f"d.{number:06d}" for number in range(8)]
    for number, key in enumerate(keys):
        publish(lake, range(number, number + 1), slice_key=key)
    chunks = LakeChunks(lake)
    for _ in range(2):
        assert len(texts(chunks, {key: [number] for number, key in enumerate(keys)})) == len(keys)


def test_a_damaged_table_is_an_error_in_words_until_it_is_made_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, range(10))
    chunks = LakeChunks(lake)
    lake.path("chunk_sets", KEY).write_bytes(b"no Parquet")
    with pytest.raises(CorruptTableError, match="materialize"):
        texts(chunks, {KEY: [3]})
    publish(lake, range(10))
    assert texts(chunks, {KEY: [3]}) == {3: "text 3"}
