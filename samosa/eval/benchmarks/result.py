"""What samples of a benchmark come to: counts, intervals, and what may be claimed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from samosa.eval import stats
from samosa.eval.benchmarks.core import Task
from samosa.eval.benchmarks.kept import Line
from samosa.eval.stats import macro


@dataclass(frozen=True)
class Counted:
    """How many of n are right by one metric."""

    right: int
    n: int

    @property
    def rate(self) -> float:
        return self.right / self.n

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided and exact; questions are taken as independent."""
        return stats.clopper_pearson(self.right, self.n, confidence=confidence)


def by_metric(lines: Sequence[Line]) -> dict[str, Counted]:
    """Each metric that the samples have."""
    return {name: Counted(sum(line[name] == 1.0 for line in lines), len(lines)) for name in lines[0]["metrics"]}


def by_category(lines: Sequence[Line]) -> dict[str, Counted]:
    """What counts, by subject, config or task, in the order of the samples."""
    counts: dict[str, list[int]] = {}
    for line in lines:
        entry = counts.setdefault(line["category"], [0, 0])
        entry[0] += line["passed"]
        entry[1] += 1
    return {name: Counted(right, n) for name, (right, n) in counts.items()}


def core(tasks: Sequence[Task], counts: dict[str, Counted], *, confidence: float) -> dict[str, Any]:
    """CORE and its interval, and the tasks it is the mean of."""
    pairs = [(counts[task.label].right, counts[task.label].n) for task in tasks]
    value, interval = macro.centred_mean(pairs, [0.01 * task.baseline for task in tasks], confidence=confidence)
    rows = {
        task.label: {
            "kind": task.kind,
            "shots": task.shots,
            "right": right,
            "n": n,
            "accuracy": right / n,
            "baseline": task.baseline,
            "centred": macro.centred(right, n, 0.01 * task.baseline),
        }
        for task, (right, n) in zip(tasks, pairs, strict=True)
    }
    return {"core": value, "interval": list(interval), "tasks": rows}


def claim(name: str, counted: Counted, target: float, *, confidence: float) -> str:
    """Whether more than `target` may be claimed, and how many right answers that needs."""
    needed = stats.count_needed(target, counted.n, confidence=confidence)
    if needed is None:
        return f"{name} > {target:.0%} cannot be shown by {counted.n:,} questions at {confidence:.0%} confidence"
    said = "shown" if counted.right >= needed else "not shown"
    return f"{name} > {target:.0%} needs >= {needed:,} of {counted.n:,}: {said} ({counted.right:,})"
