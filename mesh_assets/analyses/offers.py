"""Who is asked a case at a depth and for how much: nodes that serve it, money that is left, answers that are there.

Nothing is called here. What each node would make of a case and how money is spread belongs to `mesh.routing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from mesh_assets.analyses.analysis import ANSWER_TOKENS, Analysis, Asked, Next
from mesh_assets.analyses.evidence import prompt_tokens
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.research import (
    CaseTechnique,
    Speaker,
    Techniques,
    likely_usd,
    speakers_of,
    task_of,
)
from mesh_assets.analyses.techniques.asking import Technique
from mesh_assets.analyses.techniques.choice import Task, Worst, choose_technique, fitting
from mesh_assets.mesh.calls import Caller, Question
from mesh_assets.mesh.costs import cost_of, usd, worst_case
from mesh_assets.mesh.execution import Work
from mesh_assets.mesh.nodes import EXTRACTIVE, NodeState
from mesh_assets.mesh.protocol import Node, Request, Scope, Usage
from mesh_assets.mesh.routing.choice import Candidate, OpenCase, barred, choose
from mesh_assets.mesh.routing.complexity import expected_quality
from mesh_assets.mesh.shapes import DEPTHS, Depth
from mesh_assets.mesh.validation import Checked

# What a budget without a limit is to a choice, in USD.
_NO_LIMIT = Decimal(1_000_000)
# System words, schema and marks of a prompt, in tokens.
_AROUND_TOKENS = 1_000
# Part of the tokens that an answer may have which one likely has: an assumption.
LIKELY_OUTPUT = Decimal("0.3")
# Quotes compose nothing: any model is expected to do better, an assumption.
_EXTRACTED_QUALITY = 0.4
# The part of what one call of a node gets wrong that a technique is expected to mend: an assumption.
_MENDED = 0.1
# Where the first node gives nothing, so many others are asked.
_OTHERS = 2


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Confidence below which a case goes on from a depth: from surface to deep, to expert, to research."""

    deep: float = 0.7
    expert: float = 0.8
    research: float = 0.9

    def of(self, depth: Depth) -> float:
        """The confidence at which a case is settled at `depth`; at the last one that of the step before it."""
        return {"surface": self.deep, "deep": self.expert}.get(depth, self.research)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A node that may answer a case, by one call or by a technique: the most that this costs, and whether its answer
    is there from before. `why` says what was thought of techniques.
    """

    node: Node
    request: Request
    cost: Decimal
    quality: float
    is_kept: bool
    way: CaseTechnique | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """What the choice calls it."""
        return self.node.name if self.way is None else f"{self.node.name} by {self.way.technique}"


# USD left for several calls, and for one; None where nothing limits them.
_Left = tuple[Decimal | None, Decimal | None]


class Offers:
    """The nodes of one depth for its cases, with what came of the choice."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        off: Sequence[NodeState],
        caller: Caller,
        depth: Depth,
        scopes: tuple[Scope, ...],
        techniques: Techniques,
        checked: Callable[[Posed, Mapping[str, object]], Checked],
    ) -> None:
        self._nodes = nodes
        self._off = off
        self._caller = caller
        self._depth: Depth = depth
        self._scopes = scopes
        self._techniques = techniques
        self._checked = checked
        self._why: dict[str, str] = {}
        self._lack: dict[str, str] = {}
        self._lacks_money: set[str] = set()
        self._ways: dict[str, CaseTechnique | None] = {}

    def why(self, case_id: str) -> str:
        """Why the node was asked that was asked first."""
        return self._why.get(case_id, "")

    def way(self, case_id: str) -> CaseTechnique | None:
        """The technique by which it was asked; None for one call."""
        return self._ways.get(case_id)

    def lack(self, case_id: str) -> str:
        """Why no node was asked."""
        return self._lack.get(case_id, "")

    def lacks_money(self, case_id: str) -> bool:
        """Whether that is for money alone."""
        return case_id in self._lacks_money

    def work(self, cases: Sequence[Asked]) -> list[Work]:
        """What is asked now of cases that wait, those with a kept answer without money."""
        offers = {asked.posed.case.id: self._offers(asked) for asked in cases}
        kept = [asked for asked in cases if any(each.is_kept for each in offers[asked.posed.case.id])]
        others = [asked for asked in cases if asked not in kept]
        work: list[Work] = []
        for asked in kept:
            first = next(each for each in offers[asked.posed.case.id] if each.is_kept)
            self._why[asked.posed.case.id] = f"{first.name} answered this before."
            work.append(self._work(asked, first, offers[asked.posed.case.id]))
        for asked, chosen in self._chosen(others, offers):
            work.append(self._work(asked, chosen, offers[asked.posed.case.id]))
        return work

    def following(self, asked: Asked, own: Analysis) -> Next:
        """Where the case would go from here, and what it lacks for that."""
        then = replace(asked, earlier=(*asked.earlier, own))
        for depth in DEPTHS[DEPTHS.index(asked.depth) + 1 :]:
            deeper = Offers(self._nodes, (), self._caller, depth, self._scopes, self._techniques, self._checked)
            offers = deeper._offers(replace(then, depth=depth), with_dear=True)  # its own kind
            if offers:
                return deeper._next(replace(then, depth=depth), offers)
        return self._off_next(then)

    def _next(self, asked: Asked, offers: Sequence[_Offer]) -> Next:
        cheapest = min(offers, key=lambda each: (each.cost, -each.quality, each.name))
        researched = next((each.way for each in offers if each.way is not None and each.node == cheapest.node), None)
        price = likely_cost(cheapest.node, asked)
        if researched is not None:
            price = likely_cost(cheapest.node, asked, by=(researched.technique, researched.task))
        left = self._caller.ledger.left(self._scopes_of(asked)) if cheapest.cost else None
        if left is None or cheapest.cost <= left or any(each.is_kept for each in offers):
            return Next(asked.depth, cheapest.node.name, price)
        lack = f"what is left of its budgets is ${usd(left)}, and {cheapest.node.name} may cost ${usd(cheapest.cost)}."
        return Next(asked.depth, cheapest.node.name, price, lack, lacks_money=True)

    def _off_next(self, asked: Asked) -> Next:
        """What the next depth lacks, and what it would cost with a node that is described, but off."""
        number = DEPTHS.index(asked.depth) + 1
        if number == len(DEPTHS):
            return Next(None, lack="nothing is deeper.")
        depth = DEPTHS[number]
        if asked.posed.case.private:
            return Next(depth, lack=f"it is private, and no node on this machine serves {depth}.")
        priced = [
            (cost, state)
            for state in self._off
            if depth in state.node.depths
            and (cost := expected_cost(state.node, replace(asked, depth=depth), self._techniques)) is not None
        ]
        if not priced:
            return Next(depth, lack=f"no node that may have it serves {depth} or deeper.")
        cost, state = min(priced, key=lambda each: (each[0], each[1].node.name))
        lack = f"no node serves {depth}: {state.node.name} would for about ${usd(_rounded(cost))}, but {state.off}."
        return Next(depth, state.node.name, cost, lack)

    def _offers(self, asked: Asked, *, with_dear: bool = False) -> list[_Offer]:
        """The nodes that may have a case, the best first; why there is none is noted."""
        case = asked.posed.case
        serving = [node for node in self._nodes.values() if self._depth in node.depths and node.price is not None]
        open_case = OpenCase(case.id, (), private=case.private, tokens=prompt_size(asked) + ANSWER_TOKENS[self._depth])
        reasons: list[str] = []
        allowed: list[_Offer] = []
        costs = not all(node.is_free for node in serving)  # else nobody need look into the ledger
        left = self._caller.ledger.left(self._scopes_of(asked)) if costs else None
        for node in serving:
            offer = self._offer(asked, node)
            if why_not := barred(open_case, _candidate(offer)):
                reasons.append(f"{node.name} may not: {why_not}.")
            else:
                allowed.append(offer)
        allowed.sort(key=lambda each: (-each.quality, each.cost, each.node.name))
        if self._depth in self._techniques.depths:
            allowed = self._with_techniques(asked, allowed)
        offers: list[_Offer] = []
        for offer in allowed:
            # What a technique may cost was looked at with it: it is more than one call.
            is_dear = left is not None and offer.way is None and offer.cost > left and not offer.is_kept
            if is_dear and not with_dear:
                reasons.append(
                    f"{offer.name} may cost ${usd(offer.cost)}, and its budgets have ${usd(left or Decimal(0))}."
                )
                self._lacks_money.add(case.id)
            else:
                offers.append(offer)
        self._lack[case.id] = " ".join(reasons) or f"No node serves {self._depth}."
        return offers

    def _with_techniques(self, asked: Asked, plain: Sequence[_Offer]) -> list[_Offer]:
        """The offers with, before each model's one call, the technique that it is worth and that money is left for."""
        models = [each for each in plain if each.node.model != EXTRACTIVE]
        task = task_of(asked, len(models))
        if not models or not fitting(task):
            return list(plain)
        scopes = self._scopes_of(asked)
        left = self._caller.ledger.left(scopes, for_one_call=False), self._caller.ledger.left(scopes)
        found: list[_Offer] = []
        for offer in plain:
            if offer in models:
                others = [each for each in models if each is not offer]
                researched, why = self._researched(asked, offer, others, task, left)
                found += [researched] if researched is not None else []
                offer = replace(offer, why=why)
            found.append(offer)
        return sorted(found, key=lambda each: -each.quality)

    def _researched(
        self, asked: Asked, offer: _Offer, others: Sequence[_Offer], task: Task, left: _Left
    ) -> tuple[_Offer | None, str]:
        """A technique led by the node of `offer`; None where money lacks for each; and why."""
        first, *rest = (Speaker(each.node, self._question(asked, each.request)) for each in (offer, *others))
        ways: dict[Technique, CaseTechnique] = {}
        costs: dict[Technique, Worst] = {}
        for technique in fitting(task):
            speakers = speakers_of(technique, first, rest)
            checking = partial(self._checked, asked.posed)
            way = CaseTechnique(technique, task, asked, speakers, self._techniques.principles, checking)
            before = way.before(self._caller)
            costs[technique] = Worst(Decimal(0)) if before.is_whole else way.price(before.calls)
            way.usd = costs[technique].usd
            if before.is_whole and (before.has_answer or offer.is_kept):
                return self._by(offer, way, is_kept=True), ""
            ways[technique] = way
        chosen = choose_technique(task, costs.__getitem__, *left)
        if chosen.technique is None:
            return None, chosen.why
        return replace(self._by(offer, ways[chosen.technique], is_kept=False), why=chosen.why), ""

    @staticmethod
    def _by(offer: _Offer, way: CaseTechnique, *, is_kept: bool) -> _Offer:
        quality = offer.quality + (1 - offer.quality) * _MENDED
        return replace(offer, cost=way.usd, quality=quality, is_kept=is_kept, way=way)

    def _offer(self, asked: Asked, node: Node) -> _Offer:
        case = asked.posed.case
        request = asked.request(node.output_tokens)
        quality = expected_quality(case.question, node, speciality=case.speciality)
        if node.model == EXTRACTIVE:
            quality *= _EXTRACTED_QUALITY
        is_open = not case.private or node.policy == "local"
        is_kept = is_open and self._is_kept(node, self._question(asked, request))
        return _Offer(node, request, worst_case(node, request), quality, is_kept)

    def _is_kept(self, node: Node, question: Question) -> bool:
        known = self._caller.known(node, question)
        return known is not None and not known.rejected

    def _chosen(self, cases: Sequence[Asked], offers: Mapping[str, Sequence[_Offer]]) -> Iterable[tuple[Asked, _Offer]]:
        """The first node for each case that money is left for: by briefs first, then what they leave over."""
        costs = any(offer.cost for asked in cases for offer in offers[asked.posed.case.id])
        left = self._caller.ledger.left(self._scopes, for_one_call=False) if costs else None
        money = _NO_LIMIT if left is None else left
        shares = {asked.posed.brief: asked.posed.share for asked in cases}
        whole = sum(shares.values())
        chosen: list[tuple[Asked, _Offer]] = []
        waiting: list[Asked] = []
        over = Decimal(0)
        for brief, share in shares.items():
            own = [asked for asked in cases if asked.posed.brief == brief]
            part = money * Decimal(str(share)) / Decimal(str(whole))
            given, rest = self._choose(own, offers, part)
            chosen += given
            waiting += rest
            over += part - sum((offer.cost for _, offer in given), Decimal(0))
        return [*chosen, *self._choose(waiting, offers, over)[0]]

    def _choose(
        self, cases: Sequence[Asked], offers: Mapping[str, Sequence[_Offer]], money: Decimal
    ) -> tuple[list[tuple[Asked, _Offer]], list[Asked]]:
        asked_with = [asked for asked in cases if offers[asked.posed.case.id]]
        open_cases = [
            OpenCase(asked.posed.case.id, tuple(map(_candidate, offers[asked.posed.case.id]))) for asked in asked_with
        ]
        given: list[tuple[Asked, _Offer]] = []
        rest: list[Asked] = []
        for asked, choice in zip(asked_with, choose(open_cases, max(money, Decimal(0))), strict=True):
            name = choice.chosen.node if choice.chosen is not None else None
            offer = next((each for each in offers[choice.case_id] if each.name == name), None)
            if offer is None:
                self._lack[choice.case_id] = choice.reason
                self._lacks_money.add(choice.case_id)
                rest.append(asked)
            else:
                self._why[choice.case_id] = f"{choice.reason} {offer.why}".strip()
                given.append((asked, offer))
        return given, rest

    def _work(self, asked: Asked, first: _Offer, offers: Sequence[_Offer]) -> Work:
        # One question goes to all of them, so they must take answers of the same length.
        same = [each.node for each in offers if each.way is None and each.request == first.request]
        others = [node for node in same if node != first.node]
        quotes = [node for node in others if node.model == EXTRACTIVE]
        models = [node for node in others if node.model != EXTRACTIVE][:_OTHERS]
        self._ways[asked.posed.case.id] = first.way
        return Work(self._question(asked, first.request), (first.node, *models, *quotes), first.way)

    def _question(self, asked: Asked, request: Request) -> Question:
        case = asked.posed.case
        return Question(
            case_id=case.id,
            depth=self._depth,
            request=request,
            scopes=self._scopes_of(asked),
            prompt_version=case.prompt_version,
            private=case.private,
        )

    def _scopes_of(self, asked: Asked) -> tuple[Scope, ...]:
        return (Scope("case", asked.posed.case.id), *self._scopes)


