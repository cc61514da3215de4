"""The languages: one table each, by the name of the format that intake gives."""

from __future__ import annotations

import re

from mesh_assets.chunks.syntax.grammar import Grammar
from mesh_assets.chunks.syntax.grammars_c import C_SHARP, CPP, GO, RUST, SWIFT, C
from mesh_assets.chunks.syntax.grammars_jvm import JAVA, KOTLIN, SCALA
from mesh_assets.chunks.syntax.grammars_script import BASH, LUA, PHP, PYTHON, RUBY
from mesh_assets.chunks.syntax.grammars_special import CSS, HASKELL, JULIA, SQL
from mesh_assets.chunks.syntax.grammars_web import JAVASCRIPT, TSX, TYPESCRIPT

_ALL = (
    BASH, C, CPP, C_SHARP, CSS, GO, HASKELL, JAVA, JAVASCRIPT, JULIA, KOTLIN, LUA, PHP, PYTHON, RUBY, RUST, SCALA, SQL,
    SWIFT, TSX, TYPESCRIPT,
)  # fmt: skip
GRAMMARS: dict[str, Grammar] = {grammar.name: grammar for grammar in _ALL}

# What C has no word for: a header with it is C++.
_CPP = re.compile(r"^[ \t]*(?:class[ \t]+\w|namespace\b|template[ \t]*<|using[ \t]+\w|(?:public|private)[ \t]*:)", re.M)


def grammar_for(form: str, path: str, text: str) -> str | None:
    """The name of the grammar for a file of the format `form`; None where there is none."""
    if form == "typescript" and path.lower().endswith(".tsx"):
        return TSX.name
    if form == "c" and path.lower().endswith(".h") and _CPP.search(text):
        return CPP.name
    return form if form in GRAMMARS else None
