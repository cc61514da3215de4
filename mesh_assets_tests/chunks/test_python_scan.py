"""The outline from lines is that of the syntax tree wherever it is given, and is not given where lines do not tell."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.cutting import Cutter
from mesh_assets.chunks.python_scan import Unit, scanned_units
from mesh_assets.chunks.python_text import Lines, Logical
from mesh_assets.chunks.syntax.outline import parsed
from mesh_assets.chunks.syntax.utf8 import Utf8
from mesh_assets.chunks.windows import Window, codec_for

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
SITE = Path(sysconfig.get_paths()["purelib"])


class Defined(NamedTuple):
    """A definition of the syntax tree: the first row of the comments above it, its own, and whether it is indented."""

    symbol: str
    lead: int
    row: int
    is_inner: bool


def both(text: str, limit: int = 64) -> tuple[list[Unit] | None, list[Defined]]:
    """The units from lines, and the definitions of the syntax tree."""
    size = len(text.encode("utf-8", "surrogateescape"))
    cutter = Cutter.of(Window(text, 0, size, 1, codec_for("utf-8"), final=True), "code")
    lines = Lines.of(cutter.meter)
    logical = Logical.of(text, lines, cutter.meter.codes)
    units = scanned_units(text, lines, logical, limit) if logical is not None else None
    content = Utf8.of(cutter.window)
    outline = parsed(content.data, "python")
    assert outline is not None
    return units, [
        Defined(
            each.symbol, content.line_at(each.lead) - 1, content.line_at(each.start) - 1,
            content.data[each.start - 1 : each.start].isspace() and content.data[each.start - 1] != 10,
        )
        for each in outline.definitions
        if each.type not in ("constant", "type")
    ]  # fmt: skip


def wrong(units: list[Unit], tree: list[Defined]) -> set[object]:
    """Definitions that are none in the syntax tree, or that are missing.

    (Comments between the head of a class and its first member are a part of the head.)
    """
    whole = {(unit.symbol, unit.row) for unit in units if unit.whole}
    known = {(each.symbol, row) for each in tree for row in range(each.lead, each.row + 1)}
    return {*(whole - known), *({(each.symbol, each.lead) for each in tree if not each.is_inner} - whole)}


SNIPPETS = {
    "decorators and comments": "# about f\n# more\n@a(\n  1,\n)\n# between\n@b\ndef f(x):\n    return x\n",
    "brackets in strings and comments": "x = '(' # (\ny = [\n  ')',  # ]\n]\ndef f():\n    pass\n",
    "strings over lines": 's = """\ndef no():\n    pass\n"""\nt = \'a\\\n b\'\ndef yes(): pass\n',
    "f-strings": "v = f\"{a['b']:>{w}} {c!r}\"\nw = f'{x:{{}}}'\nasync def g():\n    await h()\n",
    "continued lines": "if a and \\\n   b:\n    c = 1\nelse:\n    d = 2\ndef f():\n    e = a + \\\n1\n",
    "a comment before else": "if a:\n    b\n# why\nelse:\n    c\n\nclass A(B):\n    pass\n",
    "comments of several blocks": (
        "class A:\n    # first\n    def f(self):\n        pass\n        # in f\n    # of A\n    x = 1\n"
    ),
    "tabs": "class A:\n\tdef f(self):\n\t\treturn (\n  1)\n\n\tdef g(self): pass\n",
    "returns": "class A:\r\n    def f(self):\r\n        return (\r\n            1)\r\n\r\n    def g(self): pass\r\n",
    "a byte order mark": "\ufeff'''Doc.'''\ndef f():\n    pass\n",
    "no line at the end": "def f():\n    return 1",
    "one line": "class A: pass\nclass B: x = 1; y = 2\ndef f(): return {1: 2}\n",
    "names like keywords": "classes = 1\ndefault = 2\nelsewhere = 3\nasyncio = 4\nfinally_ = 5\ndef f():\n    pass\n",
    "a docstring": '"""What it is."""\nimport os\ndef f():\n    pass\n',
    "no docstring": '"""What""" + """it is."""\ndef f():\n    pass\n',
    "match": "match x:\n    case {'a': 1}:\n        y = 1\n    case _:\n        y = 2\ndef f():\n    pass\n",
    "nothing": "",
    "blank": "\n \n\n",
}


@pytest.mark.parametrize("name", SNIPPETS)
@pytest.mark.parametrize("limit", [8, 32, 256])
def test_definitions_are_those_of_the_syntax_tree(name: str, limit: int) -> None:
    scanned, tree = both(SNIPPETS[name], limit)
    assert scanned is not None
    assert not wrong(scanned, tree)
    assert [unit.row for unit in scanned] == sorted({unit.row for unit in scanned})
    assert scanned[0].row == 0


@pytest.mark.parametrize(
    "text",
    [
        "x = (1,\ndef f():\n    pass\n",
        "x = 1)\ndef f():\n    pass\n",
        's = """never closed\ndef f():\n    pass\n',
        "s = 'never closed\ndef f():\n    pass\n",
        "s = '''\ndef f():\n    pass",
        "def f():\n    if a:\n\tpass\n",
        "@decorated\nx = 1\n",
        "class :\n    pass\n",
        "    x = 1\ndef f():\n    pass\n",
        "else:\n    x = 1\n",
        "def f():\r    pass\n",
        "class A:\n" + "        x = 1\n" * 20 + "    y = 1\n",
    ],
)
def test_what_lines_do_not_tell_is_left_to_the_syntax_tree(text: str) -> None:
    assert both(text, 16)[0] is None


def _compared(paths: list[Path]) -> tuple[int, int, list[Path]]:
    """Files that were read, that have no outline from lines, and whose outline is another one."""
    read, unsure, other = 0, 0, list[Path]()
    for path in paths:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        if 0 < len(text) < 1 << 20:
            read += 1
            scanned, tree = both(text, 256)
            if scanned is None:
                unsure += 1
            elif wrong(scanned, tree):
                other.append(path)
    return read, unsure, other


def test_the_standard_library_has_the_outline_of_its_syntax_trees() -> None:
    read, unsure, other = _compared(sorted(LIBRARY.glob("*.py"))[::6])
    assert read > 25
    assert unsure <= 1
    assert not other


@pytest.mark.slow
def test_all_of_the_library_and_of_the_packages_have_the_outline_of_their_syntax_trees() -> None:
    library = [path for path in LIBRARY.rglob("*.py") if "site-packages" not in path.parts]
    read, unsure, other = _compared(sorted(library) + sorted(SITE.rglob("*.py")))
    assert read > 5_000
    assert unsure <= 0.02 * read
    assert len(other) <= 0.001 * read, other


_LINES = st.sampled_from(
    [
        "def f(a, b=')'):", "class C(object):", "    def m(self):", "        return [", "            1]", "    x = '''",
        "'''", "# note", "    # inner", "@deco", "    @deco", "if a:", "    pass", "else:", "", "y = {'#': \"'\"}",
        "    else:", "try:", "except E:", "z = (", ")", "    async def n(self): pass",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(_LINES, max_size=14))
def test_any_lines_give_units_in_order_or_none(lines: list[str]) -> None:
    text = "\n".join(lines)
    scanned, _ = both(text, 16)
    if scanned is not None:
        rows = [unit.row for unit in scanned]
        assert rows == sorted(set(rows))
        assert rows[0] == 0
        assert all(unit.row < row < len(lines) for unit in scanned for row in unit.cuts)
