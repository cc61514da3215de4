"""What flows where in a function of Python: how deep its branches lie, and which calls are handed what a caller gave.

Both are told of one function by itself, by its syntax tree; what other functions do with a value is not followed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mesh_assets.insights.code_mistakes import Function

_NESTING = ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.IfExp | ast.Match
_OWN = frozenset({"self", "cls"})
# Assignments that carry a value on through so many others.
_STEPS = 5
# The last names of calls that run a text or a command.
_RUNNING = frozenset(
    "system popen call run Popen check_call check_output getoutput getstatusoutput eval exec execute "
    "executemany executescript".split()
)


def depths(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """First line of each function and its branches, each counted with those that it lies in.

    As Campbell (Cognitive Complexity, SonarSource 2018) counts nesting: a long row of branches is easy to read, one
    within the other is not.
    """
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node.lineno, sum(map(_weight, node.body))


def _weight(statement: ast.AST) -> int:
    found = 0
    waiting = [(statement, 0)]  # no recursion: expressions of programs that programs wrote are thousands deep
    while waiting:
        node, depth = waiting.pop()
        inner = depth + isinstance(node, _NESTING | Function | ast.Lambda)
        found += 1 + depth if isinstance(node, _NESTING) else 0
        rest = node.orelse if isinstance(node, ast.If) else []
        elifs = {id(each) for each in rest if isinstance(each, ast.If)}
        waiting += [(each, depth if id(each) in elifs else inner) for each in ast.iter_child_nodes(node)]
    return found


def handed_over(tree: ast.Module) -> Iterator[int]:
    """Lines of calls that run something which a parameter of their function goes into."""
    for function in ast.walk(tree):
        if isinstance(function, Function):
            calls = [each for each in ast.walk(function) if isinstance(each, ast.Call) and _runs(each)]
            given = _given(function) if calls else set[str]()
            for call in calls:
                if any(_names(value) & given for value in [*call.args, *(each.value for each in call.keywords)]):
                    yield call.lineno


def _runs(call: ast.Call) -> bool:
    function = call.func
    return (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")) in _RUNNING


def _given(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Parameters of a function and the names that their values are put into."""
    given = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)} - _OWN
    flows = list(_flows(function))
    for _ in range(_STEPS):
        more = {target for targets, sources in flows if sources & given for target in targets}
        if more <= given:
            break
        given |= more
    return given


def _flows(function: ast.AST) -> Iterator[tuple[set[str], set[str]]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            yield {name for target in node.targets for name in _names(target)}, _names(node.value)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            yield _names(node.target), _names(node.value)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield _names(node.target), _names(node.iter)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield _names(node.optional_vars), _names(node.context_expr)


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - _OWN
