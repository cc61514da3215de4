import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.chunk_stage import insight_batches
from mesh_assets.insights.sampling import NumberSample
from mesh_assets.insights.slice_stage import slice_insight_batches
from mesh_assets.insights.topics import spherical_kmeans
from mesh_assets.schemas.insights import CHUNK_INSIGHTS, FINDING_SCORE, INSIGHTS
from mesh_assets.schemas.outcome import Outcome
from mesh_assets_tests.insights.chunk_rows import batches, chunk_rows, rows, slice_rows, vectors_of
from mesh_assets_tests.insights.log_scenarios import planted_log

GARDEN = (
    "Tomato plants need deep watering and rich garden soil in summer. "
    "Prune the tomato plants before the first frost comes. "
)
BANK = (
    "The central bank raised its interest rate to slow inflation. "
    "Higher interest rate decisions make bank loans expensive. "
)
CODE = '''"""Reads parcels.

More."""


class Parcel:
    """A parcel that the courier carries to the customer door."""

    # TODO weigh it
    x = 1
'''


def of_type(found: list[dict], kind: str) -> list[dict]:
    return [row for row in found if row["type"] == kind]


def prose() -> list[dict]:
    made = []
    for i in range(10):
        made += rows(f"garden{i}.md", GARDEN + f"Bed {i} is watered by hand on Mondays.\n", kind="text")
        made += rows(f"bank{i}.md", BANK + f"Branch {i} opened its new counter last year.\n", kind="text")
    return made


def test_every_chunk_gets_one_row_in_order_and_is_counted() -> None:
    made = prose()
    outcome = Outcome(total=len(made))
    out = list(insight_batches(batches(made, 7), outcome))
    assert [row["chunk_id"] for batch in out for row in batch.to_pylist()] == [row["chunk_id"] for row in made]
    assert all(batch.schema == CHUNK_INSIGHTS.schema for batch in out)
    assert outcome.done == len(made)
    assert outcome.bytes_in == sum(row["byte_stop"] - row["byte_start"] for row in made)


def test_insights_come_best_first_with_ids_of_their_own_and_scores_in_bounds() -> None:
    text, _ = planted_log(1, "error_burst", hours=6)
    found = slice_rows(prose() + rows("app.log", text, kind="log") + rows("a.py", CODE, kind="code", format="python"))
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    assert len({row["insight_id"] for row in found}) == len(found)
    assert all(0 <= row["score"] <= 1 and json.loads(row["value"]) is not None for row in found)
    assert found[0]["type"] == "log_incident"


def test_sizes_are_in_the_units_of_reports() -> None:
    found = slice_rows(rows("a.md", "A sentence of ten words " * 80_000, kind="text", size=100_000))
    said = " ".join(row["statement"] for row in found)
    assert "1.92 MB" in said and "MiB" not in said


def test_a_slice_without_chunks_has_no_insights() -> None:
    assert list(slice_insight_batches([], [], dataset="d", slice_key="d.000001", outcome=Outcome())) == []


def test_batching_changes_nothing() -> None:
    text, _ = planted_log(2, "new_template", hours=3)
    made = (
        prose()
        + rows("app.log", text, kind="log")
        + rows("t.csv", "a,b\n" + "1,x\n" * 90, kind="structured", format="csv")
    )
    assert chunk_rows(made, 3) == chunk_rows(made, 500)
    assert slice_rows(made, 3) == slice_rows(made, 500)


def test_the_schema_is_that_of_the_table() -> None:
    made = prose()
    aligned = [(b, next(iter(insight_batches([b], Outcome()))), vectors_of(b)) for b in batches(made, 6)]
    outcome = Outcome()
    out = list(slice_insight_batches(aligned, [], dataset="d", slice_key="d.000001", outcome=outcome))
    assert [batch.schema for batch in out] == [INSIGHTS.schema]
    assert outcome.done == len(made)


def test_topics_are_told_apart_and_named_by_their_phrases() -> None:
    topics = of_type(slice_rows(prose()), "topic")
    assert len(topics) == 2
    named = " | ".join(topic["title"] for topic in topics)
    assert "interest rate" in named and "garden soil" in named
    assert all(topic["evidence"] and 0.4 < json.loads(topic["value"])["share"] < 0.6 for topic in topics)


