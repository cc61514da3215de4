"""What logs say as a table, and each time that they say it: whatever the order of the chunks, and however many logs."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.insights import log_tables
from mesh_assets.insights.log_tables import BATCH_ROWS, COLUMNS, PLACE_COLUMNS, log_batches, log_counts
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import AttachedRows, Outcome
from mesh_assets_tests.chunks.sources import source
from mesh_assets_tests.insights.chunk_rows import batches, rows

NAMES = ("ann", "bob", "cid", "dan", "eve", "flo", "gus")
START = datetime(2024, 5, 3, 10, tzinfo=UTC)


def stamp(seconds: int) -> str:
    return f"{START + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"


def shop_log(seed: int = 1, count: int = 300) -> str:
    generator = random.Random(seed)
    said = (
        "INFO  [http-{n}] orders: order {n} created for user {name} in {n} ms",
        "ERROR [http-{n}] orders: order {n} failed\nTraceback:\n  at shop.py:17",
        "WARN  [pool-{n}] stock: stock of {name} is low",
        "INFO  [main] mail: mail of order {n} queued",
    )
    lines = (f"{stamp(n)} {generator.choice(said).format(n=n, name=generator.choice(NAMES))}\n" for n in range(count))
    return "".join(lines)


def tables_of(cut: list[pa.RecordBatch], slice_key: str = "d.000001") -> tuple[list[dict], list[dict], Counter[str]]:
    """Templates and events of a slice of these chunks, and what was counted."""
    outcome, attached, counts = Outcome(), AttachedRows(), log_counts()
    places, chunks = ([batch.select(columns) for batch in cut] for columns in (PLACE_COLUMNS, COLUMNS))
    made = log_batches(
        places, chunks, dataset="d", slice_key=slice_key, outcome=outcome, attached=attached, counts=counts
    )
    events = [row for batch in made for row in batch.to_pylist()]
    assert outcome.done == sum(batch.num_rows for batch in cut)
    return [row for batch in attached.take("log_templates") for row in batch.to_pylist()], events, counts


def templates_of(cut: list[pa.RecordBatch], slice_key: str = "d.000001") -> list[dict]:
    return tables_of(cut, slice_key)[0]


def events_of(cut: list[pa.RecordBatch]) -> list[dict]:
    return tables_of(cut)[1]


def chunks_of(files: dict[str, str], *, encoding: str = "utf-8", size: int = BATCH_ROWS) -> list[pa.RecordBatch]:
    """The chunks of logs, cut as any drop is, in batches of so many rows."""
    sources = (
        replace(source(text.encode(encoding), "log", encoding=encoding, path=path), dataset="d")
        for path, text in files.items()
    )
    made = chunk_batches(sources, slice_key="d.000001", chunk_tokens=64, outcome=Outcome())
    table = pa.Table.from_batches(list(made), CHUNKS.schema).combine_chunks()
    return table.to_batches(max_chunksize=size)


def test_each_record_is_an_event_with_its_time_level_source_and_bytes() -> None:
    text = f"{stamp(0)} INFO  [main] orders: order 1 created\n" + shop_log()
    found = events_of(chunks_of({"shop.log": text}))
    assert "".join(text[event["byte_start"] : event["byte_stop"]] for event in found) == text
    assert [event["time"] for event in found[1:]] == [START + timedelta(seconds=n) for n in range(300)]
    for event in found:
        record = text[event["byte_start"] : event["byte_stop"]]
        assert event["level"] == record.split()[2]
        assert f" {event['source']}: " in record
        assert event["template_id"]


def test_templates_say_how_often_they_were_said_and_from_when_to_when() -> None:
    cut = chunks_of({"shop.log": shop_log()})
    templates, events, counts = tables_of(cut)
    assert counts == {"logs": 1, "templates": 4, "events": len(events), "without_template": 0}
    assert {row["template"] for row in templates} == {
        "order <*> created for user <*> in <*> ms",
        "order <*> failed",
        "stock of <*> is low",
        "mail of order <*> queued",
    }
    assert sum(row["events"] for row in templates) == len(events)
    for row in templates:
        said = [event for event in events if event["template_id"] == row["template_id"]]
        assert row["events"] == len(said)
        assert row["level"] == Counter(event["level"] for event in said).most_common(1)[0][0]
        assert (row["time_start"], row["time_stop"]) == (said[0]["time"], said[-1]["time"])


def test_a_template_has_the_same_id_in_every_slice_and_another_in_another_log() -> None:
    first = templates_of(chunks_of({"shop.log.1": shop_log(1)}), "d.000001")
    second = templates_of(chunks_of({"shop.log": shop_log(2)}), "d.000002")
    other = templates_of(chunks_of({"cafe.log": shop_log(1)}), "d.000001")
    assert {row["template_id"] for row in first} == {row["template_id"] for row in second}
    assert {row["template_id"] for row in first}.isdisjoint(row["template_id"] for row in other)
    assert {row["log"] for row in (*first, *second)} == {"shop.log"}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=8), st.sampled_from([20, 64]), st.randoms(use_true_random=False))
def test_any_order_and_any_split_of_files_give_the_same_templates(
    parts: list[int], size: int, generator: random.Random
) -> None:
    first = {"shop.log": shop_log(9, 60)}  # so that each order shows the same layout
    files = [(f"shop.log.{n}", shop_log(seed, 40)) for n, seed in enumerate(parts, 1)]
    shuffled = generator.sample(files, len(files))
    whole = templates_of(chunks_of(first | dict(files)))
    assert _by_id(templates_of(chunks_of(first | dict(shuffled), size=size))) == _by_id(whole)


def _by_id(templates: list[dict]) -> list[dict]:
    return sorted(templates, key=lambda row: row["template_id"])


def test_each_of_many_logs_is_forgotten_once_it_was_read_and_has_its_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    made = chunks_of({f"jobs/{n:03}/output.log": free_text(n, 20) for n in range(100)}, size=64)
    monkeypatch.setattr(log_tables, "_SHAPES", 0)
    templates, events, counts = tables_of(made)
    assert counts == {"logs": 100, "templates": len(templates), "events": 100 * 20, "without_template": 0}
    assert len({event["template_id"] for event in events}) == 100 * 20


def free_text(log: int, count: int) -> str:
    """Lines of which no two have a word in common."""
    letters = str.maketrans("0123456789", "abcdefghij")
    words = ((f"{log}x{n}y{place}".translate(letters) for place in range(8)) for n in range(count))
    return "".join(f"{stamp(n)} INFO {' '.join(said)}\n" for n, said in enumerate(words))


def test_of_a_text_without_end_the_messages_that_come_again_have_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tables, "_SHAPES", 100)
    hostile = free_text(0, 3000).splitlines(keepends=True)
    said = [f"{stamp(n)} INFO login of {NAMES[n % 7]} was refused\n" for n in range(3000)]
    text = "".join(line for pair in zip(hostile, said, strict=True) for line in pair)
    _, events, counts = tables_of(chunks_of({"app.log": text}, size=200))
    assert counts["events"] == 6000
    assert 2000 < counts["without_template"] <= 3000
    logins = [event for event in events if b"login of" in text.encode()[event["byte_start"] : event["byte_stop"]]]
    assert len({event["template_id"] for event in logins}) == 1
    assert logins[0]["template_id"]


def test_logs_without_times_have_events_too() -> None:
    text = "".join(f"{'warning' if n % 9 else 'ERROR'}: disk {n} is full\n    see page {n}\n" for n in range(60))
    made = chunks_of({"disks.log": text})
    events = events_of(made)
    assert len(events) == 60
    assert "".join(text[event["byte_start"] : event["byte_stop"]] for event in events) == text
    assert {event["time"] for event in events} == {None}
    templates = templates_of(made)
    assert [row["events"] for row in templates] == [60]
    assert (templates[0]["time_start"], templates[0]["time_stop"]) == (None, None)


def test_json_lines_say_their_message_whatever_the_order_of_their_fields() -> None:
    lines = [
        f'{{"ts": "2024-05-03T10:00:{n:02}Z", "level": "warn", "logger": "db", "msg": "slow query {n}"}}\n'
        if n % 2
        else f'{{"msg": "slow query {n}", "logger": "db", "level": "warn", "ts": "2024-05-03T10:00:{n:02}Z"}}\n'
        for n in range(40)
    ]
    events = events_of(chunks_of({"app.jsonlog": "".join(lines)}))
    assert len(events) == 40
    assert {(event["source"], event["level"]) for event in events} == {("db", "WARN")}


def test_bytes_are_those_of_the_file_whatever_its_encoding() -> None:
    text = "".join(f"{stamp(n)} INFO café: déjà vu {n} — naïve\n" for n in range(50)).replace("—", "-")
    for encoding in ("utf-8", "latin-1", "utf-16-le"):
        content = text.encode(encoding)
        events = events_of(chunks_of({"app.log": text}, encoding=encoding))
        records = [content[event["byte_start"] : event["byte_stop"]].decode(encoding) for event in events]
        assert records == text.splitlines(keepends=True)


def test_no_secret_is_in_a_template() -> None:
    text = "".join(f"{stamp(n)} INFO login with password=hunterxyz of {NAMES[n % 7]} failed\n" for n in range(50))
    templates = templates_of(chunks_of({"app.log": text}))
    assert "hunterxyz" not in str(templates)


def test_a_slice_without_logs_has_neither() -> None:
    cut = batches(rows("a.txt", "No log.\n"))
    assert events_of(cut) == []
    assert events_of([]) == []


def test_a_line_in_json_that_is_no_text_is_an_event_like_any_other() -> None:
    half = '{"ts": "2024-05-03T10:00:00Z", "logger": "a\\ud800", "msg": "b\\ud800 failed"}\n'
    templates, events, _ = tables_of(chunks_of({"app.jsonlog": half * 20, "a\nb\x1fc.log": shop_log()}))
    assert {event["source"] for event in events if event["path"] == "app.jsonlog"} == {"a?"}
    assert {row["template"] for row in templates if row["log"] == "app.jsonlog"} == {"a? b? failed"}
    assert all(event["template_id"] for event in events)
