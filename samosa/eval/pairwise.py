"""What a pairwise comparison came to: the win rate, the guards on how a model talks, and a verdict on both."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from samosa.eval import guards
from samosa.eval.gate import EXIT_CODES, Outcome
from samosa.eval.guards import Drift
from samosa.eval.judge import Matchup, Opinion
from samosa.eval.settings import JudgeLimits, Pairwise
from samosa.eval.win_rate import WinRate, win_rate


@dataclass(frozen=True)
class Guard:
    """One symptom, of the champion and now."""

    name: str
    before: float
    after: float
    limit: float
    """The last value that is allowed now."""
    floor: bool
    """Whether less than the limit is not allowed; else more is not."""

    @property
    def held(self) -> bool:
        return self.after >= self.limit if self.floor else self.after <= self.limit


def came_to(matchups: Sequence[Matchup], found: Sequence[Sequence[Opinion]], settings: Pairwise) -> dict[str, Any]:
    """What the record keeps of the opinions on each matchup; without a win rate where no reply could be read."""
    scores = [[said.score for said in some] for some in found]
    judged = [(one, [score for score in some if score is not None]) for one, some in zip(matchups, scores, strict=True)]
    counted = [(one, sum(some) / len(some)) for one, some in judged if some]
    unreadable = sum(score is None for some in scores for score in some) / sum(map(len, scores))
    tally = {
        "judges": [_by_judge(number, found) for number in range(len(settings.judges))],
        "unreadable": round(unreadable, 6),
        "pairs": len(counted),
    }
    if not counted:
        return tally | {"outcome": Outcome.BROKEN.value, "exit_code": EXIT_CODES[Outcome.BROKEN]}
    rate = win_rate(
        [score for _, score in counted],
        [len(one.own) for one, _ in counted],
        [len(one.other) for one, _ in counted],
        [one.template for one, _ in counted],
        confidence=settings.confidence,
    )
    held = guarded(guards.drift([one.other for one in matchups], [one.own for one in matchups]), settings.limits)
    decided = outcome(rate, unreadable, held, settings)
    return tally | {
        "win_rate": round(rate.rate, 6),
        "interval": [round(end, 6) for end in rate.interval],
        "raw_win_rate": round(rate.raw, 6),
        "raw_interval": [round(end, 6) for end in rate.raw_interval],
        "length_worth": round(rate.length_worth, 6),
        "guards": [asdict(guard) | {"held": guard.held} for guard in held],
        "outcome": decided.value,
        "exit_code": EXIT_CODES[decided],
    }


def outcome(rate: WinRate, unreadable: float, held: Sequence[Guard], settings: Pairwise) -> Outcome:
    """A guard that did not hold fails: what it watches is how a model comes to be preferred for nothing."""
    if unreadable > settings.malformed:
        return Outcome.BROKEN
    if rate.interval[1] < settings.win_rate or not all(guard.held for guard in held):
        return Outcome.FAILED
    return Outcome.PASSED if rate.interval[0] >= settings.win_rate else Outcome.INCONCLUSIVE


def guarded(drift: Drift, limits: JudgeLimits) -> list[Guard]:
    """The guards' numbers beside what is allowed."""
    before, after = drift.before, drift.after
    longest = limits.length_ratio
    rise = before.question_rate + limits.question_rise
    return [
        Guard("median words", before.median_words, after.median_words, before.median_words * longest, False),
        Guard("words of long answers", before.p90_words, after.p90_words, before.p90_words * longest, False),
        Guard("distinct-2", before.distinct_2, after.distinct_2, before.distinct_2 - limits.distinct_drop, True),
        Guard("openers, bits", before.opener_bits, after.opener_bits, before.opener_bits - limits.opener_drop, True),
        Guard("ends on a question", before.question_rate, after.question_rate, rise, False),
    ]


def _by_judge(number: int, found: Sequence[Sequence[Opinion]]) -> dict[str, Any]:
    """One judge's part: alone it decides nothing, but a taste of its own shows."""
    said = [some[number] for some in found]
    scores = [one.score for one in said if one.score is not None]
    return {
        "name": said[0].judge,
        "pairs": len(scores),
        "win_rate": round(sum(scores) / len(scores), 6) if scores else None,
        "by_order": sum(one.score is not None and one.first != one.second for one in said),
        "unreadable": len(said) - len(scores),
    }