def test_the_summary_is_sentences_of_the_files_none_twice() -> None:
    made = prose()
    summary = of_type(slice_rows(made), "summary")
    assert 2 <= len(summary) <= 5
    texts = {row["path"]: row["text"].encode() for row in made}
    for row in summary:
        citation = row["evidence"][0]
        opened = texts[citation["path"]][citation["byte_start"] : citation["byte_stop"]].decode()
        assert opened == row["statement"] and opened.endswith(".")
    statements = [row["statement"] for row in summary]
    assert len(set(statements)) == len(statements)
    assert any("interest rate" in s for s in statements) and any("omato" in s for s in statements)


def test_logs_and_tables_have_no_summary() -> None:
    made = rows(
        "a.log", "2024-01-01 00:00:00 INFO The server has started and is waiting for requests now.\n" * 50, kind="log"
    )
    assert of_type(slice_rows(made), "summary") == []


def test_code_is_counted_and_its_docstrings_sum_it_up() -> None:
    found = slice_rows(rows("a.py", CODE, kind="code", format="python", size=10**6, symbol="Parcel"))
    assert of_type(found, "summary")[0]["statement"] == "A parcel that the courier carries to the customer door."
    said = " ".join(row["statement"] for row in of_type(found, "code_overview"))
    assert "1 file of code, 10 lines" in said and "1 class" in said and "1 place marked TODO" in said


def test_an_extreme_value_of_a_table_is_a_finding_that_cites_its_row() -> None:
    rng = np.random.default_rng(0)
    lines = [f"{i},{rng.normal(20, 3):.2f},{'red' if i % 3 else 'blue'}\n" for i in range(400)]
    lines[250] = "250,9000.00,red\n"
    text = "id,price,colour\n" + "".join(lines)
    found = slice_rows(rows("t.csv", text, kind="structured", format="csv", size=2000, context=""))
    outlier = of_type(found, "table_outlier")
    assert len(outlier) == 1 and outlier[0]["score"] >= FINDING_SCORE
    assert "price is 9,000" in outlier[0]["statement"]
    citation = outlier[0]["evidence"][0]
    assert text.encode()[citation["byte_start"] : citation["byte_stop"]] == b"250,9000.00,red"
    profile = json.loads(of_type(found, "table_profile")[0]["value"])
    columns = {column["name"]: column for column in profile["columns"]}
    assert profile["rows"] == 400 and columns["colour"]["top"]["red"] == 266


def test_a_header_with_a_zero_byte_is_read_like_any_other() -> None:
    text = "colour\0,price\n" + "red,1\nblue,2\n" * 5
    found = slice_rows(rows("t.csv", text, kind="structured", format="csv", size=2000, context=""))
    profile = json.loads(of_type(found, "table_profile")[0]["value"])
    assert [column["name"] for column in profile["columns"]] == ["colour\0", "price"]
    assert profile["columns"][0]["top"] == {"red": 5, "blue": 5}


@pytest.mark.parametrize("draw", ["normal", "exponential", "lognormal"])
def test_long_tails_are_no_outliers(draw: str) -> None:
    values = getattr(np.random.default_rng(3), draw)(size=3000)
    text = "v\n" + "".join(f"{value:.5f}\n" for value in values)
    assert of_type(slice_rows(rows("t.csv", text, kind="structured", format="csv")), "table_outlier") == []


def test_repeated_content_is_a_finding_only_where_it_is_large() -> None:
    few = [row for i in range(30) for row in rows(f"f{i}.md", f"{i} {GARDEN}", kind="text")]
    many = [row for i in range(30) for row in rows(f"f{i}.md", GARDEN, kind="text")]
    assert of_type(slice_rows(few), "duplicates") == []
    finding = of_type(slice_rows(many), "duplicates")[0]
    assert finding["score"] >= FINDING_SCORE and "30 times" in finding["statement"]
    assert len({citation["path"] for citation in finding["evidence"]}) == 2


def test_secrets_are_a_finding_that_does_not_show_them() -> None:
    made = rows("config.env", "AWS_KEY=AKIAIOSFODNN7EXAMPLE\nDB_PASSWORD=hunter2hunter2\n", kind="text")
    found = slice_rows(made + prose())
    finding = of_type(found, "secret")[0]
    assert finding["score"] >= 0.8 and "config.env" in finding["statement"]
    assert "AKIAIOSFODNN7EXAMPLE" not in str(found) and "hunter2" not in str(found)
    assert finding["evidence"][0]["byte_start"] == 8


def test_frequent_entities_are_listed_with_a_place_to_see_them() -> None:
    made = [
        row
        for i in range(5)
        for row in rows(f"m{i}.md", f"Mail {i} to ops@example.org, host db1.internal.\n", kind="text")
    ]
    listed = of_type(slice_rows(made), "entities")
    mail = next(row for row in listed if "e-mail" in row["title"])
    assert "ops@example.org (5)" in mail["statement"]
    assert mail["evidence"][0]["quote"] == "ops@example.org"


