"""Nodes that say what a test wants, and the game of 24 with a solver that proposes legal moves only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import permutations

from mesh_assets.analyses.techniques.asking import ANSWERING, Reply, Role
from mesh_assets.errors import NodeError

USD = Decimal("0.01")
_ANSWER = re.compile(r"\banswer:[ \t]*(\S[^\n]*)", re.IGNORECASE)
_STEP = re.compile(r"(\S+) ([-+*/]) (\S+)")


@dataclass
class Scripted:
    """Says what `say` makes of a prompt, for USD a call; None fails. `Answer: ...` is an answer in a role of one."""

    say: Callable[[str], str | None]
    prompts: list[str] = field(default_factory=list[str])
    name: str = "scripted"

    def most(self, prompt: str, role: Role) -> Decimal:
        return USD

    async def ask(self, prompt: str, role: Role) -> Reply:
        self.prompts.append(prompt)
        said = self.say(prompt)
        if said is None:
            raise NodeError("It is down.", remedy="Ask another.", failure="connection")
        found = _ANSWER.findall(said) if role in ANSWERING else []
        return Reply(said, found[-1].strip().rstrip(".") if found else None, USD)


def in_turn(*texts: str | None) -> Scripted:
    """Says one text after the other, then nothing of use."""
    left = list(texts)
    return Scripted(lambda _: left.pop(0) if left else "hm")


def _worked_out(one: str, sign: str, other: str) -> Fraction | None:
    a, b = Fraction(one), Fraction(other)
    if sign == "/":
        return a / b if b else None
    return {"+": a + b, "-": a - b, "*": a * b}[sign]


@dataclass(frozen=True)
class TwentyFour:
    """The game of 24 as a puzzle. A state is the numbers left and, after a bar, the steps that led there."""

    numbers: tuple[int, ...]

    def start(self) -> str:
        return " ".join(map(str, self.numbers)) + "|"

    def ask_steps(self, state: str) -> str:
        return f"steps of {state.partition('|')[0]}"

    def steps(self, reply: Reply) -> list[str]:
        return [line.strip() for line in reply.text.splitlines() if line.strip()]

    def ask_value(self, state: str) -> str:
        return f"value of {state.partition('|')[0]}"

    def after(self, state: str, step: str) -> str | None:
        left, _, done = state.partition("|")
        found = _STEP.match(step)
        if found is None:
            return None
        numbers = left.split()
        for each in (found[1], found[3]):
            if each not in numbers:
                return None
            numbers.remove(each)
        value = _worked_out(found[1], found[2], found[3])
        if value is None:
            return None
        return f"{' '.join([*numbers, str(value)])}|{done}{found[0]};"

    def answer(self, state: str) -> str | None:
        left, _, done = state.partition("|")
        return done.strip(";") if left.split() == ["24"] else None


def solver(prompt: str) -> str:
    """Proposes all legal moves, and holds for likely what lies near 24 with two numbers left; else it cannot tell."""
    numbers = prompt.split(" of ")[1].split()
    moves = [
        (f"{a} {sign} {b}", value)
        for a, b in permutations(numbers, 2)
        for sign in "+-*/"
        if (value := _worked_out(a, sign, b)) is not None
    ]
    if prompt.startswith("steps"):
        return "\n".join(move for move, _ in dict.fromkeys(moves))
    reachable = any(value == 24 for _, value in moves) if len(numbers) == 2 else True
    return "likely" if reachable else "impossible"
