"""A person's question: cases over what search found, climbed as far as is allowed, answered once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.asking import PIECES, asked_case, climbed, problem_id
from mesh_assets.analyses.ladder import Climb
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.research import Techniques
from mesh_assets.analyses.synthesis import Topic, standing, synthesized
from mesh_assets.mesh.protocol import Scope
from mesh_assets.mesh.shapes import Depth
from mesh_assets.reports.asked import asked_markdown
from mesh_assets.search.protocol import ChunkRow
from mesh_assets_tests.analyses.scripted import INVENTED, TEXT, Ladder, always, answer, at

QUESTION = "Why did the shop's orders fail?"
HELD = {
    "statement": "The nightly report locked the database.",
    "citations": [{"label": "E1", "quote": "locked by the nightly report"}],
}


def row(number: int, text: str, dataset: str = "shop") -> ChunkRow:
    return ChunkRow(
        f"{number:032x}", f"{dataset}.000000", dataset, f"{number}.log", "log", None, text, 0, len(text.encode()), 1, 2,
        "0" * 32,
    )  # fmt: skip


def case(*texts: str, private: bool = False, tokens: int = 2000) -> Posed:
    rows = [row(number, text) for number, text in enumerate(texts)]
    made = asked_case(QUESTION, rows, dataset="shop", tokens=tokens, private=["shop"] if private else [])
    assert made is not None
    return made


def climb_all(ladder: Ladder, posed: Posed, deepest: Depth = "research") -> list[Analysis]:
    run = Climb(ladder.means, (Scope("problem", "ask-1"),))
    return [row for _, rows in climbed([posed], run, deepest) for row in rows]


def test_a_case_holds_what_was_found_first_each_text_once_within_its_tokens() -> None:
    texts = [TEXT, TEXT, *(f"line {number} about something else {'word ' * 40}" for number in range(60))]
    made = case(*texts, tokens=1500)
    said = [each.text for each in made.case.evidence]
    assert said[0] == TEXT
    assert len(said) == len(set(said)) <= PIECES
    assert made.tokens <= 1500
    assert Posed.of(made.row()) == made


def test_nothing_found_is_no_case() -> None:
    assert asked_case(QUESTION, [], dataset=None, tokens=1000) is None


def test_the_same_question_has_one_name_and_is_paid_once(tmp_path: Path) -> None:
    assert problem_id("Why?  ", None) == problem_id("Why?", None) != problem_id("Why?", "shop")
    ladder = Ladder(tmp_path, {at("deep"): always(answer(HELD, confidence=0.95))})
    first, again = climb_all(ladder, case(TEXT)), climb_all(ladder, case(TEXT))
    assert ladder.calls == 1
    assert [each.text for each in again] == [each.text for each in first]


def test_it_goes_no_deeper_than_is_allowed(tmp_path: Path) -> None:
    unsure = always(answer(HELD, confidence=0.05))
    ladder = Ladder(tmp_path, {at("deep"): unsure, at("expert"): unsure})
    assert [row.depth for row in climb_all(ladder, case(TEXT), "surface")] == ["surface"]
    assert ladder.calls == 0
    assert [row.depth for row in climb_all(ladder, case(TEXT))] == ["surface", "deep", "expert"]


def test_a_private_dataset_is_shown_to_nobody_outside(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, {at("deep", policy="may-leave"): always(answer(HELD))})
    rows = climb_all(ladder, case(TEXT, private=True))
    assert ladder.calls == 0
    assert [row.node for row in rows] == ["local"]


def test_a_private_passage_that_is_no_evidence_keeps_nothing_here() -> None:
    rows = [row(0, TEXT), *(row(n, f"Line {n} of a diary. {'word ' * 40}", dataset="diary") for n in range(1, 40))]
    for tokens, is_private in ((150, False), (3000, True)):
        made = asked_case(QUESTION, rows, dataset=None, tokens=tokens, private=["diary"])
        assert made is not None
        assert made.case.private == is_private


def _report(ladder: Ladder, cases: Sequence[Posed], usd: str = "0.0125") -> str:
    run = Climb(ladder.means, ())
    rows = [row for _, found in climbed(cases, run, "research") for row in found]
    answers = standing(map(Topic.of, cases), rows, {cases[0].case.id: Decimal(usd)})
    return asked_markdown(QUESTION, "ask-1", answers, synthesized(answers))


def test_the_report_leads_each_claim_to_its_bytes_and_says_what_was_not_taken(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, {at("deep"): always(answer(HELD, INVENTED, confidence=0.95))})
    report = _report(ladder, [case(TEXT)])
    taken, _, rest = report.partition("## How")
    assert "The nightly report locked the database." in taken
    start = TEXT.index("locked by")
    assert f"mesh show shop/0.log:{start}-{start + len('locked by the nightly report')}@" in taken
    assert "The disk was full." not in taken
    assert "The disk was full." in rest
    assert "$0.0125" in rest


def test_the_report_shows_the_steps_of_a_technique_with_their_price(tmp_path: Path) -> None:
    techniques = Techniques(frozenset({"deep"}))
    ladder = Ladder(tmp_path, {at("deep"): always(answer(HELD, confidence=0.95))}, techniques=techniques)
    report = _report(ladder, [replace(case(TEXT), technique="self-consistency")])
    assert "By self-consistency, in 3 calls:" in report
    assert report.count("- attempt by deep-node, $0.0018") == 3


def test_a_hostile_answer_is_text_in_the_report(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> ![x](http://evil.example/p.png) [go](javascript:1)"
    claim = {"statement": evil, "citations": [{"label": "E1", "quote": "locked by the nightly report"}]}
    report = _report(Ladder(tmp_path, {at("deep"): always(answer(claim, confidence=0.95))}), [case(TEXT)])
    assert "\\<script" in report
    assert "![x](" not in report
    assert "[go](" not in report


def test_without_a_model_the_report_says_that_it_only_quotes(tmp_path: Path) -> None:
    report = _report(
        Ladder(tmp_path, {}), [case(TEXT + "The nightly report made the orders fail in the shop.\n")], usd="0"
    )
    assert "No model was asked." in report
    assert "uncalibrated" in report


def test_a_model_that_talked_nonsense_was_asked_all_the_same(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, {at("deep"): always("lorem ipsum")})
    report = _report(ladder, [case(TEXT + "The nightly report made the orders fail in the shop.\n")])
    assert "No model's answer stands." in report
    assert "No model was asked." not in report


def test_where_nothing_was_found_the_report_says_so() -> None:
    assert "Nothing that was read has to do with it." in asked_markdown(QUESTION, "ask-1", [], synthesized([]))
