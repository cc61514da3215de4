"""JavaScript and TypeScript, each with JSX."""

from __future__ import annotations

from dataclasses import replace

from mesh_assets.chunks.syntax.grammar import Grammar

_FUNCTION = """[
  (arrow_function body: (_) @body) (function_expression body: (_) @body) (generator_function body: (_) @body)
]"""

JAVASCRIPT = Grammar(
    name="javascript",
    package="tree_sitter_javascript",
    definitions={
        "function_declaration": "function",
        "generator_function_declaration": "function",
        "class_declaration": "class",
        "method_definition": "method",
    },
    forms=f"""
(lexical_declaration (variable_declarator name: (identifier) @name value: {_FUNCTION})) @function
(variable_declaration (variable_declarator name: (identifier) @name value: {_FUNCTION})) @function
(expression_statement (assignment_expression left: (_) @name right: {_FUNCTION})) @function
(pair key: (property_identifier) @name value: {_FUNCTION}) @function
(field_definition property: (_) @name value: {_FUNCTION}) @method
(lexical_declaration (variable_declarator name: (identifier) @name value: (class body: (_) @body))) @class
(lexical_declaration (variable_declarator name: (identifier) @name value: (object) @body)) @object
(variable_declaration (variable_declarator name: (identifier) @name value: (object) @body)) @object
((lexical_declaration "const" (variable_declarator name: (identifier) @name)) @constant
  (#match? @name "^[A-Z][A-Z0-9_]*$"))
""",
    uses="""
(call_expression function: [(identifier) (member_expression)] @call)
(new_expression constructor: (_) @call)
(import_statement source: (_) @import)
(export_statement source: (_) @import)
(call_expression function: (import) arguments: (arguments . (string) @import))
((call_expression function: (identifier) @_name arguments: (arguments . (string) @import)) (#eq? @_name "require"))
(class_heritage (_) @base)
""",
    passed=frozenset({"decorator"}),
    above=("decorator",),
    wrappers=frozenset({"export_statement"}),
)

_TYPED = {
    **JAVASCRIPT.definitions,
    "abstract_class_declaration": "class",
    "interface_declaration": "interface",
    "enum_declaration": "enum",
    "type_alias_declaration": "type",
    "internal_module": "namespace",
    "module": "namespace",
    "function_signature": "prototype",
    "method_signature": "prototype",
    "abstract_method_signature": "prototype",
}
TYPESCRIPT = replace(
    JAVASCRIPT,
    name="typescript",
    package="tree_sitter_typescript",
    entry="language_typescript",
    definitions=_TYPED,
    forms=JAVASCRIPT.forms.replace("field_definition property", "public_field_definition name"),
    uses=JAVASCRIPT.uses.replace("(class_heritage (_) @base)", "")
    + """
(extends_clause value: (_) @base)
(implements_clause (_) @base)
(extends_type_clause type: (_) @base)
""",
    wrappers=frozenset({"export_statement", "ambient_declaration", "expression_statement"}),
)
TSX = replace(TYPESCRIPT, name="tsx", entry="language_tsx")
