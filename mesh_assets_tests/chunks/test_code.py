"""Python is cut at functions and classes, each chunk under its dotted path; other code at blank lines."""

from __future__ import annotations

import inspect
import json
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.protocol import Piece
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import checked, cut, source

MODULE = '''"""Greets people.

More about it.
"""
import os
import sys

LIMIT = 3


# Says hello.
# Politely.
@cached
def hello(name):
    """Greet."""
    return f"hello {name}"


class Greeter(Base):
    """Greets many."""

    kind = "loud"

    def __init__(self, names):
        self.names = names

    @property
    def count(self):
        # how many
        return len(self.names)

    class Inner:
        def run(self):
            pass


if __name__ == "__main__":
    hello(sys.argv[1])
'''


def by_symbol(pieces: list[Piece]) -> dict[str | None, list[str]]:
    found: dict[str | None, list[str]] = {}
    for piece in pieces:
        found.setdefault(piece.symbol, []).append(piece.text)
    return found


def test_functions_and_classes_that_fit_are_whole() -> None:
    found = by_symbol(cut(MODULE, "code", "python", tokens=256))
    assert list(found) == [None, "hello", "Greeter"]
    assert found["hello"][0].startswith("# Says hello.\n# Politely.\n@cached\ndef hello")
    assert found["Greeter"][0].startswith("class Greeter") and found["Greeter"][0].rstrip().endswith("pass")
    assert found[None][0].startswith('"""Greets people.') and "__main__" in found[None][1]


def test_a_larger_class_becomes_its_head_and_methods() -> None:
    pieces = cut(MODULE, "code", "python", tokens=60)
    found = by_symbol(pieces)
    assert {"Greeter", "Greeter.__init__", "Greeter.count", "Greeter.Inner"} <= set(found)
    assert found["Greeter.count"][0].lstrip().startswith("@property")
    assert next(piece.context for piece in pieces if piece.symbol == "Greeter.count") == "class Greeter(Base):"
    assert next(piece.context for piece in pieces if piece.symbol == "hello") == "Greets people."


def test_a_larger_function_is_cut_between_statements_and_names_itself() -> None:
    body = "".join(f"    value_{n} = compute(\n        {n},\n    )\n" for n in range(60))
    pieces = cut(f"def long(a, b):\n{body}", "code", "python", tokens=64)
    assert len(pieces) > 5
    assert {piece.symbol for piece in pieces} == {"long"}
    assert all(piece.text.rstrip().endswith((")", ":")) for piece in pieces)
    assert all(piece.context == "def long(a, b):" for piece in pieces[1:])


def test_small_statements_are_grouped() -> None:
    pieces = cut("".join(f"NAME_{n} = {n}\n" for n in range(100)), "code", "python", tokens=128)
    assert 5 <= len(pieces) <= 25


def test_a_comment_behind_a_statement_is_not_the_next_functions() -> None:
    found = by_symbol(cut("x = 1  # one\ndef f():\n    pass\n", "code", "python"))
    assert found["f"] == ["def f():\n    pass\n"]


@pytest.mark.parametrize("module", [json, textwrap, inspect])
def test_functions_of_the_standard_library_that_fit_are_never_split(module: object) -> None:
    text = inspect.getsource(module)  # type: ignore[arg-type]
    pieces = cut(text, "code", "python", tokens=256)
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and len(inspect.getsource(function)) < 500:  # type: ignore[attr-defined]
            holding = [piece for piece in pieces if inspect.getsource(function) in piece.text]
            assert holding, name


def test_what_does_not_parse_is_still_given() -> None:
    text = "def broken(:\n  ((((\nclass\n" * 30 + "def fine():\n    return 1\n"
    parts = checked(source(text, "code", "python"), 64)
    assert "".join(part.text for part in parts if isinstance(part, Piece)) == text
    assert {part.reason for part in parts if isinstance(part, Reject)} == {"does not parse as python, cut by lines"}


def test_other_code_is_cut_at_blank_lines() -> None:
    text = "".join(f"function f{n}(a) {{\n  return a + {n};\n}}\n\n" for n in range(30))
    pieces = cut(text, "code", "javascript", tokens=64)
    assert all(piece.text.endswith("}\n\n") for piece in pieces)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.sampled_from([48, 128]))
def test_a_function_that_fits_is_never_split(lengths: list[int], tokens: int) -> None:
    functions = [f"def f{i}():\n" + "    run(1)\n" * length + "\n\n" for i, length in enumerate(lengths)]
    pieces = cut("import os\n\n\n" + "".join(functions), "code", "python", tokens=tokens)
    for index, function in enumerate(functions):
        parts = [piece for piece in pieces if piece.symbol == f"f{index}"]
        if len(function.strip()) < 2 * tokens:
            assert [part.text.strip() for part in parts] == [function.strip()]
