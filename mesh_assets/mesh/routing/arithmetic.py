"""Arithmetic that a text states, worked out again: `3 x $4.50 = $13.50`, `<<12/4=3>>`.

Whether a number belongs in the answer at all is not known here: `verifiers` asks that.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

# Longer ones are cut at their start, so that a text of digits alone costs no more than any other.
MAX_EXPRESSION_CHARS = 120
NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_ANNOTATION = re.compile(r"<<([^<>\n]{1,200})>>")
_TIMES = re.compile(r"(?<=[\d)])[ \t]{0,3}[xX×·][ \t]{0,3}(?=[\d$(.])")
_SIGNS = str.maketrans({"÷": "/", "−": "-", "–": "-", "$": "", "€": "", "£": "", "\\": ""})
_RUN = re.compile(r"[\d.,+\-*/()% \t=]+")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_PERCENT = re.compile(rf"({NUMBER})\s{{0,3}}%")
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Equation:
    """`expression` as the text has it, the value that the text `claimed` for it, and what it is."""

    expression: str
    claimed: float
    computed: float
    holds: bool

    @property
    def operands(self) -> tuple[float, ...]:
        """The numbers in the expression, without their signs."""
        return numbers(self.expression)


def numbers(text: str) -> tuple[float, ...]:
    """The numbers that a text names in digits, in order, without signs."""
    return tuple(float(found.replace(",", "")) for found in re.findall(NUMBER, text))


def evaluate(expression: str) -> float | None:
    """The value of an expression of numbers, `+ - * / ( )` and `%`; None where it is none, or has no finite value.

    Nothing else is understood, powers neither: what a text says never runs, and never runs for long.
    """
    plain = _PERCENT.sub(r"(\1/100)", _GROUPED.sub("", expression.translate(_SIGNS))).strip(" \t,.=")
    if len(plain) > 2 * MAX_EXPRESSION_CHARS or not re.search(r"\d", plain):
        return None
    try:
        value = _value(ast.parse(plain, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return None
    return value if abs(value) < float("inf") else None


def equations(text: str) -> list[Equation]:
    """Each `expression = value` of a text, also in chains (`2 + 1/2 = 5/2 = 2.5`), and in `<<...>>` annotations.

    One holds where the value is what comes out, rounded to the digits that it is written with. A side with words or
    letters in it is left out.
    """
    stated = _ANNOTATION.sub(" ", text)
    lines = [*stated.splitlines(), *_ANNOTATION.findall(text)]
    return [found for line in lines for found in _of_line(line)]


def _of_line(line: str) -> Iterator[Equation]:
    line = _TIMES.sub("*", line.translate(_SIGNS))
    for run in _RUN.findall(line):
        sides = run.split("=")
        for left, right in pairwise(sides):
            expression, claim = left[-MAX_EXPRESSION_CHARS:].strip(), right[:MAX_EXPRESSION_CHARS].strip()
            # A sign alone makes no expression: something must have been worked out.
            if not re.search(r"[\d)%]\s*[+\-*/]", expression):
                continue
            computed, claimed = evaluate(expression), evaluate(claim)
            if computed is not None and claimed is not None:
                yield Equation(expression, claimed, computed, _holds(computed, claimed, claim))


def _holds(computed: float, claimed: float, claim: str) -> bool:
    places = re.findall(r"\.(\d+)", claim)
    half_a_unit = 0.5 * 10.0 ** -max(map(len, places), default=0)
    if "%" in claim:
        half_a_unit /= 100
        claimed = min(claimed, claimed * 100, key=lambda value: abs(value - computed))
    return abs(computed - claimed) <= half_a_unit + 1e-9 * abs(computed)


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError(f"no arithmetic: {ast.dump(node)[:80]}")
