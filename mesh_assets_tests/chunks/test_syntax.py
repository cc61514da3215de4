"""Programs in some twenty languages are cut at their definitions, and what they define is told beside the chunks."""

from __future__ import annotations

import ast
import inspect
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks import code
from mesh_assets.chunks.protocol import Attached, Piece
from mesh_assets.chunks.registry import chunker_for
from mesh_assets.chunks.syntax.grammars import GRAMMARS
from mesh_assets.chunks.tokens import estimate_tokens
from mesh_assets.schemas.rejects import Reject
from mesh_assets.schemas.symbols import SYMBOLS
from mesh_assets_tests.chunks import programs_compiled, programs_scripts
from mesh_assets_tests.chunks.programs import Program
from mesh_assets_tests.chunks.sources import checked, cut, source

PROGRAMS: dict[str, Program] = programs_compiled.PROGRAMS | programs_scripts.PROGRAMS
FORMATS = sorted(set(GRAMMARS) - {"tsx"})


def rows(data: str | bytes, form: str, *, encoding: str = "utf-8", path: str = "a/file") -> list[dict[str, Any]]:
    """The rows of symbols of a file."""
    chunker = chunker_for("code", form)
    assert chunker is not None
    parts = chunker.chunk(source(data, "code", form, encoding=encoding, path=path), chunk_tokens=256)
    return [part.row for part in parts if isinstance(part, Attached)]


def named(data: str | bytes, form: str, **more: str) -> dict[str, dict[str, Any]]:
    return {row["symbol"]: row for row in rows(data, form, **more)}


def test_there_is_a_program_in_every_language() -> None:
    assert sorted(PROGRAMS) == FORMATS


@pytest.mark.parametrize("form", FORMATS)
def test_a_program_says_what_it_defines(form: str) -> None:
    program = PROGRAMS[form]
    found = rows(program.text, form)
    module = found.pop(0)
    assert (module["symbol"], module["type"], module["line_start"]) == ("", "module", 1)
    assert tuple(module["imports"]) == program.imports
    first: dict[str, dict[str, Any]] = {}
    for row in found:
        first.setdefault(row["symbol"], row)
    assert list(first) == list(program.symbols)
    for symbol, expected in program.symbols.items():
        row = first[symbol]
        given_row = (row["type"], row["signature"], row["docstring"], tuple(row["calls"]), tuple(row["bases"]))
        assert given_row == tuple(expected), symbol
        assert expected.signature.split()[0] in program.text.encode()[row["byte_start"] : row["byte_stop"]].decode()


@pytest.mark.parametrize("form", FORMATS)
def test_rows_fit_the_table_of_symbols(form: str) -> None:
    added = {"chunk_id": "c", "dataset": "d", "slice": "s", "path": "p"}
    found = rows(PROGRAMS[form].text, form)
    batch = SYMBOLS.batch([{**row, **added} for row in found])
    ids = batch.column("symbol_id").to_pylist()
    assert len(set(ids)) == len(found) and all(len(each) == 32 for each in ids)


@pytest.mark.parametrize("form", FORMATS)
def test_rows_come_behind_the_chunk_that_their_definition_begins_in(form: str) -> None:
    chunker = chunker_for("code", form)
    assert chunker is not None
    piece = None
    for part in chunker.chunk(source(PROGRAMS[form].text, "code", form), chunk_tokens=40):
        if isinstance(part, Piece):
            piece = part
        elif isinstance(part, Attached):
            assert piece is not None
            start: Any = part.row["byte_start"]
            assert piece.byte_start <= start < piece.byte_stop


def test_a_method_is_under_its_class_with_its_comments_and_the_head_of_the_class() -> None:
    pieces = cut(PROGRAMS["java"].text, "code", "java", tokens=60)
    (method,) = [piece for piece in pieces if piece.symbol == "A.A"]
    assert method.text.lstrip().startswith("// makes it\n    A() {")
    assert method.context == "public class A<T> extends B implements C, D"
    first = next(piece for piece in pieces if piece.symbol == "A")
    assert first.text.startswith("/**\n * Counts things.") and "private int y;" in first.text


def test_attributes_and_doc_comments_belong_to_what_is_below() -> None:
    pieces = cut(PROGRAMS["rust"].text, "code", "rust", tokens=60)
    first = next(piece for piece in pieces if piece.symbol == "Order.fmt")
    assert first.text.lstrip().startswith("/// Shows it.\n    #[inline]\n    fn fmt")