def test_nothing_ordinary_is_a_finding() -> None:
    assert [row for row in slice_rows(prose()) if row["score"] >= FINDING_SCORE and row["type"] != "duplicates"] == []


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=120),
            st.sampled_from(["log", "text", "code", "structured", "metric", "image"]),
            st.sampled_from(["csv", "tsv", "jsonl", "python", "plain", "log"]),
        ),
        max_size=6,
    )
)
def test_any_chunks_give_valid_insights(files: list[tuple[str, str, str]]) -> None:
    made = [
        row
        for i, (text, kind, form) in enumerate(files)
        for row in rows(f"f{i}", text.encode("utf-8", "replace").decode() * 3, kind=kind, format=form, size=60)
    ]
    assert len(chunk_rows(made)) == len(made)
    slice_rows(made)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_sample_of_numbers_is_fair_whatever_the_pieces(size: int) -> None:
    kept = []
    for seed in range(300):
        sample = NumberSample(10, seed=seed)
        for start in range(0, 100, size):
            sample.add(np.arange(start, min(start + size, 100), dtype=float))
        assert sample.seen == 100
        kept += sample.values.tolist()
    assert len(kept) == 3000
    assert abs(np.mean(kept) - 49.5) < 2


def test_without_vectors_topics_are_told_by_their_words_and_nothing_else_is_lost() -> None:
    text, _ = planted_log(1, "error_burst", hours=6)
    made = prose() + rows("app.log", text, kind="log") + rows("a.py", CODE, kind="code", format="python")
    types = {row["type"] for row in slice_rows(made)}
    assert {row["type"] for row in slice_rows(made, embedded=False)} == types
    topics = of_type(slice_rows(prose(), embedded=False), "topic")
    assert sorted("bank" in topic["statement"].split(", most clearly")[0] for topic in topics) == [False, True]


def test_kmeans_finds_what_is_apart_also_with_fewer_points_than_clusters() -> None:
    points = np.array([[1, 0], [0.99, 0.1], [0, 1], [0.1, 0.99]], np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    labels, _ = spherical_kmeans(points, clusters=2, seed=0)
    assert labels[0] == labels[1] != labels[2] == labels[3]
    labels, centres = spherical_kmeans(points[:1].repeat(5, axis=0), clusters=3, seed=0)
    assert set(labels) == {0} and len(centres) == 1


def test_the_overview_says_that_it_counts_what_is_read_out_of_files_and_not_the_files() -> None:
    made = [*rows("film.mp4", "Video, MP4, 90.5 s long.\n", kind="video"), *rows("a.md", GARDEN, kind="text")]
    whole, most = sorted(of_type(slice_rows(made), "overview"), key=lambda row: -row["score"])
    text = sum(row["byte_stop"] - row["byte_start"] for row in made)
    assert whole["statement"].startswith(f"{len(made)} chunks of 2 files, {text} B of text: ")
    assert most["statement"].startswith("Most text is in a.md (")
    assert json.loads(most["value"])["text_bytes_by_file"]["film.mp4"] == len("Video, MP4, 90.5 s long.\n")


def test_a_sentence_of_a_document_is_named_by_its_page() -> None:
    made = rows("book.pdf", GARDEN * 3, kind="text")
    for row in made:
        row["place"] = "page 3"
    assert {row["title"] for row in of_type(slice_rows(made), "summary")} >= {"book.pdf, page 3"}


@pytest.mark.parametrize("embedded", [True, False])
def test_a_secret_and_an_entity_are_cited_at_their_own_line_and_page(embedded: bool) -> None:
    text = "naïve\nhost\npassword=hunter2hunter2\nmail bo@example.com or bo@example.com\n"
    made = [*rows("a.env", text * 3, kind="text"), *rows("b.pdf", "x\nAKIAIOSFODNN7EXAMPLE\n", kind="text")]
    made[-1]["place"] = "page 7"
    found = slice_rows(made, embedded=embedded)
    (secrets,) = of_type(found, "secret")
    assert [(cited["line_start"], cited["place"]) for cited in secrets["evidence"]][:3] == [
        (3, None),
        (7, None),
        (11, None),
    ]
    assert secrets["evidence"][-1]["place"] == "page 7"
    (mails,) = (row for row in of_type(found, "entities") if "e-mail" in row["title"])
    assert mails["evidence"][0]["line_start"] == 4
