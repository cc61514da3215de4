"""Answers of the lake that may be judged, and those that were, each with its question and what was said of it.

Who shows them is elsewhere: `mesh judge`, the page to judge, `mesh calibrate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from json import loads
from typing import Any

from mesh_assets.analyses.confidence import Verdict
from mesh_assets.analyses.judged import Judged
from mesh_assets.analyses.signals import with_neutral
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets.mesh.sqlite_verdicts import Verdict as Word
from mesh_assets.storage.lake import Lake

FIELDS = (
    *("dataset", "slice", "case_id", "depth", "node", "brief", "technique", "trace", "text", "claims"),
    *("confidence", "signals"),
)
Answer = dict[str, Any]


def answers(lake: Lake, dataset: str | None = None, depth: str | None = None) -> Iterator[Answer]:
    """Answers that there are, the deepest first, with `FIELDS`."""
    for each in reversed(DEPTHS) if depth is None else (depth,):
        for key in sorted(lake.all_datasets()) if dataset is None else (dataset,):
            for slice_key in sorted(lake.slices(key)):
                table = lake.find(f"{each}_analyses", slice_key)
                rows = [] if table is None else table.rows()
                found = ({name: row.get(name) for name in FIELDS} for row in rows)  # old tables have no techniques
                yield from (row for row in found if row["text"] or row["claims"])


def by_people(words: Iterable[Word]) -> set[tuple[str, str, str]]:
    """Dataset, case and depth of the answers that a person judged."""
    return {(word.dataset, word.case_id, word.depth) for word in words if word.judge == "person"}


def questions(lake: Lake, slice_key: str) -> dict[str, str]:
    """The question of each case of a slice."""
    cases = lake.find("cases", slice_key)
    batches = cases.batches(["case_id", "question"]) if cases is not None else ()
    return {row["case_id"]: row["question"] for batch in batches for row in batch.to_pylist()}


def judged_answers(lake: Lake, words: Iterable[Word]) -> Iterator[Judged]:
    """The last word of each judge on each answer that the lake still has; where people judged, theirs alone.

    What a verifier said counts for the very answer that it saw.
    """
    last = {(w.dataset, w.case_id, w.depth, w.judge, w.judge_name): w for w in sorted(words, key=lambda w: w.at)}
    people = by_people(last.values())
    by_dataset: dict[str, dict[tuple[str, str], list[Word]]] = {}
    for word in last.values():
        if word.judge == "person" or (word.dataset, word.case_id, word.depth) not in people:
            by_dataset.setdefault(word.dataset, {}).setdefault((word.case_id, word.depth), []).append(word)
    for dataset, wanted in by_dataset.items():
        for key in sorted(lake.slices(dataset)):
            yield from _of_slice(lake, key, wanted)


def _of_slice(lake: Lake, key: str, wanted: dict[tuple[str, str], list[Word]]) -> Iterator[Judged]:
    asked = questions(lake, key)
    for depth in DEPTHS:
        table = lake.find(f"{depth}_analyses", key)
        for row in table.rows() if table is not None else ():
            for word in wanted.pop((row["case_id"], depth), ()):
                if word.judge == "person" or (word.node, word.signals) == (row["node"], row["signals"]):
                    question = asked.get(row["case_id"], "")
                    yield Judged(
                        Verdict(question, row["text"], _numbers(row["signals"]), word.is_right), depth, word.judge
                    )


def _numbers(signals: str) -> dict[str, float]:
    return with_neutral({name: float(value) for name, value in loads(signals).items()})