def test_short_definitions_are_grouped_with_their_neighbours() -> None:
    pieces = cut("".join(f"int get{n}(void);\n" for n in range(60)), "code", "c", tokens=128)
    assert 3 <= len(pieces) <= 12


def test_later_parts_of_a_long_table_say_what_it_is_called() -> None:
    numbers = "".join(f"  [{n}, {n + 1}],\n" for n in range(200))
    pieces = cut(f"export const TABLE = [\n{numbers}];\n", "code", "javascript", tokens=128)
    assert len(pieces) > 5
    assert {piece.symbol for piece in pieces} == {"TABLE"}
    assert {piece.context for piece in pieces[1:]} == {"export const TABLE = ["}
    assert all(piece.text.startswith(("export", "  [")) for piece in pieces)


# How a function is written whose statements are in the middle, and a statement.
TEMPLATES = {
    "javascript": ("function {0}(a) {{\n{1}}}\n\n", "  run(1, a);\n"),
    "typescript": ("export const {0} = (a: number): void => {{\n{1}}};\n\n", "  run(1, a);\n"),
    "c": ("/* about */\nstatic int {0}(int a)\n{{\n{1}}}\n\n", "    run(1, a);\n"),
    "cpp": ("template <class T>\nvoid {0}(T a) {{\n{1}}}\n", "    run(1, a);\n"),
    "go": ("// {0} runs.\nfunc {0}(a int) {{\n{1}}}\n\n", "\trun(1, a)\n"),
    "rust": ("/// About.\n#[inline]\nfn {0}(a: i32) {{\n{1}}}\n\n", "    run(1, a);\n"),
    "ruby": ("def {0}(a)\n{1}end\n\n", "  run(1, a)\n"),
    "php": ("function {0}($a) {{\n{1}}}\n\n", "    run(1, $a);\n"),
    "lua": ("local function {0}(a)\n{1}end\n\n", "  run(1, a)\n"),
    "shell": ("{0}() {{\n{1}}}\n\n", "  run 1 $a\n"),
    "kotlin": ("fun {0}(a: Int) {{\n{1}}}\n\n", "    run(1, a)\n"),
    "swift": ("func {0}(a: Int) {{\n{1}}}\n\n", "    run(1, a)\n"),
    "scala": ("def {0}(a: Int) = {{\n{1}}}\n\n", "  run(1, a)\n"),
    "julia": ("function {0}(a)\n{1}end\n\n", "    run(1, a)\n"),
    "python": ("# about\n@cached\ndef {0}(a):\n{1}\n\n", "    run(1, a)\n"),
}
# A class around functions, which are indented by nothing: grammars do not mind.
CLASSES = {
    "java": ("class Outer {{\nint x;\n{0}}}\n", "// about\n@Ann\nvoid {0}(int a) {{\n{1}}}\n\n", "    run(1, a);\n"),
    "csharp": ("class Outer\n{{\nint x;\n{0}}}\n", "[Ann]\nvoid {0}(int a)\n{{\n{1}}}\n\n", "    run(1, a);\n"),
    "cpp": ("class Outer {{\nint x;\n{0}}};\n", "/// about\nvoid {0}(int a) {{\n{1}}}\n", "    run(1, a);\n"),
    "javascript": ("class Outer {{\nx = 1;\n{0}}}\n", "{0}(a) {{\n{1}}}\n", "    run(1, a);\n"),
    "ruby": ("class Outer\nx = 1\n{0}end\n", "# about\ndef {0}(a)\n{1}end\n", "  run(1, a)\n"),
}


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from(sorted(TEMPLATES)),
    lengths=st.lists(st.integers(1, 14), min_size=1, max_size=7),
    tokens=st.sampled_from([48, 100, 256]),
)
def test_a_function_that_fits_is_never_split(form: str, lengths: list[int], tokens: int) -> None:
    template, statement = TEMPLATES[form]
    functions = [template.format(f"f{n}", statement * length) for n, length in enumerate(lengths)]
    _check_whole(functions, ("<?php\n" if form == "php" else "") + "".join(functions), form, tokens, "")


