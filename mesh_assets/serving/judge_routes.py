"""The page to judge over HTTP: what it shows, and the one call of this server that changes anything.

Another web page in the same browser must not judge: a verdict is taken only as JSON from a page of this server, which
its origin tells, with the token that only such a page can read.
"""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from mesh_assets.errors import QueryError
from mesh_assets.serving.judging import Judging
from mesh_assets.settings import Settings

TOKEN = "x-mesh-token"  # noqa: S105  # the name of a header
_PAGE = Path(__file__).parent / "static" / "judge.html"
_MOST_BYTES = 4_096
_FIELDS = ("case_id", "slice", "depth", "word")


def judge_routes(settings: Settings) -> list[Route]:
    """`/judge` and what it asks, below `/api/judge`."""
    calls = _Calls(Judging(settings))
    return [
        Route("/judge", _page),
        Route("/api/judge", calls.queue),
        Route("/api/judge", calls.judge, methods=["POST"]),
        Route("/api/judge/cited", calls.cited),
        Route("/judge/{plot}.svg", calls.plot),
    ]


async def _page(_: Request) -> Response:
    return FileResponse(_PAGE)


class _Calls:
    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._token = secrets.token_urlsafe(32)

    async def queue(self, _: Request) -> Response:
        found = await run_in_threadpool(self._judging.queue)
        return _json({"token": self._token, **asdict(found)})

    async def judge(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal:
            said = {"message": refusal, "remedy": "Judge on the page of this server; load it again."}
            return JSONResponse(said, status_code=403)
        fields = await _fields(request)
        await run_in_threadpool(self._judging.judge, *(fields[name] for name in _FIELDS))
        return _json({"judged": fields["case_id"]})

    async def cited(self, request: Request) -> Response:
        asked = request.query_params
        case, key, depth = (asked.get(name, "") for name in ("case", "slice", "depth"))
        claim, citation = (_number(asked.get(name, "")) for name in ("claim", "citation"))
        return _json(asdict(await run_in_threadpool(self._judging.cited, case, key, depth, claim, citation)))

    async def plot(self, request: Request) -> Response:
        found = await run_in_threadpool(self._judging.plot, request.path_params["plot"])
        return Response(status_code=404) if found is None else Response(found, media_type="image/svg+xml")

    def _refusal(self, request: Request) -> str:
        """Why a verdict is not taken; empty where it is one of our own page."""
        headers = request.headers
        if headers.get("origin") != f"{request.url.scheme}://{headers.get('host')}":
            return "The verdict comes from another page."
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "The verdict comes from another page."
        if headers.get("content-type", "").partition(";")[0] != "application/json":
            return "A verdict is JSON."
        if not hmac.compare_digest(headers.get(TOKEN, "").encode(), self._token.encode()):
            return "The verdict has no token of this server, or one of before it was started again."
        return ""


async def _fields(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            break
    try:
        found: object = json.loads(body) if len(body) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        found = None
    fields = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if not all(isinstance(fields.get(name), str) for name in _FIELDS):
        raise QueryError("This is no verdict.", remedy=f"Give {', '.join(_FIELDS)} as texts.")
    return {name: fields[name] for name in _FIELDS}


def _number(value: str) -> int:
    if not value.isdecimal() or len(value) > 6:
        raise QueryError(f"{value!r} is no number of a claim or citation.", remedy="Count from 0.")
    return int(value)


def _json(content: dict[str, Any]) -> Response:
    # Also as a page of its own it could not be taken for HTML.
    return Response(json.dumps(content).replace("<", "\\u003c"), media_type="application/json")
