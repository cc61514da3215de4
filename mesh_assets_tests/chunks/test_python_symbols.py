"""What Python defines and uses, found without a parser, is what the syntax tree says; strings never call anything."""

from __future__ import annotations

import sysconfig
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.protocol import Attached, Piece
from mesh_assets.chunks.python_text import masked
from mesh_assets.chunks.registry import chunker_for
from mesh_assets.chunks.syntax.outline import parsed
from mesh_assets.chunks.syntax.rows import symbol_rows
from mesh_assets.chunks.syntax.utf8 import Utf8
from mesh_assets.chunks.windows import text_windows
from mesh_assets_tests.chunks.sources import source

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
SITE = Path(sysconfig.get_paths()["purelib"])
COLUMNS = ("type", "signature", "docstring", "line_start", "line_stop", "byte_start", "byte_stop", "imports", "bases")

Row = dict[str, Any]


def scanned(data: str | bytes) -> list[Row]:
    """The rows of symbols of a module, as a slice has them."""
    chunker = chunker_for("code", "python")
    assert chunker is not None
    parts = chunker.chunk(source(data, "code", "python"), chunk_tokens=256)
    return [part.row for part in parts if isinstance(part, Attached)]


def from_tree(data: str | bytes) -> list[Row]:
    """The same from the syntax tree."""
    given_source = source(data, "code", "python")
    (window,) = text_windows(given_source, size=1 << 22)
    content = Utf8.of(window)
    outline = parsed(content.data, "python")
    assert outline is not None
    return [row for _, row in symbol_rows(given_source, outline, content)]


def differing(data: str | bytes) -> Counter[str]:
    """How many symbols there are (`all`), and in how many each column is another one; `symbol` where it is missing."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in scanned(data):
        found[row["symbol"]].append(row)
    counts: Counter[str] = Counter()
    for row in from_tree(data):
        counts["all"] += 1
        if not found[row["symbol"]]:
            counts["symbol"] += 1
            continue
        other = found[row["symbol"]].pop(0)
        counts.update(column for column in COLUMNS if row[column] != other[column])
        # In the tree `a(b()).c()` is `a`, `c`, `b`: each begins where its expression does.
        counts["calls"] += sorted(row["calls"]) != sorted(other["calls"])
    counts["symbol"] += sum(map(len, found.values()))
    return +counts


SNIPPETS = {
    "nested": "def f(a=g()):\n    def h():\n        i()\n    return h\n\n@d(x)\nclass A(B, metaclass=M): a = k()\n",
    "methods": 'class A:\n    """Doc."""\n\n    # on m\n    @p.q()\n    async def m(s):\n        await s.n().o(r)\n',
    "conditional": "if a:\n    def f(): pass\nelse:\n    class C(d.E[F], g(1), *h, i=j): x = 1\n",
    "constants": "A = b(1)\n_C: int = 3\nD, E = 1, 2\nF == 1\ndef f():\n    G = 1\nH += 1\n",
    "imports": (
        "import a.b as c, d\nfrom . import e as f\nfrom .g import (h,  # why\n    i)\nfrom __future__ import j\n"
        "try: import k\nexcept E: from l import *\ndef m():\n    import n; from o \\\n        import p\n    yield from"
    ),
    "calls": "x = a.b(c)(d)[e](f).g(h) if not(i) else 'j'.k() + (l).m() + (lambda: n())()\nprint (o)\n",
    "formatted": "v = f\"{a(b)!r:>{c(d)}} e( {{f(}} {g['h(']} {i:%j(}\" + rf'{k(l)}' + f'''{\nm(n)}'''\n",
    "strings": "s = 'a(' \"b(c)\"  # d()\nt = '''\ndef e(): f()\nimport g\n'''\n",
    "patterns": "match x(y):\n    case A(b=c) | D(): e(f)\n    case [g, *_] if h(g): pass\n",
    "one line": "class A: b = c()\ndef f(): 'doc'; g()\ndef h(x: {1: 2} = {3: 4}) -> i[j:k]: return l()\n",
    "comments": "#!/bin/python\n# What it is.\n\n# of f\n# too\ndef f():  # here\n    # 1\n    'D'\n    pass  # 2\n",
    "generics": "def f[T: (int, str)](a: T): b()\nclass A[T](B[T]): pass\ntype C = d\n",
    "returns": "class A:\r\n    def f(self):\r\n        return g(\r\n            1)\r\n",
    "tabs": "class A:\n\tdef f(self):\n\t\tg()\n\n\tx = h()\n",
    "letters": 'class Ä:\n    """Größe."""\n    def ö(self, ü=ä()):\n        return "é(x)"\n',
    "continued": "def f(a,\n      b):\n    c = \\\n        d(e)\n    return (\n        g\n        .h(i)\n    )\n",
    "keywords": "if (a): pass\nwhile(b) and(c) or(d) in(e): del(f)\nasync def g():\n    return(await(h)), i(None)\n",
    "nothing": "\n",
    "a mark": "\ufeff'''Doc.'''\nimport a\n",
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_symbols_are_those_of_the_syntax_tree(name: str) -> None:
    counts = differing(SNIPPETS[name])
    assert set(counts) == {"all"}, counts


def _shares(paths: list[Path]) -> dict[str, float]:
    """Of how many symbols each column is another one."""
    counts: Counter[str] = Counter()
    for path in paths:
        data = path.read_bytes()
        if 0 < len(data) < 1 << 22:
            counts += differing(data)
    return {column: count / counts["all"] for column, count in counts.items()}


def test_the_standard_library_has_the_symbols_of_its_syntax_trees() -> None:
    shares = _shares(sorted(LIBRARY.glob("*.py"))[::9])
    assert all(shares.get(column, 0) <= 0.001 for column in ("symbol", "type", "line_start", "line_stop")), shares
    assert all(shares.get(column, 0) <= 0.005 for column in (*COLUMNS, "calls")), shares


@pytest.mark.slow
def test_all_of_the_library_and_an_eighth_of_the_packages_have_the_symbols_of_their_syntax_trees() -> None:
    library = [path for path in sorted(LIBRARY.rglob("*.py")) if "site-packages" not in path.parts]
    shares = _shares(library + sorted(SITE.rglob("*.py"))[::8])
    assert all(shares.get(column, 0) <= 0.001 for column in ("symbol", "type", "line_start", "line_stop")), shares
    assert all(shares.get(column, 0) <= 0.002 for column in (*COLUMNS, "calls")), shares


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.sampled_from("abf.()[]{}:# \\\n'\"="), max_size=60),
    st.sampled_from(["'", '"', "'''", '"""']),
    st.sampled_from(["", "r", "b", "rb", "u", "f"]),
)
def test_neither_strings_nor_comments_call(content: str, quote: str, prefix: str) -> None:
    inner = content.replace("\\", "").replace("'", "").replace('"', "").replace("{", "{{").replace("}", "}}")
    if len(quote) == 1:
        inner = inner.replace("\n", " ")
    line = content.replace("\n", " ")
    text = (
        f"def one():  # never({line}\n    x = {prefix}{quote}never({inner}){quote}\n    # {line} never()\n    real()\n"
    )
    (module, one) = scanned(text)
    assert (module["calls"], one["calls"]) == ([], ["real"])