@settings(max_examples=40, deadline=None)
@given(
    form=st.sampled_from(sorted(CLASSES)),
    lengths=st.lists(st.integers(1, 14), min_size=1, max_size=7),
    tokens=st.sampled_from([48, 100]),
)
def test_a_method_that_fits_is_never_split(form: str, lengths: list[int], tokens: int) -> None:
    around, template, statement = CLASSES[form]
    functions = [template.format(f"f{n}", statement * length) for n, length in enumerate(lengths)]
    _check_whole(functions, around.format("".join(functions)), form, tokens, "Outer.")


def _check_whole(functions: list[str], text: str, form: str, tokens: int, scope: str) -> None:
    pieces = cut(text, "code", form, tokens=tokens)
    for number, function in enumerate(functions):
        if estimate_tokens(function, "code") <= tokens:
            holding = [piece for piece in pieces if function.strip() in piece.text]
            assert len(holding) == 1, (form, function, [piece.text for piece in pieces])
        else:
            assert f"{scope}f{number}" in {piece.symbol for piece in pieces}


@settings(max_examples=120, deadline=None)
@given(
    form=st.sampled_from(FORMATS),
    data=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)),
    other=st.sampled_from(FORMATS),
    cut_at=st.integers(0, 400),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]),
    tokens=st.sampled_from([16, 64]),
)
def test_any_bytes_as_any_language_are_given_once(
    form: str, data: bytes, other: str, cut_at: int, encoding: str, tokens: int
) -> None:
    program = PROGRAMS[other].text.encode(encoding, "replace")
    checked(source(program[:cut_at] + data + program[cut_at:], "code", form, encoding=encoding), tokens)
    checked(source(data, "code", form, encoding=encoding), tokens)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["java", "python"])
def test_bytes_and_lines_are_those_of_the_file_in_any_encoding(form: str, end: str, encoding: str) -> None:
    head = {"java": "class Größe {{\n  // é\n  int {0}(int a) {{\n    return ä(a);\n  }}\n}}\n"}.get(
        form, "# é\n\ndef {0}(a):\n    return ä(a)\n"
    )
    text = head.format("zählen").replace("\n", end)
    data = text.encode(encoding)
    checked(source(data, "code", form, encoding=encoding), 64)
    symbol = "Größe.zählen" if form == "java" else "zählen"
    row = named(data, form, encoding=encoding)[symbol]
    codec = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    found = data[row["byte_start"] : row["byte_stop"]].decode(codec)
    assert found.startswith(("int zählen(int a)", "def zählen(a):")) and found.rstrip().endswith(("}", "ä(a)"))
    assert (row["line_start"], row["calls"]) == (3, ["ä"])


@pytest.mark.parametrize("form", FORMATS)
def test_no_character_is_the_end_of_a_parser(form: str) -> None:
    # In the process itself: a parser that dies of one of these takes the tests with it. (Bash's did.)
    for code_point in (0x100, 0x7FF, 0x800, 0x20AC, 0xFFFF, 0x10000, 0x1F600, 0xFF999, 0x10FFFF):
        for around in ("{{{0}", "{0}", "a{0}b = {0}1", "'{0}", '"{0}', "<<{0}\n", "${{{0}}}", "/*{0}*/ {0}", "$'{0}"):
            checked(source(around.format(chr(code_point)) * 3, "code", form), 64)


def test_characters_beyond_latin_1_keep_their_places() -> None:
    text = '# \U0001f600 日本\nrun_\u03c9() {\n  echo "\U0001f600 é"\n}\n\nnext() {\n  true\n}\n'
    found = named(text, "shell")
    row = found["next"]
    assert text.encode()[row["byte_start"] : row["byte_stop"]].decode() == "next() {\n  true\n}"
    assert "run_\u03c9" in found


def test_undecodable_bytes_move_nothing() -> None:
    data = b"// \xff\xfe\xe9\nint first(void) {\n  return 1;\n}\n"
    row = named(data, "c")["first"]
    assert data[row["byte_start"] : row["byte_stop"]] == b"int first(void) {\n  return 1;\n}"


def test_what_is_another_language_is_cut_by_lines_and_says_so() -> None:
    prose = "It was the best of times, it was the worst of times; (it) was: the [age] of wisdom?\n\n" * 40
    parts = checked(source(prose, "code", "java"), 64)
    (reject,) = [part for part in parts if isinstance(part, Reject)]
    assert reject.reason == "does not parse as java, cut by lines"
    assert (reject.byte_start, reject.byte_stop) == (0, len(prose)) and reject.remedy
    assert len(parts) > 10


