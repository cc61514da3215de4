"""What tests of the ladder share: cases, nodes that answer as a script says, and a run over real files of money."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.ladder import Climb, Means, climb
from mesh_assets.analyses.offers import Thresholds
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.research import Techniques
from mesh_assets.analyses.signals import Calibrator, Uncalibrated
from mesh_assets.analyses.simulation import Simulator
from mesh_assets.mesh.calls import Policy
from mesh_assets.mesh.nodes import NodeState
from mesh_assets.mesh.prices import FREE
from mesh_assets.mesh.prompts import ANSWER_SCHEMA
from mesh_assets.mesh.protocol import Client, Completion, Node, Request, Scope, Usage
from mesh_assets.mesh.shapes import DEPTHS, Case, Depth, Evidence
from mesh_assets.resources.nodes import connect_client
from mesh_assets.schemas.analyses import ANALYSES
from mesh_assets.schemas.citations import Citation
from mesh_assets_tests.mesh.parts import Bench, bench, node

TEXT = (
    "12:04 ERROR the database is locked by the nightly report\n12:05 ERROR order failed, customer sees an error page\n"
)
HELD = {
    "statement": "The nightly report locked the database.",
    "citations": [{"label": "E1", "quote": "locked by the nightly report"}],
}
INVENTED = {"statement": "The disk was full.", "citations": [{"label": "E1", "quote": "no space left on device"}]}
Script = Callable[[Request], str]


def answer(*claims: Mapping[str, object], confidence: float = 0.9, text: str = "So it was.") -> str:
    """An answer in the mesh's form."""
    return json.dumps({"answer": text, "claims": list(claims), "confidence": confidence})


def always(text: str) -> Script:
    return lambda request: text


def at(depth: Depth, *, name: str = "", **changes: object) -> Node:
    """A node that serves one depth."""
    made: dict[str, object] = {"name": name or f"{depth}-node", "model": f"{depth}-model", "depths": (depth,)}
    return node("openai", **(made | changes))  # type: ignore[arg-type]


def posed(number: int = 0, **changes: object) -> Posed:
    """A case about a locked database."""
    citation = Citation("shop", "shop.log", 0, len(TEXT), "0" * 32, 1, TEXT)
    evidence = (Evidence("E1", TEXT, citation=citation),)
    case = Case("shop", f"What happened in the shop, {number}?", evidence, ANSWER_SCHEMA, slice="shop.000000")
    made = Posed(case, "incidents", "0" * 12, "on call", "log", f"Incident {number}", 0.3, 0.9, 0.5, 200)
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Scripted:
    """A Client that says what its script says, and remembers what it was asked."""

    script: Script
    asked: list[Request]

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        self.asked.append(request)
        return Completion(self.script(request), "stop", Usage(input=500, output=100))

    async def check(self, *, seconds: float) -> str:
        return ""

    async def close(self) -> None:
        pass


@dataclass
class Ladder:
    """Nodes by name with their scripts, and the money that they spend."""

    folder: Path
    scripts: Mapping[Node, Script] | Sequence[tuple[Node, Script]]
    budgets: str = "call 1; case 5"
    off: Sequence[NodeState] = ()
    with_quotes: bool = True
    simulator: Simulator | None = None
    calibrator: Calibrator = field(default_factory=Uncalibrated)
    techniques: Techniques = field(default_factory=Techniques)
    asked: dict[str, list[Request]] = field(default_factory=dict[str, list[Request]])

    def __post_init__(self) -> None:
        self.bench: Bench = bench(self.folder, budgets=self.budgets, policy=Policy(attempts=1))
        pairs = list(self.scripts.items() if isinstance(self.scripts, Mapping) else self.scripts)
        self.by_name = {node.name: script for node, script in pairs}
        self.nodes = {node.name: node for node, _ in pairs}
        if self.with_quotes:
            self.nodes["local"] = node("local", name="local", model="extractive", price=FREE)

    @property
    def means(self) -> Means:
        return Means(
            self.nodes,
            list(self.off),
            self.bench.caller,
            self._connect,
            self.bench.ledger.case_receipts,
            self.calibrator,
            Thresholds(),
            self.techniques,
        )

    def _connect(self, node: Node) -> Client:
        if node.name not in self.by_name:
            return connect_client(node)
        return Scripted(self.by_name[node.name], self.asked.setdefault(node.name, []))

    @property
    def calls(self) -> int:
        return sum(len(requests) for requests in self.asked.values())

    def run(self, *cases: Posed, run: str = "r1") -> list[dict[str, Analysis]]:
        """The rows of all depths by case; each is a row that its table takes, and read back from it."""
        tables: list[dict[str, Analysis]] = []
        for depth in DEPTHS:
            scopes = (Scope("run", run), Scope("dataset", "shop"))
            found = climb(cases, tables, depth, Climb(self.means, scopes, simulator=self.simulator))
            if found:
                rows = ANALYSES.batch([each.row() for each in found]).to_pylist()
                for row, each in zip(rows, found, strict=True):
                    again = replace(Analysis.of(row), receipts=each.receipts, usage=each.usage, waits=each.waits)
                    assert again == each
            tables.append({each.case_id: each for each in found})
        return tables

    def spent(self) -> Decimal:
        return self.bench.spent()