_LINES = st.sampled_from(
    [
        "def f(a, b=')'):", "class C(object):", "    def m(self):", "        return [", "            1]", "    x = '''",
        "'''", "# note", "    # inner", "@deco(", ")", "    @deco", "if a:", "    pass", "else:", "", "y = f'{a(b)'",
        "import a, (b", "from", "from . import", "A = 1; B = 2", "class", "def (", "\tx()", "case f(",
        "lambda: (", "\\",
    ]
)  # fmt: skip


def _checked(data: bytes) -> None:
    chunker = chunker_for("code", "python")
    assert chunker is not None
    given_source = source(data, "code", "python")
    piece: Piece | None = None
    whole: list[str] = []
    lines = data.count(b"\n") + 1
    for part in chunker.chunk(given_source, chunk_tokens=16):
        if isinstance(part, Piece):
            piece = part
            whole.append(part.text)
        elif isinstance(part, Attached):
            assert piece is not None
            row: Any = part.row
            assert piece.byte_start <= row["byte_start"] < piece.byte_stop
            assert row["byte_start"] <= row["byte_stop"] <= len(data)
            assert 1 <= row["line_start"] <= row["line_stop"] <= lines
            assert "\udc80" not in repr(row)
    assert "".join(whole).encode("utf-8", "surrogateescape") == data


@settings(max_examples=80, deadline=None)
@given(st.lists(_LINES, min_size=1, max_size=14), st.binary(max_size=8))
def test_any_lines_give_pieces_and_symbols_within_them(lines: list[str], rest: bytes) -> None:
    _checked("\n".join(lines).encode() + rest + b".")


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_give_pieces_and_symbols_within_them(data: bytes) -> None:
    _checked(data)


@settings(max_examples=80, deadline=None)
@given(st.text(st.sampled_from("abf.()[]{}:!# \\\n'\"=é"), max_size=60))
def test_the_text_without_strings_is_as_long_as_the_text(text: str) -> None:
    hidden = masked(text)
    assert hidden is None or (len(hidden) == len(text) and not {"'", '"', "#"} & set(hidden))


@pytest.mark.parametrize(
    "text",
    [
        "import a;" * 30_000,
        "import a:" * 30_000,
        "import a \\\n" * 50_000,
        "from a import (" * 8_000 + ")" * 8_000,
        "#\n" * 100_000 + "A=1;" * 20_000,
        "class A(" + "(" * 50_000 + ")" * 50_000 + "): pass\n",
        "".join(" " * n + f"def {'f' * 100}{n}():\n" for n in range(600)),
        "x = f'" + "{a(" * 20_000 + "'\n",
        "x = " + "f'{" * 20_000 + "a()" + "}'" * 20_000 + "\n",
        "match(a):\n" + " case (b): c\n" * 40_000,
        "@a\n" * 60_000 + "def f(): pass\n",
    ],
    ids=range(11),
)
def test_what_nobody_writes_takes_no_longer(text: str) -> None:
    before = time.process_time()
    _checked(text.encode())
    assert time.process_time() - before < 5