def test_only_the_broken_part_of_a_program_is_cut_by_lines() -> None:
    good = "".join(f"int f{n}(int a) {{\n    return run({n}, a);\n}}\n\n" for n in range(40))
    broken = "@ $ ` here @@ is no program `` $ 1 @ 2 @ 3\n" * 12
    parts = checked(source(good + broken + good.replace("int f", "int g"), "code", "c"), 64)
    rejects = [part for part in parts if isinstance(part, Reject)]
    assert rejects and all(reject.reason == "does not parse as c, cut by lines" for reject in rejects)
    lost = sum((reject.byte_stop or 0) - (reject.byte_start or 0) for reject in rejects)
    assert lost < 3 * len(broken)
    symbols = {part.symbol for part in parts if isinstance(part, Piece)}
    assert {f"f{n}" for n in range(39)} <= symbols and len(symbols & {f"g{n}" for n in range(40)}) > 30


def test_a_file_that_is_too_large_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_PARSED_BYTES", 1000)
    text = "int a(void) { return 1; }\n" * 60
    for form in ("c", "python"):
        *pieces, reject = checked(source(text, "code", form), 64)
        assert isinstance(reject, Reject) and reject.reason == f"too large to parse as {form}, cut by lines"
        assert pieces


@pytest.mark.parametrize(
    ("form", "make"),
    [
        ("javascript", lambda n: "[" * n + "]" * n),
        ("javascript", lambda n: "(" * n),
        ("javascript", lambda n: "a" + "+a" * n + ";\n"),
        ("c", lambda n: "int f() " + "{" * n + "}" * n),
        ("java", lambda n: "class A {" * n + "}" * n),
        ("go", lambda n: "func a() {\n" * n),
        ("python", lambda n: "f(" * n + ")" * n),
        ("css", lambda n: "a{" * n),
    ],
)
def test_deep_nesting_overflows_nothing(form: str, make: Callable[[int], str]) -> None:
    checked(source(make(3_000), "code", form), 64)


def test_a_program_in_one_line_is_cut_between_statements_in_bounded_time() -> None:
    one = "!function(e,t){var n=e.a;for(var i=0;i<n.length;i++){if(n[i]===t){return n[i].f(t,{a:1,b:[2,3]})}}}(x,y);"
    text = one * (500_000 // len(one))
    before = time.process_time()
    pieces = cut(text, "code", "javascript", tokens=256)
    assert time.process_time() - before < 20
    assert max(piece.tokens for piece in pieces) <= 256
    assert sum(piece.text.startswith("!function") for piece in pieces) > 0.9 * len(pieces)
    assert [row["type"] for row in rows(text, "javascript")] == ["module"]


@pytest.mark.parametrize("module", [json.decoder, inspect, ast])
def test_symbols_of_python_are_those_of_its_own_parser(module: object) -> None:
    text = inspect.getsource(module)  # type: ignore[arg-type]
    expected: list[tuple[str, int, int]] = []
    ahead: list[tuple[ast.AST, str]] = [(ast.parse(text), "")]
    while ahead:
        node, scope = ahead.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                expected.append((scope + child.name, child.lineno, child.end_lineno or 0))
                ahead.append((child, f"{scope}{child.name}."))
            else:
                ahead.append((child, scope))
    definitions = ("function", "method", "class")
    lines = text.splitlines()
    found: list[tuple[str, int, int]] = []
    for row in rows(text, "python"):
        if row["type"] in definitions:
            start = row["line_start"]
            while lines[start - 1].lstrip().startswith(("@", "#")) or not lines[start - 1].lstrip().startswith(
                ("def", "class", "async")
            ):
                start += 1
            found.append((row["symbol"], start, row["line_stop"]))
    assert sorted(found) == sorted(expected)


def test_half_a_character_at_the_end_is_within_the_file() -> None:
    text = "x" * 300 + 'up{a="b"} 1 1700000000000\n' + "# A\n" * 5 + "***\n[1,"
    given = source(text.encode("utf-16-le") + b"\0", "code", "javascript", encoding="utf-16-le")
    (reject,) = [part for part in checked(given, 32) if isinstance(part, Reject)]
    assert reject.byte_stop == given.stop
