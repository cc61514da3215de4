"""What a report says of the rows that it was made from."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta

import pytest

from mesh_assets.reports.answers import Answers
from mesh_assets.reports.model import SECTION_ENTRIES, TOP_FINDINGS_OF_A_TYPE, dataset_report, slice_report
from mesh_assets.reports.rendering import render
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.reports.samples import (
    START,
    batch,
    citation,
    facts,
    incident,
    of_dataset,
    of_slice,
    plain,
    rejects,
    section,
)


def test_a_finding_stands_out_with_its_time_and_evidence() -> None:
    report = of_slice(plain("topic", "Payments"), incident())
    (finding,) = section(report, "findings").entries
    assert report.findings == 1
    assert (finding.title, finding.time_start) == ("Burst of errors in app.log", START)
    assert finding.evidence == (citation(),)
    assert [entry.title for entry in section(report, "topics").entries] == ["Payments"]


def test_findings_are_ranked_by_score_and_one_sort_does_not_crowd_out_others() -> None:
    secrets = [plain("secret", f"Key {i}", score=0.95) for i in range(30)]
    report = of_slice(*secrets, incident(score=0.7))
    types = [entry.type for entry in section(report, "findings").entries]
    assert types == ["secret"] * TOP_FINDINGS_OF_A_TYPE + ["log_incident"]
    assert report.findings == 31
    rest = section(report, "others")
    assert len(rest.entries) == SECTION_ENTRIES
    assert len(rest.entries) + rest.more == 30 - TOP_FINDINGS_OF_A_TYPE


def test_an_insight_of_an_unknown_type_needs_no_line_here() -> None:
    report = of_slice(plain("clock_skew", "Two clocks disagree", pairs=312))
    (entry,) = section(report, "others").entries
    assert entry.values.figures == (("pairs", 312.0),)


def test_an_incident_across_a_slice_border_is_one() -> None:
    late = START + timedelta(minutes=21)
    report = of_dataset([incident()], [incident(start=late, score=0.8, statement="200 errors a minute instead of 3.")])
    (finding,) = section(report, "findings").entries
    assert report.findings == 1
    assert finding.slices == ("shop.000001", "shop.000002")
    assert (finding.time_start, finding.time_stop) == (START, late + timedelta(minutes=20))
    assert finding.statement.startswith("240")
    assert finding.note
    assert finding.values.series is not None
    assert len(finding.values.series.x) == 40


@pytest.mark.parametrize(
    "other",
    [
        incident(start=START + timedelta(hours=9)),
        incident(title="Silence of the scheduler", start=START + timedelta(minutes=21)),
    ],
)
def test_incidents_far_apart_or_of_another_name_stay_two(other: object) -> None:
    report = of_dataset([incident()], [other])  # type: ignore[list-item]
    assert report.findings == 2


def test_topics_of_alike_names_are_one_and_their_chunks_add_up() -> None:
    report = of_dataset(
        [plain("topic", "Refunds, payment, provider", chunks=10, share=0.5)],
        [plain("topic", "Payment provider, refunds", chunks=5, share=0.2), plain("topic", "Rollback", chunks=3)],
    )
    figures = {entry.title: dict(entry.values.figures) for entry in section(report, "topics").entries}
    assert len(figures) == 2
    assert {"chunks": 15.0} in [{"chunks": f["chunks"]} for f in figures.values()]


def test_overviews_add_up_and_sentences_about_one_slice_go() -> None:
    slices = [[plain("overview", "12 files", "12 files, mostly logs.", kinds={"log": 10, "text": 2})]] * 3
    (entry,) = section(of_dataset(*slices), "contents").entries
    assert entry.values.breakdowns[0].entries == (("log", 30.0), ("text", 6.0))
    assert "12" not in entry.title + entry.statement


def test_the_order_in_which_slices_arrive_does_not_matter() -> None:
    slices = {f"shop.{i:06d}": [incident(start=START + timedelta(hours=i)), plain("topic", f"T{i}")] for i in range(4)}
    batches = [batch(*insights, slice_key=key) for key, insights in slices.items()]
    whole = facts(*slices)
    assert dataset_report(whole, batches, {}) == dataset_report(whole, batches[::-1], {})


def test_rejects_are_grouped_by_reason_with_remedy_and_examples() -> None:
    listed = [Reject(f"img/{i}.png", "no chunker for image", "It is listed only.") for i in range(37)]
    report = slice_report(facts(), [], rejects(*listed, Reject("a.txt", "empty", "Nothing to do.", "0 bytes")))
    images, empty = section(report, "unread").unread
    assert (images.reason, images.count, images.remedy, len(images.examples)) == (
        "no chunker for image",
        37,
        "It is listed only.",
        3,
    )
    assert empty.examples == (("a.txt", "0 bytes"),)
    assert "38 parts could not be read" in report.lead


def test_a_slice_without_insights_still_reads_as_a_report() -> None:
    report = slice_report(facts(chunks=0), [], rejects(Reject("a.bin", "unknown format", "Remove it.")))
    rendered = render(report)
    for text in (rendered.markdown, rendered.html):
        assert "Nothing to report" in text
        assert "unknown format" in text
        assert "Remove it." in text


def test_how_it_was_made_names_engines_missing_slices_and_models_asked() -> None:
    whole = facts(engines=(("Embedding model", "all-MiniLM-L6-v2"),), not_done=("shop.000009",))
    made = section(slice_report(whole, [], {}), "made")
    assert ("Embedding model", "all-MiniLM-L6-v2") in made.facts
    assert ("Slices not done", "shop.000009") in made.facts
    assert "nothing left the machine" in made.lead
    asked = section(slice_report(facts(), [], {}, answers=Answers(models=("deepseek",))), "made").lead
    assert "deepseek answered questions" in asked
    assert "nothing left" not in asked


@pytest.mark.parametrize("type_", ["log_incident", "topic", "table_outlier", "entities"])
def test_ten_thousand_insights_stay_fast_and_small(type_: str) -> None:
    many = [plain(type_, f"Title {i} of {chr(97 + i % 26)}", score=i / 10_000, rows={"a": 1}) for i in range(10_000)]
    batches = [batch(*many[i : i + 100], slice_key=f"shop.{i // 100:06d}") for i in range(0, 10_000, 100)]
    started = time.process_time()
    rendered = render(dataset_report(facts(*(f"shop.{i:06d}" for i in range(100))), batches, {}))
    assert time.process_time() - started < 10
    assert len(rendered.html) < 200_000
    assert len(rendered.markdown) < 100_000


def test_a_dataset_lists_its_largest_communities_with_members_that_open() -> None:
    row = {"name": "red boat, hull", "size": 12, "files": 2, "members": ["a.py", "b.py"]}
    rows = [row | {"citations": [asdict(citation(path="a.py")), asdict(citation(path="b.py"))]}]
    rows += [{"name": f"community {n}", "size": 3, "files": 1, "members": ["c"], "citations": []} for n in range(14)]
    report = dataset_report(facts(), [batch()], {}, communities=rows)
    keys = [section.key for section in report.sections]
    assert keys.index("communities") == keys.index("made") - 1
    told = section(report, "communities")
    assert told.more == 5
    assert told.entries[0].title == "red boat, hull"
    assert told.entries[0].statement == "12 members, 2 files among them: a.py, b.py and 10 more."
    assert [each.path for each in told.entries[0].evidence] == ["a.py", "b.py"]
    assert all(each.key != "communities" for each in dataset_report(facts(), [batch()], {}).sections)
