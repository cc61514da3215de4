"""Java, Kotlin and Scala."""

from __future__ import annotations

from mesh_assets.chunks.syntax.grammar import Grammar

JAVA = Grammar(
    name="java",
    package="tree_sitter_java",
    definitions={
        "class_declaration": "class",
        "record_declaration": "class",
        "interface_declaration": "interface",
        "annotation_type_declaration": "interface",
        "enum_declaration": "enum",
        "method_declaration": "method",
        "constructor_declaration": "constructor",
        "compact_constructor_declaration": "constructor",
    },
    forms="(field_declaration declarator: (variable_declarator name: (_) @name)) @field",
    uses="""
(method_invocation object: (_) @object name: (_) @call)
(method_invocation !object name: (_) @call)
(object_creation_expression type: (_) @call)
(import_declaration [(scoped_identifier) (identifier)] @import)
(superclass (_) @base)
(super_interfaces (type_list (_) @base))
(extends_interfaces (type_list (_) @base))
""",
    comments=("line_comment", "block_comment"),
    passed=frozenset({"annotation", "marker_annotation"}),
)

KOTLIN = Grammar(
    name="kotlin",
    package="tree_sitter_kotlin",
    definitions={"object_declaration": "object", "function_declaration": "function"},
    forms="""
(class_declaration "class" name: (_) @name) @class
(class_declaration "interface" name: (_) @name) @interface
(companion_object "companion" @name) @object
(secondary_constructor "constructor" @name) @constructor
(property_declaration (variable_declaration (identifier) @name)) @property
(type_alias type: (identifier) @name) @type
""",
    uses="""
(call_expression . (_) @call)
(import (qualified_identifier) @import)
(delegation_specifier [(user_type) @base (constructor_invocation (user_type) @base)])
""",
    comments=("line_comment", "block_comment"),
    passed=frozenset({"annotation"}),
    bodies=frozenset({"class_body", "enum_class_body", "function_body"}),
)

SCALA = Grammar(
    name="scala",
    package="tree_sitter_scala",
    definitions={
        "class_definition": "class",
        "object_definition": "object",
        "trait_definition": "trait",
        "enum_definition": "enum",
        "function_definition": "function",
        "function_declaration": "prototype",
        "given_definition": "function",
        "type_definition": "type",
        "package_object": "object",
    },
    forms="""
(val_definition pattern: (identifier) @name) @property
(var_definition pattern: (identifier) @name) @property
""",
    uses="""
(call_expression function: (_) @call)
(instance_expression . (_) @call)
(import_declaration) @import
(extends_clause [(type_identifier) (generic_type) (stable_type_identifier)] @base)
""",
    comments=("comment", "block_comment"),
    passed=frozenset({"annotation"}),
)
