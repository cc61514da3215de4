"""The process that reads source code with lizard, bandit and vulture: one file after another, with limits.

It is given texts and never a path, runs none of the code, and gives up network and files (`walls`) before the first.
Answers are lines of JSON. Started by `code_tools`; nothing else imports this.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import resource
import sys
import tokenize
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, suppress
from dataclasses import astuple
from typing import Any

from mesh_assets.chunks.walls import raise_walls
from mesh_assets.insights.code_flows import depths, handed_over
from mesh_assets.insights.code_mistakes import mistakes_of, switched_off
from mesh_assets.insights.code_scopes import scope_mistakes_of
from mesh_assets.insights.code_texts import text_mistakes_of
from mesh_assets.insights.code_tools import PYTHON

# Conditions under which nothing is imported while others load the module.
_NOT_LOADED = re.compile(r"TYPE_CHECKING|'__main__'")
_Reader = Callable[[str, str], dict[str, Any]]
# What bandit says of names alone, of imports alone, and of habits: no call that a person could follow up.
_NO_CALLS = frozenset(
    {
        "B101",
        "B105",
        "B106",
        "B107",
        "B110",
        "B112",
        "B311",
        "B603",
        "B607",
        *(f"B{number}" for number in range(401, 416)),
    }
)


def main() -> None:
    """Answer requests on standard input until it is closed; the first line out names the tools that are there."""
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    tools = dict(_tools())
    _, hardest = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory if hardest == resource.RLIM_INFINITY else min(memory, hardest)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    raise_walls()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a tool prints is no answer
    print(json.dumps(sorted(tools)), file=answers, flush=True)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        # The kernel ends the process at this; the parent then goes on with the next file.
        seconds = int(used.ru_utime + used.ru_stime) + 1 + int(request["seconds"])
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        print(json.dumps(_answer(tools, request["path"], request["text"])), file=answers, flush=True)


def _tools() -> Iterator[tuple[str, _Reader]]:
    """The readers that are installed."""
    yield "syntax", _syntax
    for name, make in (("lizard", _lizard), ("bandit", _bandit), ("vulture", _vulture)):
        with suppress(ImportError):
            yield name, make()


def _answer(tools: dict[str, _Reader], path: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {"failed": []}
    is_python = path.endswith(PYTHON)
    for name, read in tools.items():
        if is_python or name == "lizard":
            try:
                with redirect_stderr(io.StringIO()):
                    found.update(read(path, text))
            except (SyntaxError, ValueError):
                pass  # no Python of this version: the chunker says so where it matters
            except Exception:  # noqa: BLE001  # whatever a tool does with an odd file is the file's fault
                found["failed"].append(name)
    return found


def _syntax(path: str, text: str) -> dict[str, Any]:
    tree = ast.parse(text, path)
    off = switched_off(tree)
    found = [*mistakes_of(tree, text), *text_mistakes_of(tree, text), *scope_mistakes_of(tree, text, path)]
    kept = sorted((each for each in found if each.first not in off), key=lambda each: each.first)
    return {
        "mistakes": [astuple(each) for each in kept],
        "imports": list(_imports(tree.body)),
        "inheriting": list(_inheriting(tree)),
        "depths": list(depths(tree)),
        "handed": [(line,) for line in sorted(set(handed_over(tree)))],
    }


def _inheriting(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """First and last lines of the classes whose methods others may call by the names that a base class gives."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and (node.keywords or any(ast.unparse(b) != "object" for b in node.bases)):
            yield node.lineno, node.end_lineno or node.lineno


def _imports(body: list[ast.stmt]) -> Iterator[tuple[str, int, list[str]]]:
    """What is imported while the module loads: module, level of a relative one, names."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level, [alias.name for alias in node.names]
        elif isinstance(node, ast.If) and not _NOT_LOADED.search(ast.dump(node.test)):
            yield from _imports([*node.body, *node.orelse])
        elif isinstance(node, ast.Try | ast.With):
            yield from _imports(node.body)


def _lizard() -> _Reader:
    import lizard  # pyright: ignore[reportMissingTypeStubs]

    analyzer: Any = lizard.analyze_file

    def read(path: str, text: str) -> dict[str, Any]:
        functions = analyzer.analyze_source_code(path, text).function_list
        return {
            "functions": [
                (each.name, each.start_line, each.end_line, each.cyclomatic_complexity, each.nloc) for each in functions
            ]
        }

    return read


def _bandit() -> _Reader:
    from bandit.core import config, meta_ast, metrics, node_visitor, test_set  # pyright: ignore[reportMissingTypeStubs]

    modules: Any = (config, meta_ast, metrics, node_visitor, test_set)
    config_of, trees, counts, visitor, tests_of = modules
    tests = tests_of.BanditTestSet(config_of.BanditConfig(), {"include": [], "exclude": sorted(_NO_CALLS)})

    def read(path: str, text: str) -> dict[str, Any]:
        content = text.encode("utf-8", "replace")
        stream = io.BytesIO(content)
        counted = counts.Metrics()
        counted.begin(path)
        visit = visitor.BanditNodeVisitor(path, stream, trees.BanditMetaAst(), tests, False, _waived(content), counted)
        visit.process(content)
        return {
            "risks": [
                (each.test_id, each.lineno, each.severity, each.confidence, str(each.text))
                for each in visit.tester.results
            ]
        }

    return read


def _waived(content: bytes) -> dict[int, set[str]]:
    """Lines that their authors looked at and marked `nosec`."""
    found: dict[int, set[str]] = {}
    with suppress(tokenize.TokenError, IndentationError):
        for token in tokenize.tokenize(io.BytesIO(content).readline):
            if token.type == tokenize.COMMENT and "nosec" in token.string:
                found[token.start[0]] = set()
    return found


def _vulture() -> _Reader:
    from vulture.core import Vulture  # pyright: ignore[reportMissingTypeStubs]

    make: Any = Vulture

    def read(path: str, text: str) -> dict[str, Any]:
        scanner = make(ignore_decorators=["@*"])
        scanner.scan(text, filename=path)
        defined = [*scanner.defined_funcs, *scanner.defined_methods, *scanner.defined_classes]
        return {
            "defined": [(each.name, each.typ, each.first_lineno, each.last_lineno) for each in defined],
            "unreachable": [(each.first_lineno, each.last_lineno, each.message) for each in scanner.unreachable_code],
        }

    return read


if __name__ == "__main__":
    main()
