"""The OpenAPI document of the HTTP API, its schemas taken from the dataclasses that are answered."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from mesh_assets import __version__
from mesh_assets.search.query import KINDS
from mesh_assets.search.timeline import Moment
from mesh_assets.serving.answers import Around, Found, ReportLink
from mesh_assets.serving.one_query import COUNTED, MODE_NAMES, MOST_HITS

_LIMIT = {"type": "integer", "minimum": 1, "maximum": COUNTED, "default": 10}
_CALLS: dict[str, tuple[str, Any, dict[str, tuple[str, bool, dict[str, Any]]]]] = {
    "/api/search": (
        "The chunks that answer a query best, with facets counted over the best hundred.",
        Found,
        {
            "q": (
                'Words, a "phrase", -excluded, /pattern/, and fields: path: kind: dataset: symbol: label: after: '
                "before:.",
                True,
                {"type": "string"},
            ),
            "mode": ("How it is found.", False, {"type": "string", "enum": list(MODE_NAMES), "default": "hybrid"}),
            "dataset": ("Only this dataset.", False, {"type": "string"}),
            "kind": ("Only this kind.", False, {"type": "string", "enum": list(KINDS)}),
            "path": ("Only paths that hold this, or match this glob.", False, {"type": "string"}),
            "symbol": ("Only symbols that hold this, or match this glob.", False, {"type": "string"}),
            "label": ("Only chunks with an entity of this label: host, ip ...", False, {"type": "string"}),
            "after": ("Only from this moment on, ISO 8601; UTC where it says no zone.", False, {"type": "string"}),
            "before": ("Only before this moment.", False, {"type": "string"}),
            "limit": ("Hits of a page.", False, _LIMIT),
            "offset": ("Hits before the page.", False, {"type": "integer", "minimum": 0, "maximum": MOST_HITS}),
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
