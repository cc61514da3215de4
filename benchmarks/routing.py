"""How well cases are routed: `python benchmarks/routing.py --data FOLDER [--test FOLDER]`, recorded answers of nodes.

FOLDER holds `routellm_gsm8k` and `routellm_mmlu` (whether a weak and a strong node answered rightly, a CSV each) and
`llmrouter_9models` (scores of nine nodes, JSON, with prices). What --test has of a set is its test part, and all of
--data its training part; a set that it lacks is split from --data, 20 times. A test prompt that training has word for
word is left out. Everything that is learned or chosen, thresholds too, is from the training part.

`strong` is the smallest share of the prompts that the strong node must get, by a ranking, for .95 of its quality on the
test part, and USD what 1,000 prompts then cost; `lot` is the quality of nodes drawn by lot at that cost. A way that
reads the weak node's answer pays for one to each prompt. `fitted` is the share that training said, and `kept` the part
of the strong node's quality that it gave on the test part. Costs count a token for four letters.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.mesh.routing.quality import Floats, QualityModel, Records
from mesh_assets.mesh.routing.trial import held_out_predictions, try_out
from mesh_assets.mesh.routing.verifiers import flaws

SEEDS = 20
TRAINING_SHARE = 0.7  # of a set that is split here
WANTED = 0.95  # of the strong node's quality
WEAK, STRONG = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
USD_A_TOKEN = (0.24e-6, 24.7e-6)  # weak, strong: the mean prices that the authors of the two sets give
LETTERS_A_TOKEN = 4
SURE_FLAWS = ("wrong arithmetic", "no number", "no result", "part of a thing")


@dataclass(frozen=True)
class Part:
    """Records and, for each prompt and node, what the answer cost."""

    records: Records
    usd: Floats

    def take(self, rows: np.ndarray) -> Part:
        return Part(self.records.take(rows), self.usd[rows])


# From the training part and prompts to rank: how much each one gains by the strong node.
Ranking = Callable[[Records, Records], Floats]


@dataclass(frozen=True)
class Way:
    """A way to rank. `by_dollar` ranks the gain for what the strong node costs, as the product does."""

    name: str
    rank: Ranking
    reads_answer: bool = False
    by_dollar: bool = False


def read_pair(folder: Path, name: str) -> Part | None:
    """A set of two nodes below `folder`; the task of a prompt is its file. None where it is not there."""
    rows = [
        (path.stem, row)
        for path in sorted(folder.rglob("*.csv"))
        if name in str(path.relative_to(folder))
        for row in csv.DictReader(path.open(encoding="utf-8", newline=""))
    ]
    if not rows:
        return None
    said = [[row.get(f"{node}_response", "A") for node in (WEAK, STRONG)] for _, row in rows]
    letters = np.array(
        [[len(row["prompt"]) + len(answer) for answer in each] for (_, row), each in zip(rows, said, strict=True)]
    )
    tasks = tuple(task for task, _ in rows)
    records = Records(
        (WEAK, STRONG),
        tuple(row["prompt"] for _, row in rows),
        np.array([[row[node] == "True" for node in (WEAK, STRONG)] for _, row in rows], dtype=float),
        tuple(weak for weak, _ in said) if f"{WEAK}_response" in rows[0][1] else None,
        tasks if len(set(tasks)) > 1 else None,
    )
    return _distinct(Part(records, letters / LETTERS_A_TOKEN * USD_A_TOKEN))


def read_nine(folder: Path, prices: Path) -> Part | None:
    """The set of nine nodes; its answers are not recorded, so only prompts cost. None where it is not there."""
    rows: list[dict[str, object]] = []
    for path in sorted(folder.rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, list) and content and "scores" in content[0]:
            rows += content
    if not rows:
        return None
    nodes = tuple(sorted(rows[0]["scores"]))
    listed = json.loads(next(prices.rglob("default_llm.json")).read_text(encoding="utf-8"))
    usd = np.array([listed[node]["input_price"] for node in nodes]) / 1e6
    questions = tuple(row["question"] for row in rows)
    scores = np.array([[row["scores"][node] for node in nodes] for row in rows], dtype=float)
    letters = np.array([[len(question)] for question in questions])
    return _distinct(Part(Records(nodes, questions, scores), letters / LETTERS_A_TOKEN * usd))


def _distinct(part: Part) -> Part:
    first = {question: row for row, question in reversed(list(enumerate(part.records.questions)))}
    return part.take(np.array(sorted(first.values())))


def splits(data: Part, test: Part | None) -> list[tuple[Part, Part]]:
    """Pairs of a training and a test part."""
    if test is not None:
        known = set(data.records.questions)
        new = [row for row, question in enumerate(test.records.questions) if question not in known]
        print(f"{len(test.records) - len(new)} of {len(test.records)} test prompts are in the training part: left out")
        return [(data, test.take(np.array(new)))]
    pairs: list[tuple[Part, Part]] = []
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(data.records))
        cut = round(TRAINING_SHARE * len(order))
        pairs.append((data.take(order[:cut]), data.take(order[cut:])))
    return pairs


def by_lot(learned: Records, held: Records) -> Floats:
    return np.random.default_rng(len(held)).random(len(held))


def by_prompt(learned: Records, held: Records) -> Floats:
    """Our router before any answer is there."""
    return _gain(QualityModel(without_answers(learned)).predict(held.questions))


def without_answers(records: Records) -> Records:
    return replace(records, answers=None)


def by_answer(learned: Records, held: Records) -> Floats:
    """Our router once the weak node has answered."""
    return _gain(QualityModel(learned).predict(held.questions, held.answers))


def by_verifiers(learned: Records, held: Records) -> Floats:
    """A plain cascade: how often the weak node was wrong in training where the verifiers said the same, else by lot."""
    met: dict[frozenset[str], list[float]] = defaultdict(list)
    for found, score in zip(_found(learned), learned.scores, strict=True):
        met[found].append(1 - score[0])
    mean = 1 - learned.scores[:, 0].mean()
    wrong = [(sum(met[found]) + mean) / (len(met[found]) + 1) for found in _found(held)]
    return np.array(wrong) + 1e-6 * by_lot(learned, held)


def _found(records: Records) -> list[frozenset[str]]:
    pairs = zip(records.questions, records.answers or (), strict=True)
    return [frozenset(flaw.name for flaw in flaws(q, a) if flaw.name in SURE_FLAWS) for q, a in pairs]


def _gain(scores: Floats) -> Floats:
    return scores[:, 1] - scores[:, 0]


def smallest_share(ranking: Floats, scores: Floats) -> float:
    """The share of prompts, best ranked first, that the strong node needs for `WANTED` of its quality."""
    order = np.argsort(-ranking, kind="stable")
    reached = scores[:, 0].sum() + np.concatenate([[0.0], np.cumsum(_gain(scores)[order])])
    return float(np.argmax(reached >= WANTED * scores[:, 1].sum() - 1e-9)) / len(scores)


def given(ranking: Floats, share: float) -> np.ndarray:
    """True for the prompts that the strong node gets."""
    chosen = np.zeros(len(ranking), dtype=bool)
    chosen[np.argsort(-ranking, kind="stable")[: round(share * len(ranking))]] = True
    return chosen


def measured(way: Way, learned: Part, held: Part) -> dict[str, float]:
    """The figures of one way on one split."""
    scores, usd = held.records.scores, held.usd
    ranking = way.rank(learned.records, held.records)
    if way.by_dollar:
        ranking = ranking / usd[:, 1]
    share = smallest_share(ranking, scores)
    strong = given(ranking, share)
    first = usd[:, 0] if way.reads_answer else np.where(strong, 0.0, usd[:, 0])
    cost = float((first + np.where(strong, usd[:, 1], 0.0)).mean())
    weak_cost, strong_cost = usd.mean(axis=0)
    lot = min(1.0, max(0.0, (cost - weak_cost) / (strong_cost - weak_cost)))
    return {
        "strong": share,
        "quality": float(np.where(strong, scores[:, 1], scores[:, 0]).mean()),
        "usd": 1000 * cost,
        "lot": float(scores.mean(axis=0) @ (1 - lot, lot)),
    }


def fitted(way: Way, learned: Part, held: Part) -> tuple[float, float]:
    """The share above a threshold that training chose on records left out of learning, and the quality that it kept."""
    records = learned.records if way.reads_answer else without_answers(learned.records)
    inner = _gain(held_out_predictions(records))
    share = smallest_share(inner, records.scores)
    threshold = np.sort(inner)[::-1][max(0, round(share * len(inner)) - 1)]
    strong = way.rank(learned.records, held.records) >= threshold
    scores = held.records.scores
    return float(strong.mean()), float(np.where(strong, scores[:, 1], scores[:, 0]).mean() / scores[:, 1].mean())


def pair_set(name: str, data: Path, test: Path | None) -> float:
    """Prints the table of a set of two nodes; the share of strong calls that our router needs."""
    part = read_pair(data, name)
    if part is None:
        raise SystemExit(f"There is no set {name} below {data}.")
    pairs = splits(part, read_pair(test, name) if test else None)
    router = Way("router, prompt alone", by_prompt)
    ways = [Way("by lot", by_lot), router]
    if part.records.answers is not None:
        router = Way("router, after the answer", by_answer, reads_answer=True)
        ways += [Way("cascade, verifiers alone", by_verifiers, reads_answer=True), router]
    ways += [replace(router, name="the same, gain for a dollar", by_dollar=True)]
    ways += [Way("oracle", lambda _, held: _gain(held.scores))]
    _headline(name, pairs)
    for column, node in enumerate(("weak node", "strong node")):
        quality = statistics.fmean(float(held.records.scores[:, column].mean()) for _, held in pairs)
        usd = statistics.fmean(1000 * float(held.usd[:, column].mean()) for _, held in pairs)
        print(f"  {node:<28}strong {float(column):.3f}{'':>8}quality {quality:.3f}  USD {usd:.3f}")
    shares: dict[str, float] = {}
    for way in ways:
        rows = [measured(way, learned, held) for learned, held in pairs]
        mean = {key: statistics.fmean(row[key] for row in rows) for key in rows[0]}
        spread = statistics.pstdev(row["strong"] for row in rows)
        shares[way.name] = mean["strong"]
        print(f"  {way.name:<28}strong {mean['strong']:.3f} ±{spread:.3f}  quality {mean['quality']:.3f}", end="")
        print(f"  USD {mean['usd']:.3f}  lot {mean['lot']:.3f}")
    found = [fitted(router, learned, held) for learned, held in pairs]
    share, kept = (statistics.fmean(column) for column in zip(*found, strict=True))
    print(f"  a threshold of the training part: fitted {share:.3f}, kept {kept:.3f}")
    learned = pairs[0][0]
    usd = [Decimal(repr(float(mean))) for mean in learned.usd.mean(axis=0)]
    # Where the answer of the weak node is read, it is paid for already.
    print(f"  {try_out(learned.records, [Decimal(0), usd[1]] if router.reads_answer else usd).sentence}")
    return shares[router.name]


def _headline(name: str, pairs: Sequence[tuple[Part, Part]]) -> None:
    learned, held = pairs[0]
    print(f"\n{name}: {len(learned.records)} prompts to learn from, {len(held.records)} to test, splits: {len(pairs)}")


def nine_set(data: Path, test: Path | None) -> float:
    """Prints the table of the nine nodes; what our router gains over the node that was best in training."""
    part = read_nine(data, data)
    if part is None:
        raise SystemExit(f"There is no set of nine models below {data}.")
    pairs = splits(part, read_nine(test, data) if test else None)
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    said: list[str] = []
    for learned, held in pairs:
        scores, usd, nodes = held.records.scores, held.usd, learned.records.nodes
        best = np.full(len(scores), int(learned.records.scores.mean(axis=0).argmax()))
        trial = try_out(learned.records, [Decimal(repr(float(cost))) for cost in learned.usd.mean(axis=0)])
        said.append(trial.sentence)
        chosen = best
        if trial.passed:
            chosen = QualityModel(learned.records).predict(held.records.questions).argmax(axis=1)
        every = np.arange(len(scores))
        for way, picked in (("router", chosen), ("oracle", scores.argmax(axis=1)), ("best in training", best)):
            rows[way].append((float(scores[every, picked].mean()), float(usd[every, picked].mean())))
        lot = np.bincount(chosen, minlength=len(nodes)) / len(chosen)
        rows["by lot at the same cost"].append((float(scores.mean(axis=0) @ lot), float(usd.mean(axis=0) @ lot)))
        for column, node in enumerate(nodes):
            rows[node].append((float(scores[:, column].mean()), float(usd[:, column].mean())))
    _headline("nine models", pairs)
    gains: dict[str, float] = {}
    for way, figures in rows.items():
        each = [score - alone for (score, _), (alone, _) in zip(figures, rows["best in training"], strict=True)]
        score, usd_mean = (statistics.fmean(column) for column in zip(*figures, strict=True))
        gains[way] = statistics.fmean(each)
        print(f"  {way:<34}score {score:.3f}  USD {1000 * usd_mean:.4f}", end="")
        print(f"  gain {gains[way]:+.4f} ±{statistics.pstdev(each):.4f}")
    print(f"  {said[0]}")
    return gains["router"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets to learn from")
    parser.add_argument("--test", type=Path, help="folder of sets to test on, laid out as --data")
    options = parser.parse_args()
    gsm8k = pair_set("gsm8k", options.data, options.test)
    mmlu = pair_set("mmlu", options.data, options.test)
    nine = nine_set(options.data, options.test)
    print(f"gsm8k_strong_calls={gsm8k:.3f} mmlu_strong_calls={mmlu:.3f} nine_models_gain={nine:.4f}")


if __name__ == "__main__":
    main()
