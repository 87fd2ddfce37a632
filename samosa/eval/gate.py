"""Ship or don't: per pattern an acceptance plan (n, c), the roadmap's own probes, and one exit code.

0 passed, 10 failed, 20 not enough evidence, 30 the measurement itself broke. What the harness failed at never counts
against the model: such an instance is not completed, and too few completed instances are no verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from samosa.eval import stats
from samosa.eval.checks import Sample
from samosa.eval.probe_types import PATTERNS
from samosa.eval.settings import Gate

ROADMAP_PROBES = 3  # the weather in Seoul, the tip on $45 and how airplanes fly


class Outcome(Enum):
    """What a pattern, or the whole gate, came to."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "not enough evidence"
    BROKEN = "measurement broke"


EXIT_CODES = {Outcome.PASSED: 0, Outcome.FAILED: 10, Outcome.INCONCLUSIVE: 20, Outcome.BROKEN: 30}


@dataclass(frozen=True)
class PatternResult:
    """One pattern's count against the plan."""

    pattern: str
    completed: int
    """Instances judged, at most n: the first n in the suite's order."""
    passed: int
    errors: int
    """Instances the harness failed at."""
    n: int
    c: int
    interval: tuple[float, float]
    """Clopper-Pearson, of the pass rate."""
    outcome: Outcome


@dataclass(frozen=True)
class GateResult:
    """The gate's verdict and everything it rests on."""

    patterns: tuple[PatternResult, ...]
    roadmap: dict[str, Outcome]
    """Of each of the roadmap's probes, by id."""
    outcome: Outcome
    samples: tuple[Sample, ...]

    @property
    def exit_code(self) -> int:
        """0, 10, 20 or 30."""
        return EXIT_CODES[self.outcome]

    @property
    def passed(self) -> bool:
        """Whether the model may ship."""
        return self.outcome is Outcome.PASSED


def decide(samples: Sequence[Sample], gate: Gate) -> GateResult:
    """Apply the plan to each pattern and to the roadmap's probes.

    The measurement broke if the engine crashed, or if the harness failed at more instances of a pattern than the plan
    lets a model fail. Otherwise one failed part fails the gate, and one part without enough evidence leaves it open.
    """
    patterns = tuple(_pattern(name, samples, gate) for name in PATTERNS)
    roadmap = {sample.probe.id: _single(sample) for sample in samples if sample.probe.roadmap}
    outcomes = [*(result.outcome for result in patterns), *roadmap.values()]
    if len(roadmap) < ROADMAP_PROBES:
        outcomes.append(Outcome.INCONCLUSIVE)
    if any(sample.crashed for sample in samples):
        outcomes.append(Outcome.BROKEN)
    worst_first = (Outcome.BROKEN, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED)
    return GateResult(patterns, roadmap, next(o for o in worst_first if o in outcomes), tuple(samples))


def _pattern(name: str, samples: Sequence[Sample], gate: Gate) -> PatternResult:
    drawn = [sample for sample in samples if sample.probe.pattern == name and not sample.probe.roadmap]
    judged = [sample.judgement for sample in drawn if sample.judgement is not None]
    errors = len(drawn) - len(judged)
    counted = judged[: gate.n]  # the plan's error rates are for n; later ones are spares for what did not complete
    passed = sum(judgement.passed for judgement in counted)
    if errors > gate.n - gate.c or (errors and not judged):
        outcome = Outcome.BROKEN
    elif len(counted) < gate.n:
        outcome = Outcome.INCONCLUSIVE
    else:
        outcome = Outcome.PASSED if passed >= gate.c else Outcome.FAILED
    interval = stats.clopper_pearson(passed, len(counted), confidence=gate.confidence)
    return PatternResult(name, len(counted), passed, errors, gate.n, gate.c, interval, outcome)


def _single(sample: Sample) -> Outcome:
    if sample.judgement is None:
        return Outcome.INCONCLUSIVE
    return Outcome.PASSED if sample.judgement.passed else Outcome.FAILED


COLUMNS = ("pattern", "passed", "needed", "interval", "outcome")


def rows(result: GateResult) -> list[tuple[str, str, str, str, str]]:
    """The gate as a table, under COLUMNS."""
    table = []
    for one in result.patterns:
        errors = f" ({one.errors} not completed)" if one.errors else ""
        low, high = one.interval
        table.append(
            (
                one.pattern,
                f"{one.passed} of {one.completed}{errors}",
                f"{one.c} of {one.n}",
                f"{low:.1%} to {high:.1%}",
                one.outcome.value,
            )
        )
    for name, outcome in result.roadmap.items():
        passed = int(outcome is Outcome.PASSED)
        table.append((name, f"{passed} of {int(outcome is not Outcome.INCONCLUSIVE)}", "1 of 1", "", outcome.value))
    return table


def meaning(gate: Gate) -> str:
    """What the plan's numbers promise, in one sentence."""
    good, bad = (stats.at_least(gate.c, gate.n, rate) for rate in (gate.good, gate.bad))
    return (
        f"{gate.c} of {gate.n} each: a model right {gate.good:.0%} of the time passes with probability {good:.3f}, "
        f"one right {gate.bad:.0%} of the time with {bad:.3f}"
    )
