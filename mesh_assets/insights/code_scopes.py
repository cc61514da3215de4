"""Names of Python that nothing defines where they are used, and coroutines that are made and never awaited.

Told of single files, by the scopes of Python's own `symtable`. A file that fills its names at run time (`import *`,
`globals()`, `exec`) is left out. What is read as a module loads would have been noticed, so only functions are read.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections import Counter
from collections.abc import Iterator
from itertools import chain

from mesh_assets.insights.code_mistakes import Function, Mistake, said_at

_FILLED = re.compile(r"\bimport\s*\(?\*|\bglobals\(\)|\bexec\(|\bexecfile\(|sys\.modules\[__name__\]|__dict__")
# What Python, an installed translation or a notebook gives without a definition; the rest was there in Python 2.
_GIVEN = frozenset(
    "__file__ __path__ __builtins__ __class__ __annotations__ _ ngettext get_ipython display reveal_type reveal_locals "
    "WindowsError unicode basestring long xrange unichr raw_input reload file cmp buffer intern reduce apply".split()
)
_AUTHOR_KNOWS = re.compile(r"#\s*(?:noqa|type:\s*ignore|pylint|pyright)")


def scope_mistakes_of(tree: ast.Module, text: str, path: str) -> Iterator[Mistake]:
    """The mistakes of a file."""
    if "async def" in text:
        yield from _forgotten_awaits(tree)
    if _FILLED.search(text):
        return
    top = symtable.symtable(text, path, "exec")
    # symtable of Python 3.11 takes a function of the name `top` for the module, whose names are all global.
    tables = [table for table in _below(top) if table.get_name() != "top"]
    bound = {each.get_name() for each in top.get_symbols() if each.is_assigned() or each.is_imported()}
    bound |= {each.get_name() for table in tables for each in table.get_symbols() if _is_set(each)}
    if "__getattr__" not in bound and not path.endswith("__init__.py"):
        yield from _promised(tree, bound)
    unknown = {
        each.get_name()
        for table in tables
        for each in table.get_symbols()
        if each.is_global() and each.is_referenced() and each.get_name() not in bound | _GIVEN
    }
    unknown = {name for name in unknown if not hasattr(builtins, name) and not name.startswith("__")}
    if unknown:
        yield from _undefined(tree, unknown, text.split("\n"))


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _below(child)


def _is_set(symbol: symtable.Symbol) -> bool:
    return symbol.is_declared_global() and (symbol.is_assigned() or symbol.is_imported())


def _promised(tree: ast.Module, bound: set[str]) -> Iterator[Mistake]:
    """Names of `__all__` that the module does not have: `import *` of it fails."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if not any(getattr(target, "id", "") == "__all__" for target in targets):
            continue
        listed = getattr(getattr(node, "value", None), "elts", [])
        for each in listed:
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value not in bound:
                yield said_at("undefined", f"promises {each.value} in __all__ and does not define it", each)


def _undefined(tree: ast.Module, unknown: set[str], lines: list[str]) -> Iterator[Mistake]:
    """The first use of each unknown name in a function."""
    left_out = {id(inner) for node in ast.walk(tree) for part in _unread(node) for inner in ast.walk(part)}
    told: set[str] = set()
    for function in ast.walk(tree):
        body = chain.from_iterable(map(ast.walk, function.body)) if isinstance(function, Function) else ()
        for node in body:
            if not isinstance(node, ast.Name) or node.id not in unknown or node.id in told or id(node) in left_out:
                continue
            if isinstance(node.ctx, ast.Load) and not _AUTHOR_KNOWS.search(lines[node.lineno - 1]):
                told.add(node.id)
                yield said_at("undefined", f"uses {node.id}, which nothing in the file defines or imports", node)


def _unread(node: ast.AST) -> list[ast.AST]:
    """Parts that do not run or whose failure is waited for: annotations, `TYPE_CHECKING`, `except NameError`."""
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        return [node.annotation]
    if isinstance(node, Function) and node.returns is not None:
        return [node.returns]
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return list(node.body)
    if isinstance(node, ast.Try) and any(
        each.type is None or "NameError" in ast.dump(each.type) or "'Exception'" in ast.dump(each.type)
        for each in node.handlers
    ):
        return list(node.body)
    return []


def _forgotten_awaits(tree: ast.Module) -> Iterator[Mistake]:
    """Calls of the file's own coroutines as statements: nothing of them runs."""
    yield from _unawaited(tree, tree, owner="")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from _unawaited(node, node, owner="self")


def _unawaited(scope: ast.Module | ast.ClassDef, within: ast.AST, *, owner: str) -> Iterator[Mistake]:
    defined = Counter(each.name for each in scope.body if isinstance(each, Function))
    coroutines = {
        each.name
        for each in scope.body
        if isinstance(each, ast.AsyncFunctionDef)
        and not each.decorator_list
        and defined[each.name] == 1
        and not any(isinstance(inner, ast.Yield) for inner in ast.walk(each))
    }
    for node in ast.walk(within) if coroutines else ():
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        holder = getattr(call.func.value, "id", "?") if isinstance(call.func, ast.Attribute) else ""
        if name in coroutines and holder == owner:
            yield said_at("not awaited", f"calls the coroutine {name} without await, so that it never runs", node)
