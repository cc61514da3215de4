"""How well anomalies of metrics are found as they come: `python benchmarks/metrics.py --data FOLDER`, laid out as NAB.

The score of the Numenta Anomaly Benchmark, standard profile (`nab_scoring`), of our online detector, of a Gaussian over
the last 1,000 values, as in the benchmark's own windowed detector, and of random scores, on the same series. Each with
the threshold that earns most over all series, as the benchmark chooses it; ours also with the threshold in the code.
The detector's numbers were chosen on the series in `TUNED`: the table says the score of those and of the others apart.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nab_scoring import Series, best, fixed, load

from mesh_assets.insights.online_anomalies import ALARM, OnlineAnomalies

# Every second series by name of the 35 that were at hand.
TUNED = frozenset(
    """art_daily_no_noise art_daily_small_noise art_noisy art_daily_jumpsdown art_daily_nojump art_load_balancer_spikes
    ec2_cpu_utilization_53ea38 ec2_cpu_utilization_77c1ca ec2_cpu_utilization_ac20cd ec2_cpu_utilization_fe7f93
    ec2_disk_write_bytes_c0d644 ec2_network_in_5abac7 grok_asg_anomaly rds_cpu_utilization_cc0c53 TravelTime_387
    occupancy_6005 speed_6005 speed_t4013""".split()
)
GAUSSIAN_POINTS = 1000
SEEDS = range(5)

_Scores = NDArray[np.float64]


def ours(values: _Scores) -> _Scores:
    """Scores of our detector, given the values in pieces as they may come."""
    detector = OnlineAnomalies()
    pieces = [detector.scores(values[at : at + 500]) for at in range(0, len(values), 500)]
    return np.concatenate(pieces)


def gaussian(values: _Scores) -> _Scores:
    """How many standard deviations each value is from the mean of the `GAUSSIAN_POINTS` before it."""
    moved = values - values[0]
    sums = np.concatenate(([0.0], np.cumsum(moved)))
    squares = np.concatenate(([0.0], np.cumsum(moved**2)))
    at = np.arange(len(values))
    first = np.maximum(at - GAUSSIAN_POINTS, 0)
    count = np.maximum(at - first, 1)
    mean = (sums[at] - sums[first]) / count
    variance = np.maximum((squares[at] - squares[first]) / count - mean**2, 1e-12)
    return np.where(at > 0, np.abs(moved - mean) / np.sqrt(variance), 0.0)


def random_score(series: Sequence[Series]) -> float:
    """The median over seeds of what random scores earn."""
    earned: list[float] = []
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        earned.append(best(series, [random.random(len(one.values)) for one in series])[1])
    return statistics.median(earned)


def measured(series: Sequence[Series], detect: Callable[[_Scores], _Scores]) -> list[_Scores]:
    return [detect(one.values) for one in series]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with data/ and labels/, as NAB lays it out")
    series = load(parser.parse_args().data)
    started = time.process_time()
    scores = measured(series, ours)
    spent = time.process_time() - started
    points = sum(len(one.values) for one in series)
    print(f"{len(series)} series, {points:,} points, {sum(len(one.windows) for one in series)} windows")
    print(f"{'series':<22}{'count':>6}{'ours':>8}{'fixed':>8}{'Gaussian':>10}{'random':>8}")
    for name, chosen in _parts(series):
        part = [series[at] for at in chosen]
        found = [scores[at] for at in chosen]
        others = best(part, measured(part, gaussian))[1], random_score(part)
        figures = best(part, found)[1], fixed(part, found, ALARM)
        print(f"{name:<22}{len(part):>6}{figures[0]:>8.1f}{figures[1]:>8.1f}{others[0]:>10.1f}{others[1]:>8.1f}")
    threshold, standard = best(series, scores)
    alarms = sum(int((found >= ALARM).sum()) for found in scores)
    print(f"threshold: {threshold:.2f} earns most, {ALARM} is fixed and gives {alarms} alarms")
    print(f"{points / spent * 60:,.0f} points a CPU-minute")
    shipped, plain = fixed(series, scores, ALARM), best(series, measured(series, gaussian))[1]
    print(f"nab_standard={standard:.1f} nab_fixed={shipped:.1f} gaussian={plain:.1f}")


def _parts(series: Sequence[Series]) -> list[tuple[str, list[int]]]:
    """The series by folder, tuned on or not, and all; parts without a window have no score."""
    parts: dict[str, list[int]] = {}
    for at, one in enumerate(series):
        tuned = Path(one.name).stem in TUNED
        for name in (Path(one.name).parts[0], "tuned on" if tuned else "not tuned on", "all"):
            parts.setdefault(name, []).append(at)
    return [(name, chosen) for name, chosen in parts.items() if any(series[at].windows for at in chosen)]


if __name__ == "__main__":
    main()
