"""Languages that are none of the families of C and scripts: CSS, SQL, Haskell, Julia."""

from __future__ import annotations

from mesh_assets.chunks.syntax.grammar import Grammar

CSS = Grammar(
    name="css",
    package="tree_sitter_css",
    forms="""
(rule_set (selectors) @name (block) @body) @rule
(keyframes_statement (keyframes_name) @name (keyframe_block_list) @body) @rule
""",
    uses="(import_statement . (_) @import)",
    comments=("comment", "js_comment"),
)

SQL = Grammar(
    name="sql",
    package="tree_sitter_sql",
    forms="""
(create_table . (_)* (object_reference) @name) @table
(create_view . (_)* (object_reference) @name) @view
(create_materialized_view . (_)* (object_reference) @name) @view
(create_function (object_reference) @name (function_arguments)) @function
(create_index column: (_) @name) @index
(create_type (object_reference) @name) @type
(create_trigger . (_) . (_) . (object_reference) @name) @trigger
""",
    uses="""
(invocation . (object_reference) @call)
(relation (object_reference) @base)
""",
    comments=("comment", "marginalia"),
    wrappers=frozenset({"statement"}),
)

HASKELL = Grammar(
    name="haskell",
    package="tree_sitter_haskell",
    definitions={
        "function": "function",
        "bind": "function",
        "signature": "prototype",
        "data_type": "type",
        "newtype": "type",
        "type_synonym": "type",
        "class": "class",
        "instance": "implementation",
    },
    uses="""
(apply function: [(variable) (qualified)] @call)
(import module: (_) @import)
""",
    comments=("comment", "haddock"),
    merged=True,
    bodies=frozenset({"class_declarations", "instance_declarations"}),
)

JULIA = Grammar(
    name="julia",
    package="tree_sitter_julia",
    forms="""
(module_definition name: (_) @name @head) @namespace
(function_definition (signature (call_expression . (_) @name)) @head) @function
(function_definition (signature (typed_expression . (call_expression . (_) @name))) @head) @function
(function_definition (signature (where_expression . (call_expression . (_) @name))) @head) @function
(function_definition (signature (where_expression . (typed_expression . (call_expression . (_) @name))))
  @head) @function
(assignment . (call_expression . (_) @name)) @function
(macro_definition (signature (call_expression . (_) @name)) @head) @macro
(struct_definition (type_head (identifier) @name) @head) @struct
(struct_definition (type_head (parametrized_type_expression . (_) @name)) @head) @struct
(struct_definition (type_head (binary_expression . (identifier) @name)) @head) @struct
(struct_definition (type_head (binary_expression . (parametrized_type_expression . (_) @name))) @head) @struct
(abstract_definition (type_head (identifier) @name)) @type
(abstract_definition (type_head (binary_expression . (identifier) @name))) @type
(const_statement (assignment . (identifier) @name)) @constant
""",
    uses="""
(call_expression . [(identifier) (field_expression)] @call)
(macrocall_expression . (macro_identifier) @call)
(using_statement (_) @import)
(import_statement (_) @import)
(type_head (binary_expression (operator) . (_) @base))
((call_expression . (identifier) @_name (argument_list . (string_literal) @import)) (#eq? @_name "include"))
""",
    comments=("line_comment", "block_comment"),
    above=("string_literal",),
)
