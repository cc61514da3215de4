"""Mistakes in texts, scopes and flows of Python: what is told, and what is right and is not."""

from __future__ import annotations

import ast

import pytest

from mesh_assets.insights.code_flows import depths, handed_over
from mesh_assets.insights.code_mistakes import Mistake
from mesh_assets.insights.code_scopes import scope_mistakes_of
from mesh_assets.insights.code_texts import text_mistakes_of


def mistakes(text: str, path: str = "app/file.py") -> list[Mistake]:
    tree = ast.parse(text)
    return [*text_mistakes_of(tree, text), *scope_mistakes_of(tree, text, path)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(n):\n    raise ValueError('wants {n} rows')\n", "shows `{n}` as it stands"),
        ("def f(n):\n    raise ValueError(f'{n} rows' ' of {n}')\n", "shows `{n}` as it stands"),
        ("def f(n, log):\n    log.warning('wants {n.size:d} rows')\n", "shows `{n}` as it stands"),
        ("raise ValueError('no %s', name)\n", "does not put them into the text"),
        ("print('see %s', link)\n", "does not put them into the text"),
        ("logger.warning('failed:', error)\n", "1 value in a text with 0 places"),
        ("x = '{} of {}'.format(a)\n", "has a place `1`"),
        ("x = '{name}'.format(nam=a)\n", "has a place `name`"),
        ("x = name.lstrip('attn.')\n", "takes off every letter"),
        ("x = [\n'alpha',\n'beta'\n'gamma',\n'delta', 'eps']\n", "'betagamma'"),
        ("x = a in ('text')\n", "has no comma"),
        ("if a == 'x' or 'y':\n    pass\n", "always true"),
        ("def f(now=time.time()): pass\n", "taken once for all calls"),
        ("raise NotImplemented('later')\n", "NotImplementedError is"),
        ("def f():\n    return missing\n", "uses missing"),
        ("__all__ = ['gone']\n", "promises gone"),
        ("async def f(): pass\nasync def g():\n    f()\n", "without await"),
        ("class A:\n    async def f(self): pass\n    async def g(self):\n        self.f()\n", "without await"),
    ],
)
def test_what_is_not_meant_is_told(text: str, said: str) -> None:
    (mistake,) = mistakes(text)
    assert said in mistake.said


@pytest.mark.parametrize(
    "text",
    [
        "def f(n):\n    raise ValueError(f'wants {n} rows')\n",
        "def f(n):\n    raise ValueError(f'{n} as {{n}}')\n",
        "def f(n, error):\n    raise error('wants {n} rows', n=n)\n",
        "def f(n):\n    raise ValueError('a path as /{key}')\n",
        "raise OSError(2, 'no %s')\n",
        "logger.info('%d%% of %s', a, b)\n",
        "logger.info('%(a)s', {'a': 1})\n",
        "x = '{} of {{}}'.format(a)\n",
        "x = '{0} {name}'.format(a, **names)\n",
        "x = name.strip(' .,')\n",
        "x = [\n'a long sentence that '\n'goes on', 'b', 'c', 'd']\n",
        "x = a in ('text',)\nf(a in 'text')\n",
        "x = a == 'x' or 'y'\n",
        "def f(now=None): pass\n",
        "def top(self):\n    return self\n",
        "def f():\n    global a\n    a = 1\ndef g():\n    return a\n",
        "def f() -> later:\n    x: later = 1\n    return x\n",
        "def f():\n    try:\n        return unknown\n    except NameError:\n        return 1\n",
        "from a import *\n__all__ = ['gone']\ndef f():\n    return b\n",
        "def f():\n    return [x for x in __file__]\n",
        "async def f(): pass\nasync def g():\n    await f()\n",
        "async def f(): pass\nasync def g(other):\n    other.f()\n",
    ],
)
def test_what_is_meant_is_not_told(text: str) -> None:
    assert mistakes(text) == []


def test_branches_within_branches_weigh_more_than_branches_in_a_row() -> None:
    row = "def f(a):\n" + "    if a: b()\n" * 4
    elifs = "def f(a):\n    if a: b()\n" + "    elif a: b()\n" * 3
    nested = "def f(a):\n    for b in a:\n        if b:\n            while c:\n                if d: e()\n"
    assert [next(depths(ast.parse(text)))[1] for text in (row, elifs, nested)] == [4, 4, 10]


def test_an_expression_of_any_depth_is_read() -> None:
    deep = "def f(a):\n    return a" + " + a" * 900 + "\n"
    assert mistakes(deep) == []
    assert list(depths(ast.parse(deep))) == [(1, 0)]


def test_a_command_that_a_caller_gives_is_told_from_the_programs_own() -> None:
    given = "def f(name):\n    command = 'ls ' + name\n    os.system(command)\n"
    own = "def f(self):\n    command = 'ls ' + self.name\n    os.system(command)\n"
    assert [list(handed_over(ast.parse(text))) for text in (given, own)] == [[3], []]
