"""What predictions are called after a back-test: `python benchmarks/back_tests.py --data FOLDER` (of logs).

Real logs of eight systems, 2,000 lines each, with the message of each line. Three kinds of predictions, all tested as
those of an answer are (`analyses.back_tests`):

- by chance: of two messages, the times of the second turned round the log by a random part of its span, so that bursts
  stay and nothing follows on anything. None should hold, at a stated share of .5 and at one of .1;
- true: a message that is planted after nine of ten episodes of a real one, and as often anywhere. They should hold;
- false: one that is planted after two of ten, where half is stated. They should be refuted.

Nothing was tuned on these logs. Predictions with fewer than five cases are not counted.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.analyses.back_tests import LEAST_CASES, Fared, Floats, Times, fared, holds
from mesh_assets.analyses.checkable import Prediction, Sign
from mesh_assets.chunks.timestamps import TimestampParser
from mesh_assets.insights.log_precursors import episode_starts

A, B = Sign(message="a"), Sign(message="b")
WINDOWS = (60.0, 600.0)
# Pairs of messages of one system and window, and times that each message gets one planted after it.
PAIRS, PLANTED = 200, 5


@dataclass
class Called:
    """How predictions of one kind were called."""

    held: int = 0
    refuted: int = 0
    untold: int = 0

    def count(self, called: bool | None) -> None:
        """One more."""
        if called is None:
            self.untold += 1
        elif called:
            self.held += 1
        else:
            self.refuted += 1

    @property
    def all(self) -> int:
        """How many."""
        return self.held + self.refuted + self.untold


@dataclass(frozen=True)
class System:
    """A log: of each message when it came (seconds, ascending), within `start` to `stop`."""

    name: str
    seen: dict[str, Floats] = field(default_factory=dict[str, Floats])

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last moment."""
        return min(each[0] for each in self.seen.values()), max(each[-1] for each in self.seen.values())

    def often(self, within: float) -> list[str]:
        """Messages with cases enough."""
        return sorted(name for name, each in self.seen.items() if len(episode_starts(each, within)) >= 2 * LEAST_CASES)


def systems(folder: Path) -> Iterator[System]:
    """The logs of the folder."""
    for path in sorted(folder.glob("**/*_structured.csv")):
        lines = path.with_name(path.name.removesuffix("_structured.csv")).read_text(errors="replace").splitlines()
        parser = TimestampParser.detect(lines[:200], latest=datetime.now(UTC))
        found: defaultdict[str, list[float]] = defaultdict(list)
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                moment = parser.parse(lines[int(row["LineId"]) - 1]) if parser is not None else None
                if moment is not None:
                    found[row["EventId"]].append(moment.timestamp())
        if found:
            yield System(path.parent.name, {name: np.sort(np.array(each)) for name, each in found.items()})


def tested(system: System, when: Floats, then: Floats, prediction: Prediction, without: tuple[str, ...]) -> Fared:
    """The back-test of a prediction over a log."""
    start, stop = system.span
    others = [episode_starts(each, prediction.within) for name, each in system.seen.items() if name not in without]
    return fared(prediction, Times(when, start, stop, ""), Times(then, start, stop, ""), others=others)


def main() -> None:
    """Print the table and the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    folder: Path = arguments.parse_args().data
    draw = np.random.default_rng(0)
    total: defaultdict[str, Called] = defaultdict(Called)
    tests, began = 0, time.process_time()
    print(f"{'system':10}{'window':>8}{'messages':>10}   kind: held, refuted, not told")
    for system in systems(folder):
        for within in WINDOWS:
            own: defaultdict[str, Called] = defaultdict(Called)
            often = system.often(within)
            for kind, prediction, found in _all(system, often, within, draw):
                tests += 1
                if found.cases >= LEAST_CASES:
                    called = holds(prediction, found)
                    own[kind].count(called)
                    total[kind].count(called)
            told = "; ".join(f"{kind}: {c.held}, {c.refuted}, {c.untold}" for kind, c in own.items())
            print(f"{system.name:10}{within:8.0f}{len(often):10}   {told}")
    chance, low, true, false = (total[kind] for kind in ("chance", "chance at .1", "true", "false"))
    print(f"{tests} back-tests took {time.process_time() - began:.1f} CPU-s")
    print(
        f"chance_held={chance.held / chance.all:.4f} chance_held_low={low.held / low.all:.4f} "
        f"true_held={true.held / true.all:.3f} true_refuted={true.refuted / true.all:.3f} "
        f"false_held={false.held / false.all:.3f} false_refuted={false.refuted / false.all:.3f}"
    )


def _all(
    system: System, often: list[str], within: float, draw: np.random.Generator
) -> Iterator[tuple[str, Prediction, Fared]]:
    start, stop = system.span
    pairs: list[tuple[str, str]] = list(permutations(often, 2))
    draw.shuffle(pairs)
    for one, other in pairs[:PAIRS]:
        turned = np.sort(
            start + (system.seen[other] - start + draw.uniform(0.1, 0.9) * (stop - start)) % (stop - start)
        )
        for kind, share in (("chance", 0.5), ("chance at .1", 0.1)):
            prediction = Prediction(B, within, A, share)
            yield kind, prediction, tested(system, system.seen[one], turned, prediction, (one, other))
    for name in often:
        cases = episode_starts(system.seen[name], within)
        for _ in range(PLANTED):
            for kind, share in (("true", 0.9), ("false", 0.2)):
                after = cases[draw.random(len(cases)) < share]
                anywhere = draw.uniform(start, stop, len(after))
                planted = np.sort(np.concatenate([after + draw.uniform(0, within, len(after)), anywhere]))
                prediction = Prediction(B, within, A)
                yield kind, prediction, tested(system, system.seen[name], planted, prediction, (name,))


if __name__ == "__main__":
    main()
