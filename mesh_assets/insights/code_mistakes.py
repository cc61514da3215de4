"""Mistakes in Python that its syntax tree shows by itself: each is wrong, or without effect, whatever the program does.

Style does not belong here, and nothing that needs types. The tree is read, the code never runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_RAISABLE = re.compile(r"[A-Z]\w*(?:Error|Exception)")
CONVERSION = re.compile(r"%(?:%|[-#0 +]*\d*(?:\.\d+)?[hlL]?[diouxXeEfFgGcrsa])")
_DIRECTIVE = re.compile(r"%[^%]")
# Handlers of these catch what later handlers wait for.
_WIDEST = frozenset({"BaseException", "Exception"})
_BUILTIN_ERRORS = re.compile(r"(?:\w+Error|StopIteration|Warning)")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at the lines `first` to `last`, as the end of a sentence about the file."""

    kind: str
    said: str
    first: int
    last: int


def mistakes_of(tree: ast.Module, text: str) -> list[Mistake]:
    """The mistakes in a file, in the order of its lines.

    Branches that do the same with a remark at one of them do so on purpose.
    """
    found: list[Mistake] = []
    for node in ast.walk(tree):
        for check in _CHECKS.get(type(node), ()):
            found += check(node)
    expected = {line for block in _guarded(tree) for line in block}
    lines = text.split("\n")
    kept = [
        each
        for each in found
        if (each.first not in expected or each.kind not in _MAY_BE_PROVOKED)
        and (each.kind != "same branches" or not any("#" in line for line in lines[each.first - 1 : each.last]))
    ]
    return sorted(kept, key=lambda mistake: mistake.first)


def switched_off(tree: ast.Module) -> set[int]:
    """Lines of branches that a constant condition never takes, as `if False`, or the `else` of `if True`."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Constant):
            for statement in node.orelse if node.test.value else node.body:
                found |= set(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return found


# What a test or a `try` does on purpose, to see it raise.
_MAY_BE_PROVOKED = frozenset({"no effect", "format"})


def _guarded(tree: ast.Module) -> Iterator[range]:
    """Lines where a statement may be there for the error that it raises: first statements of `try` and of `with`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With | ast.AsyncWith | ast.Try):
            for statement in node.body:
                yield range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


def said_at(kind: str, said: str, node: ast.AST) -> Mistake:
    """A mistake at the lines of a node."""
    first = int(getattr(node, "lineno", 1))
    return Mistake(kind, said, first, int(getattr(node, "end_lineno", None) or first))


