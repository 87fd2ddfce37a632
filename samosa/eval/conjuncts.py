"""The four things that must all hold before a model ships, each with a stated error rate and an outcome of its own.

Absolute: good enough by itself. Non-inferior: no worse than the champion, on the same items and seeds. Zero tolerance:
nothing that nobody should see. Evidence: enough was asked, and the harness held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from samosa.eval import stats
from samosa.eval.gate import Outcome
from samosa.eval.settings import Floor, FullGate
from samosa.eval.stats import clustered, paired
from samosa.eval.tries import Counts, Pairs, Try

OVERALL = "overall"


@dataclass(frozen=True)
class Part:
    """One row of the gate: something that was asked of the model, and what it came to."""

    conjunct: str
    name: str
    """"overall", a category, or what was looked for."""
    shown: str
    needed: str
    outcome: Outcome
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What the record keeps: rates, bounds and p-values, unrounded."""


def absolute(counts: Counts, floors: Mapping[str, Floor], *, level: float) -> list[Part]:
    """Overall and by named category: shown to be above `bad` passes, shown to be below `good` fails.

    Each claim errs at most `level` of the time. A category that nothing was asked of has no evidence.
    """
    parts = []
    for name, floor in floors.items():
        mask = np.full(len(counts.ids), True) if name == OVERALL else counts.categories == name
        needed = f"above {floor.bad:.1%}"
        if not mask.any():
            parts.append(Part("absolute", name, "nothing asked", needed, Outcome.INCONCLUSIVE))
            continue
        rate = float(counts.rates[mask].mean())
        low, high = clustered.rate_bounds(counts.rates[mask], counts.templates[mask], confidence=1 - level)
        outcome = Outcome.PASSED if low > floor.bad else Outcome.FAILED if high < floor.good else Outcome.INCONCLUSIVE
        shown = f"{rate:.1%}, surely {low:.1%} to {high:.1%} ({int(mask.sum())} instances)"
        numbers = {"rate": rate, "low": low, "high": high, "instances": int(mask.sum())}
        parts.append(Part("absolute", name, shown, needed, outcome, numbers))
    return parts


def non_inferior(pairs: Pairs, settings: FullGate, *, level: float) -> list[Part]:
    """Overall and by category: shown to lose less than the margin passes; surely worse, and not so shown, fails.

    To pass, every claim must be shown at `level`; requiring all of them needs no correction (Berger 1982,
    intersection-union). To fail, one alarm is enough, so alarms are corrected for their number (Holm 1979), and a model
    as good as the champion fails at most `level` of the time.
    """
    names = [OVERALL, *sorted(set(pairs.categories.tolist()))]
    chosen = [pairs if name == OVERALL else pairs.of(pairs.categories == name) for name in names]
    parts = [_difference(name, some, settings, level=level) for name, some in zip(names, chosen, strict=True)]
    if all(part.outcome is Outcome.PASSED for part in parts):
        return parts
    gained = [np.bincount(some.templates, weights=some.after - some.before).astype(np.int64) for some in chosen]
    alarms = [paired.worse(totals) for totals in gained]
    return [
        part
        if part.outcome is Outcome.PASSED or alarm > level
        else Part(
            part.conjunct, part.name, part.shown, part.needed, Outcome.FAILED, dict(part.numbers) | {"worse": alarm}
        )
        for part, alarm in zip(parts, stats.holm(alarms), strict=True)
    ]


def _difference(name: str, pairs: Pairs, settings: FullGate, *, level: float) -> Part:
    margin = settings.margin if name == OVERALL else settings.category_margin
    difference = clustered.mean((pairs.after - pairs.before) / pairs.tries, pairs.templates)
    p_value = paired.non_inferior(difference, margin=margin, tries=int(pairs.tries.sum()))
    low, high = difference.interval(confidence=1 - 2 * level)
    outcome = Outcome.PASSED if p_value <= level else Outcome.INCONCLUSIVE
    shown = f"{difference.mean:+.1%}, surely {low:+.1%} to {high:+.1%} ({len(pairs.ids)} instances)"
    numbers = {"difference": difference.mean, "low": low, "high": high, "p": p_value, "instances": len(pairs.ids)}
    return Part("non-inferior", name, shown, f"above {-margin:+.1%}", outcome, numbers)


def zero_tolerance(counts: Counts, settings: FullGate) -> Part:
    """No artefact in any try; and enough instances without one that they are rarer than `leak`.

    Instances, not tries, are counted: four tries at one prompt are not four prompts. More looks need no correction: a
    further look can only find more.
    """
    hits, n = int((counts.hits > 0).sum()), len(counts.ids)
    bound = stats.upper_bound(hits, n, confidence=settings.confidence)
    enough = n >= stats.clean_needed(settings.leak, confidence=settings.confidence)
    outcome = Outcome.FAILED if hits else Outcome.PASSED if enough else Outcome.INCONCLUSIVE
    shown = f"{hits} of {n}, so below {bound:.2%}"
    return Part(
        "zero tolerance",
        "artefacts",
        shown,
        f"0, and below {settings.leak:.1%}",
        outcome,
        {"hits": hits, "n": n, "bound": bound},
    )


def evidence(tries: Sequence[Try], counts: Counts, settings: FullGate) -> list[Part]:
    """Whether enough was asked and the harness held. Without that, nothing the other three say is a verdict."""
    broken = sum(one.passed is None for one in tries)
    share = broken / len(tries) if tries else 0.0
    crashed = any(one.crashed for one in tries)
    held = Part(
        "evidence",
        "harness",
        f"{broken} of {len(tries)} tries not completed" + (", the engine crashed" if crashed else ""),
        f"at most {settings.broken:.1%}",
        Outcome.BROKEN if crashed or share > settings.broken else Outcome.PASSED,
        {"not_completed": broken, "tries": len(tries)},
    )
    n = len(counts.ids)
    often = min((int(counts.sampled_tries.max()), int((counts.tries - counts.sampled_tries).max())) if n else (0, 0))
    asked = n >= settings.instances and often >= 1 and int(counts.sampled_tries.max()) >= settings.samples
    enough = Part(
        "evidence",
        "asked",
        f"{n} instances, {int(counts.tries.sum())} tries",
        f"{settings.instances} instances, each greedily and {settings.samples} times at {settings.temperature:g}",
        Outcome.PASSED if asked else Outcome.INCONCLUSIVE,
        {"instances": n},
    )
    return [held, enough]
