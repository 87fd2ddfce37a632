"""What every phase and run does, in this order: plan and doctor, then the stages, then what comes next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from samosa import console, home
from samosa.config import Options
from samosa.console import clock
from samosa.errors import NotReady
from samosa.phases.detach import detach, only_command
from samosa.phases.doctor import Check, raise_first
from samosa.phases.plan import Plan, as_json, make_plan, show
from samosa.phases.rates import show_schedule
from samosa.phases.settings import Budget, Estimates
from samosa.phases.sizes import Context
from samosa.phases.stage import Outcome, Shelf, Stage, choose, run_stages

Checker = Callable[[Shelf], list[Check]]
SHOWN = ("said", "checkpoint", "val_bpb", "release", "profile")
"""Facts that --json prints."""


@dataclass(frozen=True)
class Command:
    """One command's stages and what they need."""

    verb: str
    """As typed: "phase-a"."""
    tag: str
    title: str
    stages: Sequence[Stage]
    nproc: int
    budget: Budget
    estimates: Estimates
    checks: Sequence[tuple[frozenset[str], Checker]]
    """(stage names, what they need): looked at when one of them is to run, in this order."""
    ended: Callable[[Outcome], str | None]
    """Says how it ended and returns what to type next; None leaves that to the stages that are left."""


def sets_of(options: Options) -> tuple[str, ...]:
    """--set, and the tag as one of them."""
    return options.sets if options.tag is None else (*options.sets, f"tag={json.dumps(options.tag)}")


def carry_out(command: Command, options: Options) -> int:
    """Show the plan, and unless that is all that was asked for run the stages. Returns the exit code."""
    chosen = choose(command.stages, until=options.until, start=options.start)
    shelf = Shelf([stage.name for stage in command.stages if stage not in chosen])
    names = {stage.name for stage in chosen}
    checks = [check for needed_by, look in command.checks if needed_by & names for check in look(shelf)]
    ctx = Context(shelf, command.nproc, command.estimates)
    plan = make_plan(command.title, chosen, ctx, checks=checks, budget=command.budget, redo=options.redo)
    show(plan)
    if options.plan:
        if options.verbose:
            for entry in plan.entries:
                if entry.size.train is not None:
                    show_schedule(entry.stage, entry.size.train, entry.size.steps)
        if options.json:
            console.emit_json(as_json(plan))
        console.say(_after_plan(command, plan, options))
        return plan.exit_code
    raise_first(checks)
    if plan.over_budget:
        raise NotReady(
            f"this would take {clock(plan.hours * 3600)} and ${plan.dollars:.2f}, over the budget",
            hint="--set budget.dollars=... or budget.hours=..., when it is worth that",
        )
    if options.detach:
        return detach(command.tag, options)
    console.say("")
    with only_command(command.tag, options) as running:
        outcome = run_stages(command.stages, until=options.until, start=options.start, redo=options.redo, shelf=shelf)
        running.code = outcome.exit_code
    told = [done.facts["next"] for done in outcome.done.values() if "next" in done.facts]
    line = told[-1] if told else command.ended(outcome) or _next_stage(command, chosen[-1], options)
    if options.json:
        console.emit_json(_as_json(command, outcome))
    if (home.run_dir(command.tag) / "run.json").is_file():
        console.say(f"report: samosa report --tag {command.tag}")
    console.say(f"next: {line}")
    return outcome.exit_code


def recipe_flags(options: Options) -> str:
    """The recipe and its settings, as they were typed."""
    parts = [f" -r {shlex.quote(options.recipe)}"] if options.recipe else []
    return "".join([*parts, *(f" --set {shlex.quote(text)}" for text in options.sets)])


def flags_of(options: Options) -> str:
    """The options that make another command mean the same recipe."""
    parts = [recipe_flags(options)]
    parts += [f" --tag {shlex.quote(options.tag)}"] if options.tag else []
    parts += [f" --nproc {options.nproc}"] if options.nproc else []
    parts += [f" --max-restarts {options.max_restarts}"] if options.max_restarts else []
    if options.rdzv:
        parts += [f" --nnodes {options.nnodes} --node-rank {options.node_rank} --rdzv {shlex.quote(options.rdzv)}"]
    return "".join(parts)


def _after_plan(command: Command, plan: Plan, options: Options) -> str:
    failed = [check for check in plan.checks if check.error is not None]
    if plan.over_budget or failed:
        what = "the budget" if plan.over_budget else failed[0].name
        return f"next: mend {what}, then samosa {command.verb}{flags_of(options)}"
    return f"next: samosa {command.verb}{flags_of(options)}"


def _next_stage(command: Command, last: Stage, options: Options) -> str:
    place = list(command.stages).index(last) + 1
    following = f" --from {command.stages[place].name}" if place < len(command.stages) else ""
    return f"samosa {command.verb}{flags_of(options)}{following}"


def _as_json(command: Command, outcome: Outcome) -> dict[str, object]:
    stages = [
        {
            "stage": name,
            "fingerprint": done.fingerprint,
            "cached": done.cached,
            "seconds": round(done.seconds, 1),
            **{key: done.facts[key] for key in SHOWN if key in done.facts},
        }
        for name, done in outcome.done.items()
    ]
    score = outcome.done.get("eval")
    gate = {} if score is None else {"verdict": score.facts["said"], "gate": score.facts["table"]}
    return {"command": command.verb, "title": command.title, "stages": stages, **gate, "exit_code": outcome.exit_code}