def source_of(node: ast.AST) -> str:
    """A node on one line, shortened."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def _has_calls(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Call | ast.Await | ast.NamedExpr | ast.Yield) for inner in ast.walk(node))


def _statement(node: ast.Expr) -> Iterator[Mistake]:
    value = node.value
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        if isinstance(value.func, ast.Name) and _RAISABLE.fullmatch(name):
            yield said_at("not raised", f"makes the error {name} and does not raise it", node)
    elif isinstance(value, ast.Compare) and isinstance(value.ops[0], ast.Eq | ast.Is):
        yield said_at("no effect", f"compares and does nothing with the result: `{source_of(node)}`", node)


def _branches(node: ast.If) -> Iterator[Mistake]:
    if node.orelse and not _is_trivial(node.body) and _same(node.body, node.orelse):
        yield said_at("same branches", f"does the same in both branches of `if {source_of(node.test)}`", node)
    rest, seen = node.orelse, [node.test]
    while len(rest) == 1 and isinstance(rest[0], ast.If):
        test = rest[0].test
        if not _has_calls(test) and any(ast.dump(test) == ast.dump(before) for before in seen):
            yield said_at("dead branch", f"asks `{source_of(test)}` a second time in one chain of elif", test)
        seen.append(test)
        rest = rest[0].orelse


def _is_trivial(body: Sequence[ast.stmt]) -> bool:
    return len(body) == 1 and isinstance(body[0], ast.Pass | ast.Raise | ast.Continue | ast.Break)


def _same(one: Sequence[ast.stmt], other: Sequence[ast.stmt]) -> bool:
    return len(one) == len(other) and all(ast.dump(a) == ast.dump(b) for a, b in zip(one, other, strict=True))


def _alternatives(node: ast.BoolOp) -> Iterator[Mistake]:
    dumps = [ast.dump(value) for value in node.values]
    for at, value in enumerate(node.values):
        if dumps[at] in dumps[:at] and not _has_calls(value):
            yield said_at("said twice", f"asks `{source_of(value)}` twice in `{source_of(node)}`", node)
            return


def _comparison(node: ast.Compare) -> Iterator[Mistake]:
    for operator, right in zip(node.ops, node.comparators, strict=True):
        literal = right.value if isinstance(right, ast.Constant) else None
        is_value = isinstance(literal, str | bytes | int | float) and not isinstance(literal, bool)
        if isinstance(operator, ast.Is | ast.IsNot) and is_value:
            yield said_at("identity", f"compares the identity of a literal, not its value: `{source_of(node)}`", node)


def _assertion(node: ast.Assert) -> Iterator[Mistake]:
    if isinstance(node.test, ast.Tuple) and node.test.elts:
        yield said_at("always true", f"asserts a tuple, which is always true: `{source_of(node)}`", node)


def _mapping(node: ast.Dict) -> Iterator[Mistake]:
    values: dict[object, str] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str | int):
            named, dumped = (type(key.value), key.value), ast.dump(value)
            if values.get(named, dumped) != dumped:
                said = f"gives the key {key.value!r} two values in one dict, of which the first is lost"
                yield said_at("lost value", said, key)
            values[named] = dumped


def _handlers(node: ast.Try) -> Iterator[Mistake]:
    widest = ""
    for handler in node.handlers:
        names = _names_of(handler.type)
        if widest and names and all(_BUILTIN_ERRORS.fullmatch(name) for name in names):
            said = f"waits for {' and '.join(names)} below a handler of {widest}, which takes them all"
            yield said_at("dead handler", said, handler)
        widest = widest or next((name for name in names if name in _WIDEST), "")


def _names_of(caught: ast.expr | None) -> list[str]:
    listed = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return [each.id for each in listed if isinstance(each, ast.Name)]


def _formatted(node: ast.BinOp) -> Iterator[Mistake]:
    text, values = node.left, node.right
    if not (isinstance(node.op, ast.Mod) and isinstance(text, ast.Constant) and isinstance(text.value, str)):
        return
    if not isinstance(values, ast.Tuple) or any(isinstance(each, ast.Starred) for each in values.elts):
        return
    found = CONVERSION.findall(text.value)
    if len(_DIRECTIVE.findall(text.value.replace("%%", ""))) != len([each for each in found if each != "%%"]):
        return  # named, starred or unknown directives
    wanted = len([each for each in found if each != "%%"])
    if wanted != len(values.elts):
        yield said_at("format", f"gives {len(values.elts)} values to a format with {wanted} places", node)


def _definitions(node: ast.Module | ast.ClassDef) -> Iterator[Mistake]:
    """A function that the next one of its name replaces, with nothing between that names it."""
    last: dict[str, int] = {}
    for at, statement in enumerate(node.body):
        if not isinstance(statement, Function) or statement.decorator_list or statement.name == "_":
            continue
        before = last.get(statement.name)
        if before is not None:
            between = node.body[before + 1 : at]
            named = (inner for each in between for inner in ast.walk(each))
            if not any(getattr(inner, "id", None) == statement.name for inner in named):
                lost = node.body[before]
                said = f"defines {statement.name} at line {lost.lineno} and again at line {statement.lineno}: "
                yield said_at("replaced", f"{said}the first is lost", statement)
        last[statement.name] = at


def _returns(node: ast.Try) -> Iterator[Mistake]:
    for statement in node.finalbody:
        if isinstance(statement, ast.Return):
            yield said_at("swallows errors", "returns in `finally`, which drops any error on its way", statement)


_CHECKS: dict[type[ast.AST], tuple[Callable[[Any], Iterator[Mistake]], ...]] = {
    ast.Assert: (_assertion,),
    ast.BinOp: (_formatted,),
    ast.BoolOp: (_alternatives,),
    ast.ClassDef: (_definitions,),
    ast.Compare: (_comparison,),
    ast.Dict: (_mapping,),
    ast.Expr: (_statement,),
    ast.If: (_branches,),
    ast.Module: (_definitions,),
    ast.Try: (_handlers, _returns),
}
