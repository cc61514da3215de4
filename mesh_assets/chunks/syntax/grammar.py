"""What is to be known of a language: the form of its table, and the parser and query that are made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tree_sitter import Language, Query

# Types of definitions whose body is code that runs: they are cut between statements, and what they define is theirs.
FUNCTIONS = frozenset({"function", "method", "constructor", "macro", "trigger", "procedure"})
# Types of definitions in which a function is a method.
CLASSES = frozenset({"class", "interface", "trait", "struct", "enum", "union", "implementation", "object", "protocol"})
# What counts only outside functions: inside they are variables.
OUTER_ONLY = frozenset({"constant", "variable", "field", "property", "prototype", "object"})
# Definitions that are no unit of their own but grouped with their neighbours, however many lines they have.
GROUPED = frozenset({"constant", "variable", "field", "property", "prototype", "rule", "index"})


@dataclass(frozen=True, slots=True)
class Grammar:
    """The table of one language, in the words of its tree-sitter grammar.

    `definitions` are nodes with a field `name`, and what they define. `forms` are patterns (in tree-sitter's query
    language) for all others: each captures the node by what it defines, `@name`, and where needed `@scope` (a name
    before it) and `@body` (where its head ends, if not at the field `body`; or `@head`, behind which it ends).
    `uses` are patterns with the captures `@call` (and `@object`, what it is called on), `@import` (or `@module` with
    each `@member` behind it), `@base`, and `@doc` for a text that documents what it is in.

    `above` are nodes that belong to a definition below them, as attributes; `passed` are those within it that its head
    does not begin with; `wrappers` hold one definition and what belongs to it; `bodies` are nodes where a head ends
    that are in no field `body`. Where definitions with one name and nothing between them are one, as the equations of
    a function, they are `merged`. `joints` are written between the names of a path, besides the dot. A scanner that is
    `is_narrow` gets letters of Latin-1 for all beyond it.
    """

    name: str
    package: str
    definitions: dict[str, str] = field(default_factory=dict[str, str])
    forms: str = ""
    uses: str = ""
    comments: tuple[str, ...] = ("comment",)
    above: tuple[str, ...] = ()
    passed: frozenset[str] = frozenset()
    wrappers: frozenset[str] = frozenset()
    merged: bool = False
    bodies: frozenset[str] = frozenset()
    joints: tuple[str, ...] = ("::",)
    is_narrow: bool = False
    entry: str = "language"

    @property
    def query(self) -> str:
        """All patterns: of definitions, uses, comments, what is above definitions, and what does not parse.

        One query for all, as going through a tree takes most of its time.
        """
        plain = "\n".join(f"({node} name: (_) @name) @{what}" for node, what in self.definitions.items())
        comments = " ".join(f"({node})" for node in self.comments)
        above = "".join(f"\n({node}) @above" for node in self.above)
        return f"{plain}\n{self.forms}\n{self.uses}\n[{comments}] @comment{above}\n(ERROR) @error"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A grammar with what tree-sitter makes of it."""

    grammar: Grammar
    language: Language
    query: Query


@cache
def loaded(grammar_name: str) -> Loaded:
    """The grammar of that name, its parser's table and its query: some ms for each language, once."""
    from tree_sitter import Language, Query

    from mesh_assets.chunks.syntax.grammars import GRAMMARS

    grammar = GRAMMARS[grammar_name]
    pointer = cast("object", getattr(import_module(grammar.package), grammar.entry)())
    language = Language(pointer)
    return Loaded(grammar, language, Query(language, grammar.query))
