"""Cases: a bounded number for each brief, about what was found, that stay while what they stand on does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mesh_assets.analyses.briefs import Brief, read_briefs
from mesh_assets.analyses.cases import Found, Slice, posed_cases
from mesh_assets.analyses.evidence import Piece
from mesh_assets.analyses.posed import Posed
from mesh_assets.errors import QueryError
from mesh_assets.insights.protocol import Insight
from mesh_assets.schemas.cases import CASES
from mesh_assets.schemas.citations import Citation
from mesh_assets.settings import SHIPPED_BRIEFS
from mesh_assets_tests.analyses.test_evidence import file_of

BRIEFS = {brief.name: brief for brief in read_briefs(SHIPPED_BRIEFS, SHIPPED_BRIEFS / "none")}
INCIDENTS = replace(BRIEFS["incidents"], cases=2, facts=())
NOON = datetime(2026, 11, 22, 12, 4, tzinfo=UTC)


@dataclass
class Texts:
    """A slice of some files, without vectors."""

    by_path: Mapping[str, list[Piece]]

    @property
    def _all(self) -> list[Piece]:
        pieces = [piece for path in sorted(self.by_path) for piece in self.by_path[path]]
        return [replace(piece, row=row) for row, piece in enumerate(pieces)]

    def cited(self, wanted: Mapping[int, Sequence[Citation]]) -> dict[int, list[int]]:
        return {
            key: [p.row for c in citations for p in self._all if _touches(p.citation, c)]
            for key, citations in wanted.items()
        }

    def nearest(self, rows: Mapping[int, Sequence[int]], count: int) -> dict[int, list[int]]:
        return {}

    def neighbours(self, rows: Sequence[int]) -> list[int]:
        known = {piece.row: piece.citation.path for piece in self._all}
        beside = {(row, near) for row in rows for near in (row - 1, row + 1)} - {(row, row) for row in rows}
        return sorted({near for row, near in beside if known.get(near) == known[row]} - set(rows))

    def pieces(self, rows: Sequence[int]) -> dict[int, Piece]:
        return {piece.row: piece for piece in self._all if piece.row in rows}

    def files(self, paths: Sequence[str]) -> dict[str, list[Piece]]:
        return {path: self.by_path.get(path, []) for path in paths}


@dataclass
class Statements:
    """A lake that knows what insights state, and nothing else."""

    found: Sequence[Found]

    def rows(self, query: str, *, limit: int) -> Sequence[Sequence[object]]:
        known = [each for each in self.found if f"'{each.insight_id}'" in query]
        if not known:
            raise QueryError("There is no such table.", remedy="None.")
        return [[known[0].insight.statement]]


def _touches(one: Citation, other: Citation) -> bool:
    return one.path == other.path and one.byte_start < other.byte_stop and one.byte_stop > other.byte_start


def incident(number: int, piece: Piece, *, score: float = 0.9, kind: str = "log", type_: str = "log_incident") -> Found:
    quoted = piece.citation
    insight = Insight(
        kind, type_, f"Burst {number}", f"{number} errors at once.", score, evidence=(quoted,), time_start=NOON
    )
    return Found(f"{number:032x}", insight)


def of(found: Sequence[Found], texts: Texts, *, tokens: int = 2000, private: bool = False) -> Slice:
    return Slice("shop", "shop.000000", tuple(found), texts, Statements(found), tokens, private)


LINES = [f"line {number}: something happened here\n" for number in range(12)]
LOG = file_of(*LINES, path="shop.log")
TEXTS = Texts({"shop.log": LOG})


def ids(cases: Sequence[Posed]) -> set[str]:
    return {each.case.id for each in cases}


def test_a_brief_has_a_case_for_each_of_its_best_findings_and_no_more() -> None:
    found = [incident(number, LOG[number], score=0.9 - number / 100) for number in range(6)]
    cases = posed_cases(of(found, TEXTS), [INCIDENTS])
    assert [each.title for each in cases] == ["Burst 0", "Burst 1"]
    assert cases[0].case.question.startswith("Burst 0: what happened")
    assert cases[0].case.evidence[0].text == LINES[0]
    assert cases[0].case.evidence[-1].query is not None
    assert (cases[0].time_start, cases[0].insight_id) == (NOON, found[0].insight_id)


def test_cases_are_rows_of_their_table_and_come_back_from_it() -> None:
    cases = posed_cases(of([incident(1, LOG[1])], TEXTS), [INCIDENTS])
    rows = CASES.batch([each.row() for each in cases]).to_pylist()
    assert [Posed.of(row) for row in rows] == cases


def test_what_is_below_the_least_score_or_of_another_kind_has_none() -> None:
    found = [incident(1, LOG[1], score=0.3), incident(2, LOG[2], kind="code"), incident(3, LOG[3], type_="topic")]
    assert not posed_cases(of(found, TEXTS), [INCIDENTS])


def test_evidence_stays_within_its_tokens() -> None:
    for tokens in (500, 1000, 3000):
        cases = posed_cases(of([incident(5, LOG[5])], TEXTS, tokens=tokens), [INCIDENTS])
        assert all(each.tokens <= tokens for each in cases)


def test_a_brief_for_a_slice_has_one_case_over_all_that_it_is_about() -> None:
    brief = replace(BRIEFS["documents"], facts=())
    notes = file_of("All is well.", "All is lost.", path="notes.md")
    texts = Texts({"notes.md": notes, "shop.log": LOG})
    found = [
        incident(1, notes[0], kind="text", type_="topic"),
        incident(2, notes[1], kind="mixed", type_="topic"),
        incident(3, LOG[0], kind="mixed", type_="topic"),
    ]
    [case] = posed_cases(of(found, texts), [brief])
    assert {each.text for each in case.case.evidence} >= {"All is well.", "All is lost."}


def test_a_private_slice_has_private_cases_of_the_same_ids() -> None:
    found = [incident(1, LOG[1])]
    [open_case], [private] = (posed_cases(of(found, TEXTS, private=flag), [INCIDENTS]) for flag in (False, True))
    assert private.case.private
    assert private.case.id == open_case.case.id


def test_a_case_stays_while_its_texts_do_wherever_they_stand() -> None:
    found = [incident(1, LOG[1])]
    before = posed_cases(of(found, TEXTS), [INCIDENTS])
    moved = file_of("a new line\n", "and one more\n" + LINES[0], LINES[1] + LINES[2], *LINES[3:], path="shop.log")
    after = posed_cases(of([incident(1, moved[2])], Texts({"shop.log": moved})), [INCIDENTS], before)
    assert ids(after) == ids(before)
    whole = "".join(piece.text for piece in moved)
    for each in after[0].case.evidence:
        if each.citation is not None:
            assert whole[each.citation.byte_start : each.citation.byte_stop] == each.text


def test_a_case_is_posed_anew_once_a_text_or_a_fact_of_it_changed() -> None:
    found = [incident(1, LOG[1])]
    before = posed_cases(of(found, TEXTS), [INCIDENTS])
    edited = file_of(LINES[0], "line 1: nothing happened here\n", *LINES[2:], path="shop.log")
    assert not ids(posed_cases(of([incident(1, edited[1])], Texts({"shop.log": edited})), [INCIDENTS], before)) & ids(
        before
    )
    grown = replace(found[0], insight=replace(found[0].insight, statement="7 errors at once."))
    assert not ids(posed_cases(of([grown], TEXTS), [INCIDENTS], before)) & ids(before)


def test_a_case_that_fell_behind_stays_while_it_is_among_twice_the_best() -> None:
    old = incident(0, LOG[0], score=0.6)
    before = posed_cases(of([old], TEXTS), [INCIDENTS])
    newer = [incident(number, LOG[number], score=0.9) for number in range(1, 8)]
    after = posed_cases(of([*newer[:3], old], TEXTS), [INCIDENTS], before)
    assert [each.title for each in after] == ["Burst 1", "Burst 2", "Burst 0"]
    assert "Burst 0" not in [each.title for each in posed_cases(of([*newer, old], TEXTS), [INCIDENTS], before)]


def test_another_version_of_a_brief_asks_anew() -> None:
    found = [incident(1, LOG[1])]
    before = posed_cases(of(found, TEXTS), [INCIDENTS])
    other: Brief = replace(INCIDENTS, question="{title}: who is to blame for what happened?")
    assert not ids(posed_cases(of(found, TEXTS), [other], before)) & ids(before)
    cheaper = replace(INCIDENTS, share=0.1, audience="nobody")
    assert ids(posed_cases(of(found, TEXTS), [cheaper], before)) == ids(before)


def test_a_fact_that_cannot_be_computed_is_left_out_and_told_of() -> None:
    slice_ = of([incident(1, LOG[1])], TEXTS)
    [case] = posed_cases(slice_, [replace(INCIDENTS, facts=("definitions",))])
    assert [each.label for each in case.case.evidence if each.query] == ["F1"]
    assert slice_.lacking == ["There is no such table."]