def likely_cost(
    node: Node,
    asked: Asked,
    output: Decimal = LIKELY_OUTPUT,
    *,
    more_tokens: int = 0,
    by: tuple[Technique, Task] | None = None,
) -> Decimal | None:
    """What an answer of `node` likely costs in USD, where it has `output` of the tokens that it may have.

    `more_tokens` are those of the prompt beside the case and its earlier answers; `by` a technique, on a task. None
    where there is no price.
    """
    if node.price is None:
        return None
    tokens = prompt_size(asked) + more_tokens
    if by is not None:
        return likely_usd(*by, node, depth=asked.depth, tokens=tokens, output=output)
    said = int(min(ANSWER_TOKENS[asked.depth], node.output_tokens) * output)
    return cost_of(Usage(input=tokens, output=said), node.price)


def expected_cost(node: Node, asked: Asked, techniques: Techniques) -> Decimal | None:
    """`likely_cost` by what the case would be asked by first, where it is the only node and no budget is short."""
    task = task_of(asked, 1)
    fits = fitting(task) if asked.depth in techniques.depths and node.model != EXTRACTIVE else ()
    return likely_cost(node, asked, by=(fits[0], task) if fits else None)


def prompt_size(asked: Asked) -> int:
    """Estimated tokens of a prompt."""
    earlier = sum(prompt_tokens(each.told()) for each in asked.earlier if each.has_answer)
    return asked.posed.tokens + _AROUND_TOKENS + earlier


def _candidate(offer: _Offer) -> Candidate:
    node = offer.node
    return Candidate(offer.name, offer.quality, offer.cost, policy=node.policy, context_tokens=node.context_tokens)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.0001")) or amount.quantize(Decimal("0.000001"))
