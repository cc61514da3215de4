"""Cases that can wait are handed in as batches: half the price, asked once, and resumed whatever happens between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.ladder import Climb, climb, spent
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.research import Techniques
from mesh_assets.mesh.batch_desk import BatchDesk
from mesh_assets.mesh.batches import Batcher
from mesh_assets.mesh.protocol import Scope
from mesh_assets.mesh.shapes import Depth
from mesh_assets.resources.batch_log import SqliteBatchLog
from mesh_assets_tests.analyses.batches import BatchServer
from mesh_assets_tests.analyses.scripted import HELD, Ladder, always, answer, at, posed

SURE, UNSURE = always(answer(HELD)), always(answer(HELD, confidence=0.1))
CASES = [posed(number) for number in range(3)]


@dataclass
class Waiting:
    """A ladder whose nodes take batches, which one server answers."""

    ladder: Ladder
    server: BatchServer

    def climb(
        self, *cases: Posed, can_wait: bool = True, depth: Depth = "surface", before: object = ()
    ) -> list[Analysis]:
        log = SqliteBatchLog(self.ladder.folder / "batches.sqlite")
        desk = BatchDesk(Batcher(self.ladder.bench.caller, log), lambda node: self.server)
        run = Climb(self.ladder.means, (Scope("dataset", "shop"),), desk=desk, can_wait=can_wait)
        return climb(cases, before, depth, run)  # type: ignore[arg-type]


def waiting(folder: Path, server: BatchServer | None = None, **changes: object) -> Waiting:
    nodes = [(at(depth, has_batch=True), UNSURE) for depth in ("surface", "deep")]
    made: dict[str, object] = {"with_quotes": False, "techniques": Techniques(frozenset({"surface"}))}
    return Waiting(Ladder(folder, nodes, **(made | changes)), server or BatchServer(SURE))  # type: ignore[arg-type]


def test_cases_that_can_wait_are_handed_in_together_and_answered_for_half_the_price(tmp_path: Path) -> None:
    found = waiting(tmp_path)
    rows = found.climb(*CASES)
    assert all(row.waits and row.in_batch and row.state == "stopped" for row in rows)
    assert {row.failure for row in rows} == {"It waits in a batch of surface-node."}
    assert (len(found.server.taken), found.server.questions, found.ladder.spent()) == (1, 3, 0)
    found.server.is_ready = True
    rows = found.climb(*CASES)
    assert all(row.state == "settled" and row.has_answer and not row.waits for row in rows)
    assert all(receipt.billed.is_batch for receipt in found.ladder.bench.ledger.receipts())
    assert found.ladder.calls == 0
    (plain,) = waiting(tmp_path / "plain", techniques=Techniques()).climb(CASES[0], can_wait=False)
    assert spent(rows) == found.ladder.spent() == 3 * spent([plain]) / 2


@pytest.mark.parametrize("can_wait", [True, False])
def test_what_waits_in_a_batch_is_asked_by_nobody_else(tmp_path: Path, can_wait: bool) -> None:
    found = waiting(tmp_path)
    found.climb(*CASES[:2])
    rows = found.climb(*CASES, can_wait=can_wait)
    assert [row.in_batch for row in rows] == [True, True, can_wait]
    assert found.server.questions == 2 + can_wait
    assert (found.ladder.calls == 0) == can_wait


def test_a_run_that_is_killed_while_it_hands_in_is_resumed(tmp_path: Path) -> None:
    server = BatchServer(SURE, dies=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        waiting(tmp_path, server).climb(*CASES)
    server.dies = None
    found = waiting(tmp_path, server)
    assert all(row.in_batch for row in found.climb(*CASES))
    server.is_ready = True
    assert all(row.has_answer for row in found.climb(*CASES))
    assert server.questions == 3
    assert len(list(found.ladder.bench.ledger.receipts())) == 3


def test_what_expired_is_handed_in_again(tmp_path: Path) -> None:
    found = waiting(tmp_path, BatchServer(SURE, is_ready=True, expires=True))
    found.climb(*CASES)
    assert all(row.in_batch for row in found.climb(*CASES))
    assert (found.server.questions, found.ladder.spent()) == (6, 0)


def test_a_case_goes_deeper_only_once_its_answer_came(tmp_path: Path) -> None:
    found = waiting(tmp_path, BatchServer(UNSURE))
    case = CASES[0]
    for is_ready in (False, True):
        found.server.is_ready = is_ready
        surface = {row.case_id: row for row in found.climb(case)}
        deep = found.climb(case, depth="deep", before=[surface])
        assert [row.in_batch for row in deep] == [True] * is_ready
    assert surface[case.case.id].goes_to == "deep"
    assert deep[0].stands == "surface"


def test_a_node_without_batches_is_asked_at_once_and_where_money_lacks_nothing_is_sent(tmp_path: Path) -> None:
    found = waiting(tmp_path / "plain")
    found.ladder = Ladder(tmp_path / "other", [(at("surface"), SURE)], with_quotes=False)
    assert all(row.has_answer for row in found.climb(*CASES))
    poor = waiting(tmp_path / "poor", budgets="case 0")
    assert all(row.waits and "budget" in (row.failure or "") for row in poor.climb(*CASES))
    assert not poor.server.taken
