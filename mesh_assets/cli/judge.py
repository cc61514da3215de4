"""`mesh judge`: shows an answer with what it cites, and takes a person's word on whether it is right."""

from __future__ import annotations

import getpass
import hashlib
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.cli.console import console, print_json, safe, safe_lines
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.errors import MissingUpstreamError, SettingsError
from mesh_assets.mesh.costs import usd
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts, verdict
from mesh_assets.schemas.citations import Citation
from mesh_assets.settings import load_settings
from mesh_assets.storage.judged_answers import FIELDS, Answer, answers, by_people
from mesh_assets.storage.lake import Lake

_SHOWN = 20


class Word(StrEnum):
    """What a person says of an answer."""

    RIGHT = "right"
    WRONG = "wrong"


def judge(
    case: Annotated[str | None, typer.Argument(help="The case, by its id or how that begins.")] = None,
    word: Annotated[Word | None, typer.Argument(help="Whether the answer is right; else it is shown.")] = None,
    depth: Annotated[str | None, typer.Option(help="The answer at this depth; by default at the deepest.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only answers on this dataset.")] = None,
    by: Annotated[str | None, typer.Option(help="Who judges; by default your user name.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List answers that wait for a person's verdict.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge answers: verdicts make confidence a probability and give gates their guarantee."""
    settings = load_settings()
    lake, verdicts = Lake(settings.state / "lake"), SqliteVerdicts(settings.state)
    if depth is not None and depth not in DEPTHS:
        raise SettingsError(f"There is no depth {depth!r}.", remedy=f"One of {', '.join(DEPTHS)}.")
    found = answers(lake, known_dataset(lake, dataset) if dataset else None, depth)
    if case is None or listed:
        judged = by_people(verdicts.all())
        waiting = [each for each in found if (each["dataset"], each["case_id"], each["depth"]) not in judged]
        _print_list(waiting, json=json)
        return
    answer = _one(list(found), case)
    if word is None:
        _print_answer(answer, json=json)
        return
    name = by or getpass.getuser()
    verdicts.add(verdict(answer, is_right=word is Word.RIGHT, judge="person", judge_name=name))
    console.print(f"Recorded: {escape(safe(name))} calls the {answer['depth']} answer to {answer['case_id']} {word}.")


def _one(found: list[Answer], case: str) -> Answer:
    """The deepest answer to a case. MissingUpstreamError where there is none, SettingsError where there are several."""
    named = [each for each in found if each["case_id"].startswith(case)]
    if not named:
        raise MissingUpstreamError(f"There is no answer to a case {case!r}.", remedy="`mesh judge --list` lists them.")
    ids = sorted({(each["dataset"], each["case_id"]) for each in named})
    if len(ids) > 1:
        raise SettingsError(
            f"{case!r} begins the ids of {len(ids)} cases.",
            remedy=f"Give more of it, or --dataset: {', '.join(f'{id_} of {key}' for key, id_ in ids[:5])}.",
        )
    return named[0]


def _print_list(waiting: list[Answer], *, json: bool) -> None:
    # By a hash, so that those who judge from the top judge a fair sample, whatever the confidence or the slice.
    waiting.sort(key=lambda each: hashlib.sha256(f"{each['case_id']} {each['depth']}".encode()).digest())
    if json:
        print_json([{name: each[name] for name in FIELDS if name not in ("claims", "trace")} for each in waiting])
        return
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("case", "depth", "dataset", "brief", "answer"):
        table.add_column(heading, overflow="fold")
    for each in islice(waiting, _SHOWN):
        cells = (each["case_id"], each["depth"], each["dataset"], each["brief"], each["text"].partition("\n")[0][:80])
        table.add_row(*(escape(safe(str(cell))) for cell in cells))
    console.print(table)
    shown = f"{min(len(waiting), _SHOWN)} of {len(waiting)}"
    console.print(f"{shown} answers that no person judged, in an order by lot: judge from the top.")


def _print_answer(answer: Answer, *, json: bool) -> None:
    if json:
        print_json(answer)
        return
    head = f"{answer['case_id']} at {answer['depth']}, {answer['brief']}, by {answer['node'] or 'no node'}"
    console.print(f"[bold]{escape(safe(head))}[/]\n\n{escape(safe_lines(answer['text']))}", soft_wrap=True)
    for claim in answer["claims"]:
        console.print(f"\n- {escape(safe_lines(claim['statement']))}", soft_wrap=True)
        for row in claim["citations"]:
            cited = Citation(**row)
            console.print(f"    [dim]{escape(safe(str(cited)))}[/]", soft_wrap=True)
            console.print(f"    {escape(safe_lines(cited.quote))}", soft_wrap=True)
    if answer["trace"]:
        console.print(f"\nBy {answer['technique'] or 'one call, after a technique that gave no answer'}:")
    for step in answer["trace"] or ():
        said = (step["failure"] or step["said"]).partition("\n")[0][:120]
        line = f"{step['role']} by {step['node']}, ${usd(step['cost_usd'])}: {said}"
        console.print(f"  [dim]{escape(safe(line))}[/]", soft_wrap=True)
    console.print(f"\nIs it right? [bold]mesh judge {answer['case_id']} right[/] or [bold]wrong[/].", soft_wrap=True)
