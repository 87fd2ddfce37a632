"""`samosa criteria`: the roadmap's success criteria of a checkpoint, from what was measured; nothing is run."""

from samosa import console
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.eval import criteria, history
from samosa.eval.criteria import Criterion, State
from samosa.eval.settings import FullEvaluation

COLUMNS = ("done when", "measured", "surely between", "needed", "outcome")


def run(options: Options) -> int:
    """Show the seven criteria for the last judged weights of `options.tag`; 0 whatever they say.

    Raises BadInput for a tag that was never judged, and NotReady where its samples are gone.
    """
    if options.tag is None:
        raise BadInput("whose criteria are to be shown?", hint="samosa criteria --tag TAG")
    wanted = load(FullEvaluation, "full", recipe=options.recipe, sets=options.sets).criteria
    lines = history.of(options.tag)
    name = history.label(lines[-1])
    found = criteria.judge(name, lines, wanted)
    if options.json:
        console.emit_json({"tag": lines[-1]["tag"], "step": lines[-1]["step"], "criteria": [*map(_as_json, found)]})
    console.table(COLUMNS, map(_row, found), title=f"{name}, each bound at {wanted.confidence:.0%}")
    for one in found:
        if one.command is not None:
            console.say(f"  {one.name}: {one.command}")
    met = sum(one.state is State.MET for one in found)
    console.say(f"{name}: {met} of {len(found)} met")
    console.say(_next(name, found))
    return 0


def _row(one: Criterion) -> tuple[str, ...]:
    interval = "" if one.interval is None else f"{one.interval[0]:.1%} to {one.interval[1]:.1%}"
    return one.name, one.measured, interval, one.needed, one.state.value


def _as_json(one: Criterion) -> dict[str, object]:
    return vars(one) | {"state": one.state.value}


def _next(name: str, found: list[Criterion]) -> str:
    open_one = next((one.command for one in found if one.command is not None), None)
    return f"next: {open_one or f'samosa chat --tag {name}'}"
