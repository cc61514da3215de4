"""`mesh search`: one query over both indexes."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, errors, print_json, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.indexes.protocol import Filter
from mesh_assets.reports.prose import show_command
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.search.hybrid import search as run_search
from mesh_assets.search.protocol import SearchHit, SearchResult
from mesh_assets.settings import load_settings
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.lake import Lake

_OTHERS = 3  # further places of a text that are named


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


def search(
    query: Annotated[str, typer.Argument(help="Words, or a question.")],
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Hits to show.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find chunks by their words and by their meaning; each hit shows its file, its lines and how to open it."""
    settings = load_settings()
    lake = Lake(settings.state / "lake")
    where = Filter(known_dataset(lake, dataset) if dataset else None, kind.value if kind else None)
    with errors.status("Searching …"):
        result = run_search(
            query,
            encoder=connect_encoder(settings),
            vectors=connect_vector_index(settings),
            words=connect_fulltext_index(settings),
            chunks=LakeChunks(lake),
            limit=limit,
            where=where,
        )
    for note in result.notes:
        errors.print(escape(safe(note)), style="yellow", soft_wrap=True)
    if json:
        print_json([_plain(hit) for hit in result.hits])
    else:
        _print_hits(result)


def _plain(hit: SearchHit) -> dict[str, object]:
    plain: dict[str, object] = asdict(hit)
    return plain | {"citation": str(hit.citation), "others": [str(other) for other in hit.others]}


def _print_hits(result: SearchResult) -> None:
    if not result.hits:
        console.print("Nothing found. `mesh status` shows what was read so far.")
    for rank, hit in enumerate(result.hits, 1):
        symbol = f" · {hit.symbol}" if hit.symbol else ""
        where = f", {hit.citation.place}" if hit.citation.place else f":{hit.line_start}"
        place = f"{hit.dataset}/{hit.path}{where}{symbol}"
        console.print(f"[bold]{rank}. {escape(safe(place))}[/] [dim]{hit.score:.2f} {escape(hit.why)}[/]")
        console.print(f"   {escape(safe(hit.snippet))}", soft_wrap=True)
        console.print(f"   [dim]{escape(show_command(hit.citation))}[/]", soft_wrap=True)
        if hit.others:
            shown = ", ".join(f"{c.dataset}/{c.path}:{c.line_start}" for c in hit.others[:_OTHERS])
            more = f" and {len(hit.others) - _OTHERS} more" if len(hit.others) > _OTHERS else ""
            console.print(f"   [dim]the same in {escape(safe(shown))}{more}[/]", soft_wrap=True)
