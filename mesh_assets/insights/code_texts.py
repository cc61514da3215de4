"""Mistakes in how Python code makes texts and values: what is shown, compared or raised is not what was meant.

Each is told by the syntax tree and the characters of the file alone. Style does not belong here.
"""

from __future__ import annotations

import ast
import builtins
import re
import string
from collections import Counter
from collections.abc import Iterator

from mesh_assets.insights.code_mistakes import CONVERSION, Function, Mistake, said_at, source_of
from mesh_assets.insights.wording import plural

_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?:[.\[][^{}]*)?(?:![rsa])?(?::[^{}]*)?\}")
_LOGGER = re.compile(r"(?i)_*(?:\w+_)?log(?:ger|ging)?")
_LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical"})
_STRIPS = frozenset({"strip", "lstrip", "rstrip"})
_LEAST_STRIPPED = 3
# Names as a list of words holds them.
_WORD = re.compile(r"[\w.\-/]{2,60}")
_LEAST_WORDS = 4
_OPENING = re.compile(r"\(\s*$")


def text_mistakes_of(tree: ast.Module, text: str) -> Iterator[Mistake]:
    """The mistakes of a file; `text` is what the tree was read from."""
    lines = text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield from _unfilled(node, lines)
        elif isinstance(node, ast.Call):
            yield from _call(node)
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            yield from _missing_comma(node, lines)
        elif isinstance(node, ast.Compare):
            yield from _one_text(node, lines)
        elif isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            yield from _constant_choice(node.test)
        elif isinstance(node, ast.arguments):
            yield from _default(node)
        elif isinstance(node, ast.Raise):
            yield from _raised(node)


