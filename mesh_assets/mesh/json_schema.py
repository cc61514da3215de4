"""Whether a JSON value has the form that a JSON schema asks for: the part of the standard that answers need.

Types, properties, items, enumerations, lengths, ranges, `anyOf`, `allOf`, `oneOf` and references within the schema:
what pydantic writes for models. A schema with any other keyword is refused before it is sent: what cannot be checked is
not asked for. Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from mesh_assets.errors import SettingsError

Schema = Mapping[str, object]
# Words about a schema, which no value can break; `discriminator` is pydantic's, beside `oneOf`, which decides.
_NOTES = {"title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions"} | {
    "discriminator",
    "deprecated",
    "readOnly",
}
# Faults are for a person who reads a rejected answer: the first few say enough.
_FAULTS = 5
_DEPTH = 64


def check_schema(schema: Schema) -> None:
    """SettingsError where the schema has a keyword or a reference that `faults` does not know."""
    for place, part in _parts(schema, "#"):
        unknown = set(part) - _NOTES - set(_CHECKS) - {"$ref", "allOf", "anyOf", "oneOf"}
        if unknown:
            raise SettingsError(
                f"The schema of an answer has at {place} what is not checked here: {', '.join(sorted(unknown))}.",
                remedy=f"Use only {', '.join(sorted(set(_CHECKS) | {'anyOf', 'allOf', 'oneOf', '$ref'}))}.",
            )
        if "$ref" in part:
            _resolved(schema, part)


def faults(value: object, schema: Schema) -> list[str]:
    """What is wrong with `value`, at most five sentences, each with its place; none where it has the form."""
    found: list[str] = []
    for fault in _faults(value, schema, schema, "the answer", 0):
        found.append(fault)
        if len(found) == _FAULTS:
            break
    return found


def _faults(value: object, schema: Schema, root: Schema, place: str, depth: int) -> Iterator[str]:
    if depth > _DEPTH:
        yield f"{place} is nested too deep"
        return
    if "$ref" in schema:
        yield from _faults(value, _resolved(root, schema), root, place, depth + 1)
    for name, check in _CHECKS.items():
        if name in schema:
            fault = check(value, schema[name])
            if fault:
                yield f"{place} {fault}"
    yield from _combined(value, schema, root, place, depth)
    yield from _inner(value, schema, root, place, depth)


def _combined(value: object, schema: Schema, root: Schema, place: str, depth: int) -> Iterator[str]:
    for part in _schemas(schema.get("allOf")):
        yield from _faults(value, part, root, place, depth + 1)
    for name in ("anyOf", "oneOf"):
        if name in schema:
            fitting = sum(not any(_faults(value, part, root, place, depth + 1)) for part in _schemas(schema[name]))
            if fitting == 0 or (fitting > 1 and name == "oneOf"):
                yield f"{place} fits {fitting} of the forms that it may have"


def _inner(value: object, schema: Schema, root: Schema, place: str, depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        known = _mapping(schema.get("properties"))
        other = schema.get("additionalProperties", True)
        for name, inner in cast("dict[str, object]", value).items():
            if name in known:
                yield from _faults(inner, _mapping(known[name]), root, f"{place}.{name}", depth + 1)
            elif other is False:
                yield f"{place} has {name!r}, which the form has not"
            elif other is not True:
                yield from _faults(inner, _mapping(other), root, f"{place}.{name}", depth + 1)
    elif isinstance(value, list):
        first = _schemas(schema.get("prefixItems"))
        rest = _mapping(schema.get("items"))
        for number, inner in enumerate(cast("list[object]", value)):
            part = first[number] if number < len(first) else rest
            yield from _faults(inner, part, root, f"{place}[{number}]", depth + 1)


def _parts(schema: object, place: str) -> Iterator[tuple[str, Schema]]:
    """All schemas within a schema, each with its place."""
    if not isinstance(schema, Mapping):
        return
    part = cast("Schema", schema)
    yield place, part
    for name in ("properties", "$defs", "definitions"):
        for inner, below in _mapping(part.get(name)).items():
            yield from _parts(below, f"{place}/{name}/{inner}")
    for name in ("items", "additionalProperties"):
        yield from _parts(part.get(name), f"{place}/{name}")
    for name in ("allOf", "anyOf", "oneOf", "prefixItems"):
        for number, below in enumerate(_schemas(part.get(name))):
            yield from _parts(below, f"{place}/{name}/{number}")


def _resolved(root: Schema, schema: Schema) -> Schema:
    """The schema that `$ref` names. SettingsError where there is none."""
    reference = str(schema["$ref"])
    found: object = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        found = _mapping(found).get(name) if name else found
    if not reference.startswith("#") or not isinstance(found, Mapping):
        raise SettingsError(
            f"The schema of an answer names {reference!r}, which is not in it.",
            remedy="Put what it names under `$defs`.",
        )
    return cast("Schema", found)


def _mapping(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, Mapping) else {}


def _schemas(value: object) -> list[Schema]:
    return cast("list[Schema]", value) if isinstance(value, list) else []


def _is_number(value: object) -> bool:
    # A boolean is an int in Python; NaN and infinities are no JSON.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": lambda value: _is_number(value) and cast("float", value) == int(cast("float", value)),
}


def _type(value: object, wanted: object) -> str:
    names = cast("list[str]", wanted) if isinstance(wanted, list) else [str(wanted)]
    return "" if any(_TYPES[name](value) for name in names) else f"is no {' or '.join(names)}"


def _equal(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _required(value: object, names: object) -> str:
    if not isinstance(value, dict):
        return ""
    missing = [name for name in cast("list[str]", names) if name not in value]
    return f"lacks {', '.join(missing)}" if missing else ""


def _bound(is_within: Callable[[float, float], bool], words: str) -> Callable[[object, object], str]:
    def check(value: object, bound: object) -> str:
        outside = _is_number(value) and not is_within(cast("float", value), cast("float", bound))
        return f"is {value}, not {words} {bound}" if outside else ""

    return check


def _length(kind: type, is_within: Callable[[int, int], bool], words: str) -> Callable[[object, object], str]:
    def check(value: object, bound: object) -> str:
        if not isinstance(value, kind) or is_within(len(cast("str", value)), cast("int", bound)):
            return ""
        return f"has {len(cast('str', value))} {words} {bound}"

    return check


def _pattern(value: object, pattern: object) -> str:
    found = not isinstance(value, str) or re.search(str(pattern), value)
    return "" if found else f"does not match {pattern}"


def _nothing(value: object, wanted: object) -> str:  # `_inner` looks at these
    return ""


_CHECKS: dict[str, Callable[[object, object], str]] = {
    "type": _type,
    "enum": lambda value, allowed: (
        "" if any(_equal(value, each) for each in cast("list[object]", allowed)) else f"is none of {allowed}"
    ),
    "const": lambda value, wanted: "" if _equal(value, wanted) else f"is not {wanted!r}",
    "required": _required,
    "minimum": _bound(lambda value, bound: value >= bound, "at least"),
    "maximum": _bound(lambda value, bound: value <= bound, "at most"),
    "exclusiveMinimum": _bound(lambda value, bound: value > bound, "above"),
    "exclusiveMaximum": _bound(lambda value, bound: value < bound, "below"),
    "minLength": _length(str, lambda size, bound: size >= bound, "characters of at least"),
    "maxLength": _length(str, lambda size, bound: size <= bound, "characters of at most"),
    "minItems": _length(list, lambda size, bound: size >= bound, "entries of at least"),
    "maxItems": _length(list, lambda size, bound: size <= bound, "entries of at most"),
    "pattern": _pattern,
    "properties": _nothing,
    "additionalProperties": _nothing,
    "items": _nothing,
    "prefixItems": _nothing,
}
