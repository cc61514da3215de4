"""Many answers as one: said once with all that carries it, contradictions side by side, the heaviest first."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.synthesis import Standing, Topic, standing, synthesized
from mesh_assets.mesh.shapes import Claim, Depth
from mesh_assets.reports.answers import answers_of
from mesh_assets.schemas.citations import Citation
from mesh_assets_tests.analyses.scripted import posed


def cited(start: int) -> tuple[Citation, ...]:
    return (Citation("shop", "shop.log", start, start + 10, "0" * 32, 1, "quote"),)


def row(number: int, depth: Depth, *statements: str, confidence: float = 0.8, **changes: object) -> Analysis:
    case = posed(number)
    made = replace(
        Analysis.nothing(case, depth, calibration="none"),
        node="n",
        claims=tuple(Claim(each, cited(100 * number + at), ()) for at, each in enumerate(statements)),
        aspects=(None,) * len(statements),
        evidence=((),) * len(statements),
        confidence=confidence,
        stands=depth,
        state="settled",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def answers(*rows: Analysis, cases: int = 3) -> list[Standing]:
    return standing([Topic.of(posed(number)) for number in range(cases)], rows, {})


def test_the_answer_that_stands_may_be_an_earlier_one() -> None:
    early = row(0, "surface", "It was the report.", state="escalated", next_depth="deep")
    late = row(0, "deep", "It was the moon.", confidence=0.2, stands="surface", is_kept=True)
    (found,) = standing([Topic.of(posed(0))], [late, early], {posed(0).case.id: Decimal(2)})
    assert found.answer == early
    assert found.last == late
    assert found.usd == 2


def test_what_two_cases_say_is_said_once_with_the_grounds_of_both() -> None:
    found = synthesized(
        answers(
            row(0, "deep", "The nightly report locked the database."),
            row(1, "deep", "the nightly report locked the database"),
            row(2, "deep", "Orders were lost in the afternoon."),
        )
    )
    assert [len(each.claim.citations) for each in found.statements] == [2, 1]
    assert len(found.statements[0].said_by) == 2
    assert found.contradictions == ()


def test_what_contradicts_each_other_is_shown_side_by_side_and_nowhere_else() -> None:
    found = synthesized(
        answers(
            row(0, "deep", "The outage lasted 20 minutes in the shop."),
            row(1, "deep", "The outage lasted 45 minutes in the shop."),
        )
    )
    ((one, other),) = found.contradictions
    assert {one.claim.statement, other.claim.statement} == {
        "The outage lasted 20 minutes in the shop.",
        "The outage lasted 45 minutes in the shop.",
    }
    assert found.statements == ()


def test_the_surer_answer_of_the_weightier_case_comes_first_and_quotes_claim_nothing() -> None:
    quoted = row(2, "surface", "A sentence that was only quoted.", signals={"is_extracted": 1.0})
    found = answers(
        row(0, "deep", "The queue was full all night.", confidence=0.5),
        row(1, "deep", "A certificate had expired.", confidence=0.9),
        quoted,
    )
    assert [each.claim.statement for each in synthesized(found).statements] == [
        "A certificate had expired.",
        "The queue was full all night.",
    ]
    assert standing([Topic.of(posed(9))], [], {}) == []


def test_the_report_says_of_each_question_how_it_ended_and_promises_nothing_deeper_than_there_is() -> None:
    lead = answers_of(
        answers(
            row(0, "research", state="stopped", why="Confidence 0.1 of 0.9 needed, but nothing is deeper."),
            row(1, "deep", "It was the moon.", state="stopped", next_depth="expert", next_usd=Decimal("0.5")),
            row(2, "surface", state="stopped", node=None, stands=None, failure="No money.", why="No money."),
        )
    ).lead
    assert "Of 1 answer nothing could be traced to the evidence: not shown." in lead
    assert "1 question would go deeper for about $0.5000" in lead
    assert "1 question waits for a later run" in lead
    assert "1 question stayed unsure at the deepest that there is." in lead
