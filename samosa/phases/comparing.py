"""`samosa compare`: two checkpoints on what both were asked, from the samples that are on disk; nothing is run."""

from dataclasses import replace
from typing import Any

from samosa import console
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.eval import compare as comparisons
from samosa.eval import history
from samosa.eval.compare import Comparison, Difference, Flip
from samosa.eval.settings import FullEvaluation
from samosa.phases.judging import short

SHOWN = 3  # flips of each direction; -v shows all
COLUMNS = ("category", "n", "before", "after", "change", "interval", "flips", "p")


def run(options: Options, *, before: str, after: str) -> int:
    """Compare the last weights judged under each name on every suite that both answered; always 0.

    Raises BadInput where a name was never judged or no suite is shared, and NotReady where samples are gone.
    """
    confidence = load(FullEvaluation, "full", recipe=options.recipe, sets=options.sets).criteria.confidence
    first, second = history.of(before), history.of(after)
    shared = history.shared(first, second)
    if not shared:
        raise _nothing_shared(first[-1], second[-1])
    old, new = (
        [replace(one, id=f"{line['seed']}/{one.id}") for line in lines for one in history.read_tries(line)]
        for lines in zip(*shared, strict=True)
    )
    names = history.label(first[-1]), history.label(second[-1])
    try:
        result = comparisons.compare(old, new, confidence=confidence)
    except ValueError as error:
        raise BadInput(f"{names[0]} and {names[1]}: {error}", hint=history.again(shared[-1][1])) from error
    suites = [{name: line[name] for name in ("suite", "seed", "suite_hash")} for line, _ in shared]
    if options.json:
        console.emit_json(_as_json(result, names, suites, confidence))
    _show(result, names, suites, confidence, everything=options.verbose > 0)
    return 0


def _nothing_shared(first: history.Line, second: history.Line) -> BadInput:
    names = history.label(first), history.label(second)
    if first.get("suite_hash") == second.get("suite_hash"):
        other = next(n for n in history.ASKED_ALIKE if first["settings"].get(n) != second["settings"].get(n))
        values = f"{other} = {first['settings'].get(other)} and {second['settings'].get(other)}"
        message = f"{names[0]} and {names[1]} answered the same suite with {values}: that is no comparison"
    else:
        suites = [f"{line['suite']} seed {line.get('seed')}" for line in (first, second)]
        message = f"{names[0]} and {names[1]} were not asked the same: {suites[0]}, and {suites[1]}"
    return BadInput(message, hint=f"samosa eval --tag {names[1]} --suite {first['suite']} --seed {first.get('seed')}")


def _show(
    result: Comparison, names: tuple[str, str], suites: list[dict[str, Any]], confidence: float, *, everything: bool
) -> None:
    asked = ", ".join(f"{one['suite']} seed {one['seed']}" for one in suites)
    rows = [_row(one) for one in (*result.categories, result.overall)]
    console.table(COLUMNS, rows, title=f"{names[0]} (before) and {names[1]} (after), {asked}")
    for gained, what in ((False, "lost"), (True, "gained")):
        flips = [flip for flip in result.flips if flip.gained is gained]
        for flip in flips if everything else flips[:SHOWN]:
            _show_flip(flip, what, names)
        if len(flips) > SHOWN and not everything:
            console.say(f"  and {len(flips) - SHOWN} more {what} (-v shows all, --json has them)")
    console.say(_verdict(result.overall, names, confidence))
    console.say(f"next: samosa criteria --tag {names[1]}")


def _row(one: Difference) -> tuple[str, ...]:
    interval = f"{one.interval[0]:+.1%} to {one.interval[1]:+.1%}"
    rates = (f"{one.before:.1%}", f"{one.after:.1%}", f"{one.difference:+.1%}", interval)
    return one.name, str(one.instances), *rates, f"-{one.lost} +{one.gained}", f"{one.p_value:.3f}"


def _show_flip(flip: Flip, what: str, names: tuple[str, str]) -> None:
    wrong = flip.before if flip.gained else flip.after
    which = f"{flip.id}, try {flip.k}" if flip.k else flip.id  # seed/id: some ids are in the suites of all seeds
    console.say(f"  {what}: {which}: {wrong.reason}")
    console.say(f"    asked: {short(flip.asked)}")
    for name, one in zip(names, (flip.before, flip.after), strict=True):
        console.say(f"    {name}: {short(one.text)}")


def _verdict(overall: Difference, names: tuple[str, str], confidence: float) -> str:
    low, high = overall.interval
    said = f"{overall.difference:+.1%} ({confidence:.0%} interval {low:+.1%} to {high:+.1%})"
    if overall.p_value > 1 - confidence:
        signs = f"p = {overall.p_value:.3f} by the signs of {overall.templates} templates"
        return f"no difference is shown between {names[0]} and {names[1]}: {said}, {signs}"
    better = "better" if overall.difference > 0 else "worse"
    return f"{names[1]} is {better} than {names[0]}: {said}"


def _as_json(
    result: Comparison, names: tuple[str, str], suites: list[dict[str, Any]], confidence: float
) -> dict[str, Any]:
    return {
        "before": names[0],
        "after": names[1],
        "suites": suites,
        "confidence": confidence,
        "overall": vars(result.overall),
        "categories": [vars(one) for one in result.categories],
        "flips": [
            {
                "id": flip.id,
                "k": flip.k,
                "category": flip.category,
                "gained": flip.gained,
                "asked": flip.asked,
                "before": {"text": flip.before.text, "reason": flip.before.reason},
                "after": {"text": flip.after.text, "reason": flip.after.reason},
            }
            for flip in result.flips
        ],
    }
