"""The OpenAPI document of the HTTP API, its schemas taken from the dataclasses that are answered."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from mesh_assets import __version__
from mesh_assets.search.timeline import Moment
from mesh_assets.serving.answers import MOST_HITS, Around, Found, ReportLink

_LIMIT = {"type": "integer", "minimum": 1, "maximum": MOST_HITS, "default": 10}
_CALLS: dict[str, tuple[str, Any, dict[str, tuple[str, bool, dict[str, Any]]]]] = {
    "/api/search": (
        "The chunks that answer a query best, by words and by meaning.",
        Found,
        {
            "q": ("Words, or a question.", True, {"type": "string"}),
            "dataset": ("Only this dataset.", False, {"type": "string"}),
            "kind": ("Only this kind: text, code, log ...", False, {"type": "string"}),
            "limit": ("Hits; facets are counted over them.", False, _LIMIT),
        },
    ),
    "/api/around": (
        "A chunk with all of its text, what is before and behind it, and its neighbours in the graph.",
        Around,
        {
            "chunk": ("Id of the chunk.", True, {"type": "string"}),
            "slice": ("Key of its slice.", True, {"type": "string"}),
        },
    ),
    "/api/moments": (
        "Events of logs and values of series around a moment.",
        list[Moment],
        {
            "near": ("The moment, ISO 8601; UTC where it says no zone.", True, {"type": "string"}),
            "seconds": ("How far around it.", False, {"type": "integer", "default": 300}),
            "dataset": ("Only this dataset, by its key.", False, {"type": "string"}),
        },
    ),
    "/api/reports": ("The reports of datasets.", list[ReportLink], {}),
}


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for path, (summary, answer, parameters) in _CALLS.items():
        schema = TypeAdapter(answer).json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        paths[path] = {
            "get": {
                "summary": summary,
                "parameters": [
                    {"name": name, "in": "query", "description": said, "required": required, "schema": kind}
                    for name, (said, required, kind) in parameters.items()
                ],
                "responses": {
                    "200": {"description": summary, "content": {"application/json": {"schema": schema}}},
                    "400": {"description": "What is wrong with the call, and what to do."},
                },
            }
        }
    info = {"title": "Intelligence Mesh", "version": __version__}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
