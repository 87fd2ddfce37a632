"""The full suite's gate: four conjuncts, looked at after every round until they decide or the budget is spent.

Exit codes are the joint gate's: 0 passed, 10 failed, 20 not enough evidence, 30 the measurement itself broke.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from samosa.eval import conjuncts, stats, tries
from samosa.eval.conjuncts import OVERALL, Part
from samosa.eval.gate import EXIT_CODES, Outcome
from samosa.eval.settings import FullGate
from samosa.eval.stats import clustered, sequential
from samosa.eval.tries import Counts, Pairs, Try

WORST_FIRST = (Outcome.BROKEN, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED)


@dataclass(frozen=True)
class Score:
    """How a category did, for reports: nothing is decided by it."""

    name: str
    instances: int
    rate: float
    interval: tuple[float, float]
    """Two-sided, clustered by template."""
    all_pass: float | None
    """pass^k: the chance that all K sampled tries at an instance pass; None where fewer were sampled."""


@dataclass(frozen=True)
class FullResult:
    """The verdict and everything it rests on."""

    parts: tuple[Part, ...]
    scores: tuple[Score, ...]
    """Overall, then every category."""
    broke: tuple[str, ...]
    """Instances that the champion always passed and this model fails at least half of the time."""
    round: int
    """How many rounds were looked at."""
    outcome: Outcome

    @property
    def exit_code(self) -> int:
        """0, 10, 20 or 30."""
        return EXIT_CODES[self.outcome]

    @property
    def passed(self) -> bool:
        """Whether the model may ship."""
        return self.outcome is Outcome.PASSED


def until_decided(
    ask: Callable[[int], tuple[Sequence[Try], Sequence[Try] | None]],
    settings: FullGate,
    *,
    seen: Callable[[FullResult], None] = lambda _: None,
) -> FullResult:
    """Ask round after round until the gate decides or the budget is spent.

    ask(round), round from 1: the model's tries at the suite of that round's seed and the champion's at the same, or
    None without a champion. `seen` gets the result of each look. What a suite asks under every seed (anchors) counts in
    each round as an instance of its template's cluster.
    """
    done: list[Try] = []
    others: list[Try] | None = None
    for look in range(1, settings.rounds + 1):
        own, other = ask(look)
        done += [replace(one, id=f"{look}/{one.id}") for one in own]
        if other is not None:
            others = (others or []) + [replace(one, id=f"{look}/{one.id}") for one in other]
        result = decide(done, settings, looks=look, champion=others)
        seen(result)
        if result.outcome is not Outcome.INCONCLUSIVE:
            break
    return result


def decide(done: Sequence[Try], settings: FullGate, *, looks: int, champion: Sequence[Try] | None = None) -> FullResult:
    """Look at all tries of `looks` rounds together.

    champion: its tries at the same probes; None only where the settings name none. While the outcome is INCONCLUSIVE
    and looks < settings.rounds, ask another round and look again; after that it is the answer.
    """
    assert 1 <= looks <= settings.rounds, f"look {looks} of {settings.rounds}"
    counts = tries.count(done)
    pairs = None if champion is None else tries.pair(champion, done)
    parts = [*judge(counts, pairs, settings, looks=looks), *conjuncts.evidence(done, counts, settings)]
    if settings.champion:
        parts.append(_coverage(pairs, counts, settings))
    broke: tuple[str, ...] = ()
    if pairs is not None:
        lost = (pairs.before == pairs.tries) & (2 * pairs.after <= pairs.tries)
        broke = tuple(name for name, gone in zip(pairs.ids.tolist(), lost, strict=True) if gone)
    return FullResult(tuple(parts), tuple(scores(counts, settings)), broke, looks, worst(parts))


def judge(counts: Counts, pairs: Pairs | None, settings: FullGate, *, looks: int) -> list[Part]:
    """The conjuncts that are about the model, at the level that this look may spend."""
    level = sequential.levels(settings.rounds, level=1 - settings.confidence)[looks - 1]
    parts = conjuncts.absolute(counts, settings.floors, level=level)
    if pairs is not None and len(pairs.ids):
        parts += conjuncts.non_inferior(pairs, settings, level=level)
    return [*parts, conjuncts.zero_tolerance(counts, settings)]


def worst(parts: Sequence[Part]) -> Outcome:
    """A measurement that broke says nothing; else one failure fails; else one open question leaves it open."""
    return next(outcome for outcome in WORST_FIRST if any(part.outcome is outcome for part in parts))


def _coverage(pairs: Pairs | None, counts: Counts, settings: FullGate) -> Part:
    both = len(pairs.ids) if pairs is not None else 0
    enough = both >= (1 - settings.broken) * len(counts.ids) and both > 0
    needed = f"the same instances (samosa eval --tag {settings.champion} with the same suite and seeds)"
    shown = f"{settings.champion} completed {both} of {len(counts.ids)}"
    return Part("evidence", "champion", shown, needed, Outcome.PASSED if enough else Outcome.INCONCLUSIVE)


def scores(counts: Counts, settings: FullGate) -> list[Score]:
    """Overall and by category, with intervals at the settings' confidence (of one look: they are for reading)."""
    each_side = 1 - (1 - settings.confidence) / 2
    found = []
    for name in [OVERALL, *sorted(set(counts.categories.tolist()))]:
        mask = np.full(len(counts.ids), True) if name == OVERALL else counts.categories == name
        if not mask.any():
            continue
        interval = clustered.rate_bounds(counts.rates[mask], counts.templates[mask], confidence=each_side)
        sampled = zip(counts.sampled_passes[mask].tolist(), counts.sampled_tries[mask].tolist(), strict=True)
        all_pass = [stats.pass_hat_k(c, n, settings.samples) for c, n in sampled if n >= settings.samples]
        power = float(np.mean(all_pass)) if all_pass else None
        found.append(Score(name, int(mask.sum()), float(counts.rates[mask].mean()), interval, power))
    return found


def as_record(result: FullResult) -> dict[str, Any]:
    """What the line of an evaluation keeps of the result."""
    return {
        "conjuncts": [
            {"conjunct": one.conjunct, "name": one.name, "outcome": one.outcome.value, **one.numbers}
            for one in result.parts
        ],
        "scores": {
            one.name: {
                "instances": one.instances,
                "rate": round(one.rate, 6),
                "interval": [round(end, 6) for end in one.interval],
                "pass^k": one.all_pass,
            }
            for one in result.scores
        },
        "broke": list(result.broke),
        "round": result.round,
        "outcome": result.outcome.value,
        "exit_code": result.exit_code,
    }


COLUMNS = ("must hold", "of", "seen", "needed", "outcome")


def rows(result: FullResult) -> list[tuple[str, str, str, str, str]]:
    """The conjuncts as a table, under COLUMNS."""
    return [(one.conjunct, one.name, one.shown, one.needed, one.outcome.value) for one in result.parts]


SCORE_COLUMNS = ("category", "instances", "passed", "interval", "pass^k")


def score_rows(result: FullResult) -> list[tuple[str, str, str, str, str]]:
    """The categories as a table, under SCORE_COLUMNS."""
    return [
        (
            one.name,
            str(one.instances),
            f"{one.rate:.1%}",
            f"{one.interval[0]:.1%} to {one.interval[1]:.1%}",
            "" if one.all_pass is None else f"{one.all_pass:.1%}",
        )
        for one in result.scores
    ]