def _literal(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _unfilled(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> Iterator[Mistake]:
    """Messages that name a variable of the function in braces, without the `f` that would fill it in."""
    inside = list(ast.walk(function))
    names = {each.arg for each in inside if isinstance(each, ast.arg)}
    names |= {each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for call in _messages(inside):
        for part in _plain_parts(call.args[0], lines):
            found = next((match[1] for match in _FIELD.finditer(part) if match[1] in names), None)
            if found:
                yield said_at("unfilled", f"shows `{{{found}}}` as it stands: the text has no `f` before it", call)
                break


def _messages(inside: list[ast.AST]) -> Iterator[ast.Call]:
    """Calls with one argument that a person is shown: of errors that are raised, of loggers, of warnings."""
    for node in inside:
        call = node.exc if isinstance(node, ast.Raise) else node
        is_shown = isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and (_is_logging(node) or _warns(node)))
        if is_shown and isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords:
            yield call


def _plain_parts(node: ast.expr, lines: list[str]) -> Iterator[str]:
    if (literal := _literal(node)) is not None:
        yield literal
    # Of a text of several parts only some may have an `f`.
    elif not any("{{" in line for line in lines[node.lineno - 1 : node.end_lineno]):
        values = node.values if isinstance(node, ast.JoinedStr) else []
        yield from (part for each in values if (part := _literal(each)) is not None)


def _is_logging(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _LEVELS:
        return False
    owner = call.func.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return _LOGGER.fullmatch(name) is not None


def _warns(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "warnings.warn"


def _call(node: ast.Call) -> Iterator[Mistake]:
    if any(isinstance(each, ast.Starred) for each in node.args):
        return
    yield from _never_filled(node)
    yield from _logged(node)
    if isinstance(node.func, ast.Attribute):
        yield from _format(node, node.func)
        yield from _stripped(node, node.func)


def _places(template: str) -> int | None:
    """How many values a template of `%` takes; None where that cannot be said of it."""
    plain = template.replace("%%", "")
    found = CONVERSION.findall(plain)
    return len(found) if len(found) == plain.count("%") else None


def _never_filled(node: ast.Call) -> Iterator[Mistake]:
    """Errors of Python, and `print`, which do not put their arguments into a template."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    template = _literal(node.args[0]) if len(node.args) > 1 else None
    if template is None or _places(template) != len(node.args) - 1:
        return
    known: object = getattr(builtins, name, None)
    is_error = isinstance(known, type) and issubclass(known, Exception) and not issubclass(known, OSError)
    if name == "print" or is_error:
        yield said_at("unfilled", f"gives values to {name}, which does not put them into the text: %s stays", node)


def _logged(node: ast.Call) -> Iterator[Mistake]:
    if not _is_logging(node) or len(node.args) < 2 or isinstance(node.args[1], ast.Dict):
        return
    template = _literal(node.args[0])
    places = None if template is None else _places(template)
    if places is not None and places != len(node.args) - 1:
        values, slots = plural(len(node.args) - 1, "value"), plural(places, "place")
        said = f"logs {values} in a text with {slots}, so that an error is printed in place of the line"
        yield said_at("format", said, node)


def _format(node: ast.Call, method: ast.Attribute) -> Iterator[Mistake]:
    """`str.format` without a value for a place."""
    template = _literal(method.value)
    if method.attr != "format" or template is None or any(each.arg is None for each in node.keywords):
        return
    given = {*(each.arg for each in node.keywords), *(str(at) for at in range(len(node.args)))}
    try:
        named = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError:
        return
    automatic = iter(range(len(named)))
    wanted = [re.split(r"[.\[]", field)[0] or str(next(automatic)) for field in named]
    for name in wanted:
        if name not in given:
            yield said_at("format", f"formats a text that has a place `{name}` and is given no value for it", node)
            return


def _stripped(node: ast.Call, method: ast.Attribute) -> Iterator[Mistake]:
    """Characters that are given twice were meant as a word."""
    value = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
    if method.attr not in _STRIPS or not isinstance(value, str) or len(value) < _LEAST_STRIPPED:
        return
    twice = [letter for letter, count in Counter(value).items() if count > 1 and letter.isalpha()]
    if twice:
        said = f"takes off every letter of {value!r}, in any order, not that text: `{source_of(node)}`"
        yield said_at("stripped", said, node)


def _missing_comma(node: ast.List | ast.Tuple | ast.Set, lines: list[str]) -> Iterator[Mistake]:
    """Two words of a list of words that stand on two lines with no comma between them."""
    words = [_literal(each) for each in node.elts]
    if len(words) < _LEAST_WORDS or any(word is None or not _WORD.fullmatch(word) for word in words):
        return
    for each in node.elts:
        last = each.end_lineno or each.lineno
        source = lines[each.lineno - 1 : last]
        if last == each.lineno + 1 and "\\" not in source[0] and '"""' not in source[0]:
            said = f"joins two words of a list into one, {_literal(each)!r}: there is no comma between them"
            yield said_at("joined", said, each)


def _one_text(node: ast.Compare, lines: list[str]) -> Iterator[Mistake]:
    """`x in ("text")`: the parentheses make no tuple, so that any part of the text is in it."""
    for operator, right in zip(node.ops, node.comparators, strict=True):
        if not isinstance(operator, ast.In | ast.NotIn) or not _literal(right):
            continue
        line = lines[right.lineno - 1].encode()
        after = lines[(right.end_lineno or right.lineno) - 1].encode()[right.end_col_offset or 0 :]
        if _OPENING.search(line[: right.col_offset].decode("utf-8", "replace")) and after.lstrip().startswith(b")"):
            said = f"looks for a part of a text where a tuple was meant: `{source_of(node)}` has no comma"
            yield said_at("no tuple", said, node)


def _constant_choice(test: ast.expr) -> Iterator[Mistake]:
    """`x == "a" or "b"`, which is always true."""
    for node in ast.walk(test):
        values = node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) else []
        if values and isinstance(values[0], ast.Compare) and any(_literal(each) for each in values[1:]):
            yield said_at("always true", f"is always true: `{source_of(node)}`", node)


# What is evaluated once, while the function is defined, and would be wanted at each call.
_MOMENTS = frozenset(
    f"{prefix}{name}"
    for name, prefixes in {
        "time": ("time.",),
        "monotonic": ("time.",),
        "perf_counter": ("time.",),
        "now": ("datetime.", "datetime.datetime."),
        "utcnow": ("datetime.", "datetime.datetime."),
        "today": ("date.", "datetime.date.", "datetime."),
        "uuid4": ("", "uuid."),
        "uuid1": ("", "uuid."),
    }.items()
    for prefix in prefixes
)


def _default(node: ast.arguments) -> Iterator[Mistake]:
    for value in [*node.defaults, *node.kw_defaults]:
        if isinstance(value, ast.Call) and ast.unparse(value.func) in _MOMENTS:
            yield said_at("evaluated once", f"has the default `{source_of(value)}`, taken once for all calls", value)


def _raised(node: ast.Raise) -> Iterator[Mistake]:
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if isinstance(error, ast.Name) and error.id == "NotImplemented":
        yield said_at("wrong error", "raises NotImplemented, which is no error (NotImplementedError is)", node)
