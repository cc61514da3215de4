"""Who is asked a case at a depth and for how much: nodes that serve it, money that is left, answers that are there.

Nothing is called here. What each node would make of a case and how money is spread belongs to `mesh.routing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from mesh_assets.analyses.analysis import ANSWER_TOKENS, Analysis, Asked, Next
from mesh_assets.analyses.evidence import prompt_tokens
from mesh_assets.mesh.calls import Caller, Question, request_key
from mesh_assets.mesh.costs import cost_of, usd, worst_case
from mesh_assets.mesh.execution import Work
from mesh_assets.mesh.nodes import EXTRACTIVE, NodeState
from mesh_assets.mesh.protocol import Node, Request, Scope, Usage
from mesh_assets.mesh.routing.choice import Candidate, OpenCase, barred, choose
from mesh_assets.mesh.routing.complexity import expected_quality
from mesh_assets.mesh.shapes import DEPTHS, Depth

# What a budget without a limit is to a choice, in USD.
_NO_LIMIT = Decimal(1_000_000)
# System words, schema and marks of a prompt, in tokens.
_AROUND_TOKENS = 1_000
# Part of the tokens that an answer may have which one likely has: an assumption.
LIKELY_OUTPUT = Decimal("0.3")
# Quotes compose nothing: any model is expected to do better, an assumption.
_EXTRACTED_QUALITY = 0.4
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
    """A node that may answer a case: the most that this costs, and whether it has answered before."""

    node: Node
    request: Request
    cost: Decimal
    quality: float
    is_kept: bool


class Offers:
    """The nodes of one depth for its cases, with what came of the choice."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        off: Sequence[NodeState],
        caller: Caller,
        depth: Depth,
        scopes: tuple[Scope, ...],
    ) -> None:
        self._nodes = nodes
        self._off = off
        self._caller = caller
        self._depth: Depth = depth
        self._scopes = scopes
        self._why: dict[str, str] = {}
        self._lack: dict[str, str] = {}
        self._lacks_money: set[str] = set()

    def why(self, case_id: str) -> str:
        """Why the node was asked that was asked first."""
        return self._why.get(case_id, "")

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
            self._why[asked.posed.case.id] = f"{first.node.name} answered this before."
            work.append(self._work(asked, first, offers[asked.posed.case.id]))
        for asked, chosen in self._chosen(others, offers):
            work.append(self._work(asked, chosen, offers[asked.posed.case.id]))
        return work

    def following(self, asked: Asked, own: Analysis) -> Next:
        """Where the case would go from here, and what it lacks for that."""
        then = replace(asked, earlier=(*asked.earlier, own))
        for depth in DEPTHS[DEPTHS.index(asked.depth) + 1 :]:
            deeper = Offers(self._nodes, (), self._caller, depth, self._scopes)
            offers = deeper._offers(replace(then, depth=depth), with_dear=True)  # its own kind
            if offers:
                return deeper._next(replace(then, depth=depth), offers)
        return self._off_next(then)

    def _next(self, asked: Asked, offers: Sequence[_Offer]) -> Next:
        cheapest = min(offers, key=lambda each: (each.cost, -each.quality, each.node.name))
        price = likely_cost(cheapest.node, asked)
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
            if depth in state.node.depths and (cost := likely_cost(state.node, replace(asked, depth=depth))) is not None
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
        open_case = OpenCase(case.id, (), private=case.private, tokens=_prompt(asked) + ANSWER_TOKENS[self._depth])
        reasons: list[str] = []
        offers: list[_Offer] = []
        costs = not all(node.is_free for node in serving)  # else nobody need look into the ledger
        left = self._caller.ledger.left(self._scopes_of(asked)) if costs else None
        for node in serving:
            offer = self._offer(asked, node)
            why_not = barred(open_case, _candidate(offer))
            is_dear = left is not None and offer.cost > left and not offer.is_kept
            if why_not:
                reasons.append(f"{node.name} may not: {why_not}.")
            elif is_dear and not with_dear:
                reasons.append(
                    f"{node.name} may cost ${usd(offer.cost)}, and its budgets have ${usd(left or Decimal(0))}."
                )
                self._lacks_money.add(case.id)
            else:
                offers.append(offer)
        self._lack[case.id] = " ".join(reasons) or f"No node serves {self._depth}."
        return sorted(offers, key=lambda each: (-each.quality, each.cost, each.node.name))

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
        leaving = self._caller.leaving(node, question)
        kept = self._caller.log.find(request_key(node, leaving.request, question.prompt_version))
        return kept is not None and not kept.rejected

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
            offer = next((each for each in offers[choice.case_id] if each.node.name == name), None)
            if offer is None:
                self._lack[choice.case_id] = choice.reason
                self._lacks_money.add(choice.case_id)
                rest.append(asked)
            else:
                self._why[choice.case_id] = choice.reason
                given.append((asked, offer))
        return given, rest

    def _work(self, asked: Asked, first: _Offer, offers: Sequence[_Offer]) -> Work:
        # One question goes to all of them, so they must take answers of the same length.
        others = [each.node for each in offers if each is not first and each.request == first.request]
        quotes = [node for node in others if node.model == EXTRACTIVE]
        models = [node for node in others if node.model != EXTRACTIVE][:_OTHERS]
        return Work(self._question(asked, first.request), (first.node, *models, *quotes))

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


def likely_cost(node: Node, asked: Asked, output: Decimal = LIKELY_OUTPUT, *, more_tokens: int = 0) -> Decimal | None:
    """What an answer of `node` likely costs in USD, where it has `output` of the tokens that it may have.

    `more_tokens` are those of the prompt beside the case and its earlier answers. None where there is no price.
    """
    if node.price is None:
        return None
    tokens = min(ANSWER_TOKENS[asked.depth], node.output_tokens)
    return cost_of(Usage(input=_prompt(asked) + more_tokens, output=int(tokens * output)), node.price)


def _prompt(asked: Asked) -> int:
    """Estimated tokens of a prompt."""
    earlier = sum(prompt_tokens(each.told()) for each in asked.earlier if each.has_answer)
    return asked.posed.tokens + _AROUND_TOKENS + earlier


def _candidate(offer: _Offer) -> Candidate:
    node = offer.node
    return Candidate(node.name, offer.quality, offer.cost, policy=node.policy, context_tokens=node.context_tokens)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.0001")) or amount.quantize(Decimal("0.000001"))
