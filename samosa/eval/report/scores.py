"""The lines of the record as estimates for forests, and as a table of categories by checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samosa.eval import history, stats
from samosa.eval.conjuncts import OVERALL
from samosa.eval.history import Line
from samosa.eval.report.figures import Estimate

SUITES = ("full", "joint")
"""Those that ask conversations and have a gate."""
CONFIDENCE = 0.95  # of intervals that a line does not keep itself


def absolute(line: Line) -> list[Estimate]:
    """How each category of the joint or full suite did, in the order of the record."""
    return _joint(line) if "patterns" in line else _full(line)


def _joint(line: Line) -> list[Estimate]:
    rows = []
    for name, one in line["patterns"].items():
        low, high = one["interval"]
        rate = one["passed"] / one["completed"] if one["completed"] else 0.0
        seen = f"{one['passed']} of {one['completed']}"
        demand = f"{one['c']} of {one['n']}"
        rows.append(Estimate(name, rate, low, high, one["c"] / one["n"], one["outcome"], seen, demand))
    for name, outcome in line["roadmap"].items():
        rate = float(outcome == "passed")
        low, high = stats.clopper_pearson(rate, 1, confidence=CONFIDENCE)
        rows.append(Estimate(name, rate, low, high, None, outcome, f"{rate:.0f} of 1", "1 of 1"))
    return rows


def _full(line: Line) -> list[Estimate]:
    floors: Mapping[str, Any] = line["full"]["floors"]
    outcomes = {one["name"]: one["outcome"] for one in line["conjuncts"] if one["conjunct"] == "absolute"}
    rows = []
    for name, one in line["scores"].items():
        low, high = one["interval"]
        floor = floors.get(name, {}).get("bad")
        seen = f"{one['rate']:.1%} of {one['instances']}"
        demand = "" if floor is None else f"surely above {floor:.0%}"
        rows.append(Estimate(name, one["rate"], low, high, floor, outcomes.get(name), seen, demand))
    return rows


def differences(line: Line) -> list[Estimate]:
    """What changed against the champion, by category; empty where there was none."""
    rows = []
    for one in line.get("conjuncts", ()):
        if one["conjunct"] != "non-inferior":
            continue
        needed = -line["full"]["margin" if one["name"] == OVERALL else "category_margin"]
        seen, demand = f"{one['difference']:+.1%} of {one['instances']:.0f}", f"surely above {needed:+.0%}"
        rows.append(
            Estimate(one["name"], one["difference"], one["low"], one["high"], needed, one["outcome"], seen, demand)
        )
    return rows


def other_conjuncts(line: Line) -> list[tuple[str, str, str]]:
    """What else the full gate asks: (what, what was seen, outcome)."""
    rows = []
    for one in line.get("conjuncts", ()):
        if one["conjunct"] in ("absolute", "non-inferior"):
            continue
        numbers = {key: value for key, value in one.items() if key not in ("conjunct", "name", "outcome")}
        seen = ", ".join(
            f"{key.replace('_', ' ')} {value:.2%}" if key == "bound" else f"{key.replace('_', ' ')} {value:,.0f}"
            for key, value in numbers.items()
        )
        rows.append((f"{one['conjunct']}: {one['name']}", seen, one["outcome"]))
    return rows


def benchmarks(lines: Sequence[Line]) -> list[Estimate]:
    """The last evaluation of each benchmark, part by part, and the judge's last win rate."""
    last = {line["suite"]: line for line in lines if line.get("suite") not in SUITES}
    return [row for name in sorted(last) for row in _benchmark(name, last[name])]


def _benchmark(name: str, line: Line) -> list[Estimate]:
    if "win_rate" in line:
        seen, (low, high) = f"{line['pairs']:,} pairs against {line['champion']}", line["interval"]
        return [Estimate("win rate", line["win_rate"], low, high, 0.5, None, seen, "surely above 50%")]
    if "core" in line:
        low, high = line["interval"]
        return [Estimate(name, line["core"], low, high, seen=f"the mean of {len(line['tasks'])} tasks")]
    rows = []
    for part, one in line.get("parts", {}).items():
        low, high = one["interval"]
        told = part if part.startswith(name) else f"{name} {part}"
        rows.append(Estimate(told, one["rate"], low, high, seen=f"{one['right']:,} of {one['n']:,}"))
    return rows


