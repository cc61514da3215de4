"""The HTTP side of the search page: routes, parameters, headers. What is answered belongs to `answers`.

Drop content is hostile: the page shows it as text only, its policy runs no script but ours and loads nothing from
elsewhere. Requests with another host name are refused, so that no web page can ask through a name of its own that leads
to this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh_assets.errors import MeshError, QueryError
from mesh_assets.search.query import FIELDS, moment_of
from mesh_assets.serving.answers import Answers
from mesh_assets.serving.judge_routes import judge_routes
from mesh_assets.serving.one_query import COUNTED, MOST_HITS
from mesh_assets.serving.openapi import document
from mesh_assets.settings import Settings

STATIC = Path(__file__).parent / "static"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_SEARCHED_BY = {"q", "mode", "limit", "offset", *FIELDS}
# Reports bring their own style and pictures, and no script.
_REPORT_POLICY = "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def build_app(settings: Settings) -> Starlette:
    """The search page of a state folder and the page to judge: `/`, `/judge`, `/api/...`, `/reports/...`."""
    calls = _Calls(Answers(settings))
    reports = StaticFiles(directory=settings.state / "reports", html=True, check_dir=False)
    return Starlette(
        routes=[
            Route("/", _page),
            Route("/favicon.ico", _nothing),
            Route("/api/openapi.json", _document),
            Route("/api/search", calls.search),
            Route("/api/around", calls.around),
            Route("/api/moments", calls.moments),
            Route("/api/reports", calls.reports),
            Route("/api/picture", calls.picture),
            *judge_routes(settings),
            Mount("/static", StaticFiles(directory=STATIC)),
            Mount("/reports", reports),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(_SafeHeaders),
        ],
        exception_handlers={MeshError: _error},
    )


class _Calls:
    """The calls of the API. Each asks in a thread, so that a slow one holds up no other."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def search(self, request: Request) -> Response:
        asked = request.query_params
        if unknown := sorted(set(asked) - _SEARCHED_BY):
            raise QueryError(
                f"There is no parameter {unknown[0]!r}.", remedy=f"Parameters are {', '.join(sorted(_SEARCHED_BY))}."
            )
        return await _answer(
            lambda: self._answers.search(
                asked.get("q", ""),
                mode=asked.get("mode") or "hybrid",
                limit=_number(request, "limit", 10, COUNTED),
                offset=_number(request, "offset", 0, MOST_HITS, least=0),
                fields={field: asked.get(field) for field in FIELDS},
            )
        )

    async def around(self, request: Request) -> Response:
        return await _answer(lambda: self._answers.around(_text(request, "chunk"), _text(request, "slice")))

    async def moments(self, request: Request) -> Response:
        return await _answer(
            lambda: self._answers.moments(
                moment_of(_text(request, "near"), "near"),
                seconds=_number(request, "seconds", 300, 86_400),
                dataset=request.query_params.get("dataset"),
            )
        )

    async def reports(self, _: Request) -> Response:
        return await _answer(self._answers.reports)

    async def picture(self, request: Request) -> Response:
        chunk, slice_key = _text(request, "chunk"), _text(request, "slice")
        found = await run_in_threadpool(self._answers.picture, chunk, slice_key)
        return Response(status_code=404) if found is None else Response(found[0], media_type=found[1])


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / "page.html")


async def _nothing(_: Request) -> Response:
    return Response(status_code=204)


async def _document(_: Request) -> Response:
    return _json(document())


class _SafeHeaders:
    """Puts the policy on every answer, of reports their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = scope["path"]
                own = dict(_HEADERS)
                if path.startswith("/reports/"):
                    own["Content-Security-Policy"] = _REPORT_POLICY
                message["headers"] = [
                    *message["headers"],
                    *((name.lower().encode(), value.encode()) for name, value in own.items()),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)


async def _answer(ask: Callable[[], object]) -> Response:
    return _json(await run_in_threadpool(ask))


def _json(answer: object) -> Response:
    rows = [asdict(each) for each in answer] if isinstance(answer, list) else answer  # type: ignore[arg-type]
    content = rows if isinstance(rows, list | dict) else asdict(rows)  # type: ignore[call-overload]
    # Also as a page of its own it could not be taken for HTML.
    text = json.dumps(content, default=_written).replace("<", "\\u003c")
    return Response(text, media_type="application/json")


def _written(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def _error(_: Request, error: Exception) -> Response:
    assert isinstance(error, MeshError)
    content = {"message": error.message, "remedy": error.remedy}
    return Response(json.dumps(content), status_code=400, media_type="application/json")


def _text(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value:
        raise QueryError(f"The parameter {name} is missing.", remedy="`/api/openapi.json` says what each call takes.")
    return value


def _number(request: Request, name: str, default: int, most: int, *, least: int = 1) -> int:
    value = request.query_params.get(name, str(default))
    if not value.isdecimal() or len(value) > 9 or not least <= int(value) <= most:
        raise QueryError(f"{name} is {value!r}.", remedy=f"Give a number from {least} to {most}.")
    return int(value)
