"""Python, Ruby, PHP, Lua and bash."""

from __future__ import annotations

from mesh_assets.chunks.syntax.grammar import Grammar

PYTHON = Grammar(
    name="python",
    package="tree_sitter_python",
    definitions={"function_definition": "function", "class_definition": "class"},
    forms="""
((module (expression_statement (assignment left: (identifier) @name)) @constant) (#match? @name "^_?[A-Z][A-Z0-9_]*$"))
(type_alias_statement left: (type (_) @name)) @type
""",
    uses="""
(call function: [(identifier) (attribute)] @call)
(import_statement name: [(dotted_name) @import (aliased_import name: (_) @import)])
(import_from_statement module_name: (_) @module)
(import_from_statement name: [(dotted_name) @member (aliased_import name: (_) @member)])
(import_from_statement (wildcard_import) @member)
(future_import_statement name: [(dotted_name) @import (aliased_import name: (_) @import)])
(class_definition superclasses: (argument_list [(identifier) (attribute) (subscript) (call)] @base))
(function_definition body: (block . (expression_statement . (string) @doc)))
(class_definition body: (block . (expression_statement . (string) @doc)))
(module . (expression_statement . (string) @doc))
(module . (comment)+ . (expression_statement . (string) @doc))
""",
    passed=frozenset({"decorator"}),
    wrappers=frozenset({"decorated_definition"}),
)

RUBY = Grammar(
    name="ruby",
    package="tree_sitter_ruby",
    definitions={"class": "class", "module": "namespace", "method": "method", "singleton_method": "method"},
    forms="(assignment left: (constant) @name) @constant",
    uses="""
(call receiver: (_)? @object method: (_) @call)
((call method: (identifier) @_name arguments: (argument_list . (string (string_content) @import)))
  (#match? @_name "^(require|require_relative|load|autoload)$"))
(superclass (_) @base)
((call method: (identifier) @_name arguments: (argument_list (_) @base)) (#match? @_name "^(include|extend|prepend)$"))
""",
)

PHP = Grammar(
    name="php",
    package="tree_sitter_php",
    entry="language_php",
    definitions={
        "class_declaration": "class",
        "interface_declaration": "interface",
        "trait_declaration": "trait",
        "enum_declaration": "enum",
        "function_definition": "function",
        "method_declaration": "method",
    },
    forms="""
(namespace_definition name: (_) @name body: (_)) @namespace
(const_declaration (const_element (name) @name)) @constant
(property_declaration (property_element name: (_) @name)) @property
""",
    uses="""
(function_call_expression function: (_) @call)
(member_call_expression object: (_) @object name: (_) @call)
(nullsafe_member_call_expression object: (_) @object name: (_) @call)
(scoped_call_expression scope: (_) @object name: (_) @call)
(object_creation_expression [(name) (qualified_name)] @call)
(namespace_use_clause . [(qualified_name) (name)] @import)
[(require_expression (_) @import) (require_once_expression (_) @import) (include_expression (_) @import)
 (include_once_expression (_) @import)]
(base_clause (_) @base)
(class_interface_clause (_) @base)
(use_declaration (_) @base)
""",
    passed=frozenset({"attribute_list"}),
)

LUA = Grammar(
    name="lua",
    package="tree_sitter_lua",
    definitions={"function_declaration": "function"},
    forms="""
(assignment_statement (variable_list . name: (_) @name) (expression_list . value: (function_definition
  parameters: (_) @head))) @function
(field name: (identifier) @name value: (function_definition parameters: (_) @head)) @function
((chunk (variable_declaration (assignment_statement (variable_list . name: (identifier) @name))) @constant)
  (#match? @name "^[A-Z][A-Z0-9_]*$"))
""",
    uses="""
(function_call name: (_) @call)
((function_call name: (identifier) @_name arguments: (arguments . (string) @import)) (#eq? @_name "require"))
""",
    wrappers=frozenset({"variable_declaration"}),
    joints=(":",),
)

BASH = Grammar(
    name="shell",
    package="tree_sitter_bash",
    is_narrow=True,
    definitions={"function_definition": "function"},
    forms="""
((program (variable_assignment name: (_) @name) @constant) (#match? @name "^[A-Z][A-Z0-9_]*$"))
((program (declaration_command (variable_assignment name: (_) @name)) @constant) (#match? @name "^[A-Z][A-Z0-9_]*$"))
""",
    uses="""
(command name: (command_name (word) @call))
((command name: (command_name (word) @_name) . argument: (_) @import) (#match? @_name "^(source|\\\\.)$"))
""",
)