def evaluations(lines: Sequence[Line], suite: str) -> list[Line]:
    """One line for each time the suite was asked, oldest first: of the full suite's rounds the last, of all of them."""
    found: list[Line] = []
    for line in (line for line in lines if line.get("suite") == suite):
        if found and line.get("round", 1) > found[-1].get("round", 1):
            found.pop()
        found.append(line)
    return found


@dataclass(frozen=True)
class Column:
    """What is known of a checkpoint."""

    name: str
    """tag@step."""
    seeds: str
    rates: dict[str, tuple[float, int]]
    """By category: pass rate and instances."""


@dataclass(frozen=True)
class HeatMap:
    """A suite's categories by checkpoint."""

    suite: str
    categories: tuple[str, ...]
    columns: tuple[Column, ...]


def heat_maps(lines: Sequence[Line], order: Sequence[str]) -> list[HeatMap]:
    """One for each suite that was asked; a column for each checkpoint, its weights being those judged last.

    order: tags, those before first; checkpoints of a tag are in the order of their steps.
    """
    maps = []
    for suite in SUITES:
        by_name: dict[str, list[Line]] = {}
        for line in lines:
            if line.get("suite") == suite:
                by_name.setdefault(history.label(line), []).append(line)
        found = sorted(by_name.values(), key=lambda some: (order.index(some[-1]["tag"]), some[-1]["step"]))
        columns = tuple(_column(some, suite) for some in found)
        names = dict.fromkeys(name for column in columns for name in column.rates)
        if columns:
            maps.append(HeatMap(suite, tuple(names), columns))
    return maps


def _column(lines: Sequence[Line], suite: str) -> Column:
    """Seeds of the joint suite are put together; the full suite's last line is of all its rounds already."""
    own = [line for line in lines if line.get("weights_sha256") == lines[-1].get("weights_sha256")]
    told = evaluations(own, suite)
    if suite == "full":
        told = told[-1:]
    asked = list({line["suite_hash"]: line for line in told}.values())
    counts: dict[str, list[float]] = {}
    for name, rate, n in (row for line in asked for row in _rates(line)):
        count = counts.setdefault(name, [0.0, 0])
        count[0] += rate * n
        count[1] += n
    rates = {name: (passed / max(1, n), int(n)) for name, (passed, n) in counts.items()}
    rounds = asked[-1].get("round", 1)
    first = asked[-1]["seed"] - rounds + 1
    seeds = [*range(first, first + rounds)] if suite == "full" else [line["seed"] for line in asked]
    said = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return Column(history.label(asked[-1]), said, rates)


def _rates(line: Line) -> list[tuple[str, float, int]]:
    if "scores" in line:
        return [(name, one["rate"], one["instances"]) for name, one in line["scores"].items()]
    counts = [(name, one["passed"], one["completed"]) for name, one in line["patterns"].items()]
    rates = [(name, passed / max(1, n), n) for name, passed, n in counts]
    asked = [outcome == "passed" for outcome in line["roadmap"].values()]
    return [*rates, *([("roadmap", sum(asked) / len(asked), len(asked))] if asked else [])]


def figures_of(line: Line) -> tuple[float, float, float, int]:
    """Pass rate over everything that was completed, between which bounds, of how many instances."""
    if "scores" in line:
        one = line["scores"][OVERALL]
        return one["rate"], *one["interval"], one["instances"]
    passed = sum(one["passed"] for one in line["patterns"].values())
    n = sum(one["completed"] for one in line["patterns"].values())
    return passed / max(1, n), *stats.clopper_pearson(passed, n, confidence=CONFIDENCE), n
