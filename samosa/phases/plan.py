"""The plan: what would run, how long it takes and what it costs, shown before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from samosa import console
from samosa.console import clock
from samosa.phases.doctor import Check
from samosa.phases.settings import Budget
from samosa.phases.sizes import Context, Fact, Size
from samosa.phases.stage import Stage


@dataclass(frozen=True)
class Entry:
    """One stage of a plan."""

    stage: str
    size: Size
    done: bool
    """Already made: it will be reused and costs nothing."""
    on: str
    """What it runs on."""
    dollars: float

    @property
    def seconds(self) -> float:
        return 0.0 if self.done else self.size.seconds


@dataclass(frozen=True)
class Plan:
    """What a command is about to do."""

    title: str
    entries: tuple[Entry, ...]
    checks: tuple[Check, ...]
    budget: Budget
    price_basis: str

    @property
    def hours(self) -> float:
        return sum(entry.seconds for entry in self.entries) / 3600

    @property
    def dollars(self) -> float:
        return sum(entry.dollars for entry in self.entries)

    @property
    def over_budget(self) -> bool:
        return self.dollars > self.budget.dollars or self.hours > self.budget.hours

    @property
    def exit_code(self) -> int:
        """0, or 3 when over budget; what the machine lacks is shown and does not count."""
        return 3 if self.over_budget else 0


def make_plan(
    title: str, stages: Sequence[Stage], ctx: Context, *, checks: Sequence[Check], budget: Budget, redo: bool = False
) -> Plan:
    """Size up the stages. A stage that is on disk already costs nothing."""
    entries = []
    unit = "gpu" if ctx.estimates.dollars_per_gpu_hour else "cpu"
    for stage in stages:
        assert stage.size is not None, f"{stage.name} has no size"
        size, done = stage.size(ctx), not redo and ctx.shelf.find(stage) is not None
        hourly = ctx.nproc * ctx.estimates.dollars_per_gpu_hour if size.gpu else 0.0
        dollars = 0.0 if done else hourly * size.seconds / 3600
        entries.append(Entry(stage.name, size, done, f"{ctx.nproc} {unit}" if size.gpu else "cpu", dollars))
    price = f"{ctx.nproc} x ${ctx.estimates.dollars_per_gpu_hour:g} an hour (recipe)"
    return Plan(title, tuple(entries), tuple(checks), budget, price)


def show(plan: Plan) -> None:
    """Print the plan for people: the stages, the numbers under them, and what the machine has."""
    console.say(plan.title)
    console.table(
        ["", "stage", "what", "on", "time", "$", "basis"],
        [_row(entry) for entry in plan.entries] + [_total(plan)],
        title="",
    )
    numbers = [(entry.stage, fact.what, fact.shown, fact.basis) for entry in plan.entries for fact in _told(entry)]
    if numbers:
        console.table(["stage", "number", "value", "basis"], numbers, title="")
    if plan.checks:
        found = [(check.mark, check.name, check.found) for check in plan.checks]
        console.table(["", "needs", "found"], found, title="")
    if plan.over_budget:
        console.say(f"over budget: ${plan.budget.dollars:g} and {clock(plan.budget.hours * 3600)} are allowed")


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as one JSON object."""
    return {
        "plan": plan.title,
        "stages": [
            {
                "stage": entry.stage,
                "what": entry.size.what,
                "done": entry.done,
                "on": entry.on,
                "hours": round(entry.seconds / 3600, 5),
                "dollars": round(entry.dollars, 4),
                "basis": "on disk" if entry.done else entry.size.basis,
                "numbers": [
                    {"what": fact.what, "value": fact.value, "shown": fact.shown, "basis": fact.basis}
                    for fact in entry.size.facts
                ],
            }
            for entry in plan.entries
        ],
        "hours": round(plan.hours, 5),
        "dollars": round(plan.dollars, 4),
        "price": plan.price_basis,
        "budget": {"dollars": plan.budget.dollars, "hours": plan.budget.hours},
        "over_budget": plan.over_budget,
        "checks": [{"name": check.name, "ok": check.error is None, "found": check.found} for check in plan.checks],
        "exit_code": plan.exit_code,
    }


def _told(entry: Entry) -> tuple[Fact, ...]:
    return () if entry.done else entry.size.facts


def _row(entry: Entry) -> tuple[str, ...]:
    if entry.done:
        return ("✓", entry.stage, entry.size.what, entry.on, "", "", "on disk")
    dollars = f"{entry.dollars:.2f}" if entry.dollars else ""
    return ("·", entry.stage, entry.size.what, entry.on, clock(entry.seconds), dollars, entry.size.basis)


def _total(plan: Plan) -> tuple[str, ...]:
    hours, dollars = f"{plan.hours:.2f} hours", f"{plan.dollars:.2f}"
    return ("", "total", hours, "", clock(plan.hours * 3600), dollars, plan.price_basis)
