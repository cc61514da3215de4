"""C, C++, C#, Go, Rust and Swift."""

from __future__ import annotations

from dataclasses import replace

from mesh_assets.chunks.syntax.grammar import Grammar

_DECLARED = "(function_declarator declarator: (_) @name)"
# Behind one or two stars a declarator is as it is without.
_DECLARATORS = (
    _DECLARED,
    f"(pointer_declarator {_DECLARED})",
    f"(pointer_declarator (pointer_declarator {_DECLARED}))",
)
_TAGGED = ("struct", "union", "enum")


def _each(node: str, what: str, declarators: tuple[str, ...] = _DECLARATORS) -> str:
    return "\n".join(f"({node} declarator: {form}) @{what}" for form in declarators)


C = Grammar(
    name="c",
    package="tree_sitter_c",
    definitions={"preproc_function_def": "macro", "preproc_def": "constant"},
    forms="\n".join(
        [
            _each("function_definition", "function"),
            _each("declaration", "prototype"),
            *(f"({tag}_specifier name: (_) @name body: (_)) @{tag}" for tag in _TAGGED),
            *(
                f"(type_definition type: ({tag}_specifier !name body: (_) @body) declarator: (_) @name) @{tag}"
                for tag in _TAGGED
            ),
            "(type_definition type: (_) @_type declarator: (type_identifier) @name) @type",
        ]
    ),
    uses="""
(call_expression function: (_) @call)
(preproc_include path: (_) @import)
""",
    wrappers=frozenset({"type_definition", "declaration", "field_declaration"}),
)

_REFERENCE = f"(reference_declarator {_DECLARED})"
CPP = replace(
    C,
    name="cpp",
    package="tree_sitter_cpp",
    definitions={
        **C.definitions,
        "namespace_definition": "namespace",
        "alias_declaration": "type",
        "concept_definition": "type",
    },
    forms="\n".join(
        [
            C.forms,
            "(class_specifier name: (_) @name body: (_)) @class",
            _each("function_definition", "function", (_REFERENCE,)),
            _each("declaration", "prototype", (_REFERENCE,)),
            _each("field_declaration", "prototype", (*_DECLARATORS, _REFERENCE)),
        ]
    ),
    uses=C.uses
    + """
(new_expression type: (_) @call)
(using_declaration [(qualified_identifier) (identifier)] @import)
(base_class_clause [(type_identifier) (qualified_identifier) (template_type)] @base)
""",
    passed=frozenset({"attribute_declaration"}),
    wrappers=C.wrappers | {"template_declaration"},
)

C_SHARP = Grammar(
    name="csharp",
    package="tree_sitter_c_sharp",
    definitions={
        "class_declaration": "class",
        "record_declaration": "class",
        "struct_declaration": "struct",
        "interface_declaration": "interface",
        "enum_declaration": "enum",
        "namespace_declaration": "namespace",
        "method_declaration": "method",
        "constructor_declaration": "constructor",
        "destructor_declaration": "method",
        "local_function_statement": "function",
        "property_declaration": "property",
        "delegate_declaration": "type",
    },
    forms="""
(field_declaration (variable_declaration (variable_declarator name: (_) @name))) @field
(operator_declaration operator: _ @name) @method
(indexer_declaration "this" @name) @method
""",
    uses="""
(invocation_expression function: (_) @call)
(object_creation_expression type: (_) @call)
(using_directive [(qualified_name) (identifier)] @import)
(base_list (_) @base)
""",
    passed=frozenset({"attribute_list"}),
)

GO = Grammar(
    name="go",
    package="tree_sitter_go",
    definitions={"function_declaration": "function"},
    forms="""
(method_declaration receiver: (parameter_list (parameter_declaration type: [
  (type_identifier) @scope
  (generic_type type: (_) @scope)
  (pointer_type (type_identifier) @scope)
  (pointer_type (generic_type type: (_) @scope))
])) name: (_) @name) @method
(type_spec name: (_) @name type: (struct_type (field_declaration_list) @body)) @struct
(type_spec name: (_) @name type: (interface_type)) @interface
(type_spec name: (_) @name type: [(type_identifier) (qualified_type) (map_type) (slice_type) (function_type)
  (pointer_type) (array_type) (channel_type) (generic_type)]) @type
(type_alias name: (_) @name) @type
(source_file (const_declaration (const_spec name: (_) @name) @constant))
(source_file (var_declaration (var_spec name: (_) @name) @variable))
(method_elem name: (_) @name) @prototype
""",
    uses="""
(call_expression function: (_) @call)
(import_spec path: (_) @import)
(field_declaration !name type: (_) @base)
(type_elem (type_identifier) @base)
""",
    wrappers=frozenset({"type_declaration", "const_declaration", "var_declaration"}),
)

RUST = Grammar(
    name="rust",
    package="tree_sitter_rust",
    definitions={
        "function_item": "function",
        "function_signature_item": "prototype",
        "struct_item": "struct",
        "union_item": "union",
        "enum_item": "enum",
        "trait_item": "trait",
        "mod_item": "namespace",
        "type_item": "type",
        "const_item": "constant",
        "static_item": "constant",
        "macro_definition": "macro",
    },
    forms="""
(impl_item type: [(type_identifier) (scoped_type_identifier) (reference_type) (primitive_type) (tuple_type)
  (array_type) (dynamic_type) (pointer_type)] @name) @implementation
(impl_item type: (generic_type type: (_) @name)) @implementation
""",
    uses="""
(call_expression function: (_) @call)
(macro_invocation macro: (_) @call)
(use_declaration argument: (_) @import)
(extern_crate_declaration name: (_) @import)
(impl_item trait: (_) @base)
(trait_item bounds: (trait_bounds (_) @base))
""",
    comments=("line_comment", "block_comment"),
    above=("attribute_item",),
    passed=frozenset({"attribute_item"}),
)

SWIFT = Grammar(
    name="swift",
    package="tree_sitter_swift",
    definitions={
        "protocol_declaration": "protocol",
    },
    forms="""
(function_declaration "func" . name: (_) @name) @function
(protocol_function_declaration "func" . name: (_) @name) @prototype
(typealias_declaration "typealias" . name: (_) @name) @type
(class_declaration "class" name: (_) @name) @class
(class_declaration "actor" name: (_) @name) @class
(class_declaration "struct" name: (_) @name) @struct
(class_declaration "enum" name: (_) @name) @enum
(class_declaration "extension" name: (_) @name) @implementation
(init_declaration "init" @name) @constructor
(deinit_declaration "deinit" @name) @method
(property_declaration name: (pattern bound_identifier: (_) @name)) @property
""",
    uses="""
(call_expression . (_) @call)
(import_declaration (identifier) @import)
(inheritance_specifier inherits_from: (_) @base)
""",
    comments=("comment", "multiline_comment"),
    passed=frozenset({"attribute"}),
)
