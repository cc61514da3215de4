"""`mesh search`: one query over all indexes."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, errors, print_json, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.reports.prose import show_command
from mesh_assets.search.protocol import SearchHit
from mesh_assets.serving.one_query import Answer, OneQuery
from mesh_assets.settings import load_settings

_OTHERS = 3  # further places of a text that are named
_FACETS = 8  # values of a facet that are named


class Kind(StrEnum):
    """Kinds of data."""

    TEXT = "text"
    CODE = "code"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    LOG = "log"
    STRUCTURED = "structured"
    METRIC = "metric"


class Mode(StrEnum):
    """How chunks are found."""

    HYBRID = "hybrid"
    WORDS = "words"
    MEANING = "meaning"
    REGEX = "regex"
    GRAPH = "graph"
    TIME = "time"


def search(
    query: Annotated[str, typer.Argument(help='Words, or a question; "phrases", -excluded, /pattern/, path:*.log.')],
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only this kind.")] = None,
    path: Annotated[str | None, typer.Option(help="Only paths that hold this, or match this glob.")] = None,
    label: Annotated[str | None, typer.Option(help="Only what names such a thing: host, ip ...")] = None,
    after: Annotated[str | None, typer.Option(help="Only from this moment on, UTC.")] = None,
    before: Annotated[str | None, typer.Option(help="Only before this moment.")] = None,
    mode: Annotated[Mode, typer.Option(help="graph takes a name, time takes a moment.")] = Mode.HYBRID,
    regex: Annotated[bool, typer.Option("--regex", help="The query is a regular expression (RE2).")] = False,
    page: Annotated[int, typer.Option(min=1, max=1000, help="Page of hits to show.")] = 1,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Hits of a page.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find chunks by words, meaning, pattern, name or time; each hit shows its file, why it is one, how to open it."""
    mesh = OneQuery(load_settings())
    fields = {
        "dataset": known_dataset(mesh.lake, dataset) if dataset else None,
        "kind": kind.value if kind else None,
        "path": path,
        "label": label,
        "after": after,
        "before": before,
    }
    how = "regex" if regex else mode.value
    offset = (page - 1) * limit
    with errors.status("Searching …"):
        answer = mesh.search(query, mode=how, limit=limit, offset=offset, **fields)
    for note in answer.notes:
        errors.print(escape(safe(note)), style="yellow", soft_wrap=True)
    if json:
        print_json([_plain(hit) for hit in answer.hits])
    else:
        _print_hits(answer.hits, offset)
        _print_facets(answer, page)


def _print_facets(answer: Answer, page: int) -> None:
    """How many of the best hits each dataset, kind and folder has, where that tells something."""
    for name, counts in answer.facets.items():
        if len(counts) > 1:
            shown = ", ".join(f"{value} {count}" for value, count in list(counts.items())[:_FACETS])
            console.print(f"[dim]by {name}: {escape(safe(shown))}[/]", soft_wrap=True)
    if answer.more:
        console.print(f"[dim]More with --page {page + 1}.[/]")


def _plain(hit: SearchHit) -> dict[str, object]:
    plain: dict[str, object] = asdict(hit)
    return plain | {"citation": str(hit.citation), "others": [str(other) for other in hit.others]}


def _print_hits(hits: list[SearchHit], offset: int) -> None:
    if not hits:
        past = "These were all: an earlier --page has them." if offset else "`mesh status` shows what was read so far."
        console.print(f"Nothing {'more' if offset else 'found'}. {past}")
    for rank, hit in enumerate(hits, offset + 1):
        symbol = f" · {hit.symbol}" if hit.symbol else ""
        where = f", {hit.citation.place}" if hit.citation.place else f":{hit.line_start}"
        place = f"{hit.dataset}/{hit.path}{where}{symbol}"
        console.print(f"[bold]{rank}. {escape(safe(place))}[/] [dim]{hit.score:.2f} {escape(safe(hit.why))}[/]")
        console.print(f"   {escape(safe(hit.snippet))}", soft_wrap=True)
        console.print(f"   [dim]{escape(show_command(hit.citation))}[/]", soft_wrap=True)
        if hit.others:
            shown = ", ".join(f"{c.dataset}/{c.path}:{c.line_start}" for c in hit.others[:_OTHERS])
            more = f" and {len(hit.others) - _OTHERS} more" if len(hit.others) > _OTHERS else ""
            console.print(f"   [dim]the same in {escape(safe(shown))}{more}[/]", soft_wrap=True)
