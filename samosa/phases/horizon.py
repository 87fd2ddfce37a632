"""How long a run is. Lengthening one that has begun is asked for in the recipe, said, and kept in its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from samosa import console, home
from samosa.phases.sizes import steps_of
from samosa.train.job import own_fields, read_meta
from samosa.train.settings import Train, schedule_of

Kind = home.Kind


@dataclass(frozen=True)
class Horizon:
    """The length of one training stage's run, and what the stage's fingerprint would be with another."""

    train: Train
    reprint: Callable[[Mapping[str, Any]], str | None]
    """The stage's fingerprint with these of its settings changed; None while an input is missing."""

    @property
    def unit(self) -> str:
        """What the recipe counts the run in."""
        return "epochs" if self.train.steps is None else "steps"

    def earlier(self) -> dict[str, float]:
        """Fingerprint -> length of this very run before it was lengthened, as train.lengthened_from says."""
        told = self.train.lengthened_from or ()
        lengths = [int(length) if self.unit == "steps" else length for length in told]
        return {print_: length for length in lengths if (print_ := self.reprint({self.unit: length})) is not None}

    def way_on(self, ref: home.CheckpointRef) -> str | None:
        """What to type to go on from a checkpoint that differs in its run's length alone; else None."""
        theirs = read_meta(ref).get("user_config") or {}
        length = {name: theirs.get(name) for name in ("steps", "epochs")}
        if self.reprint(length) != own_fields(ref).get("fingerprint"):
            return None
        before, now = length.get(self.unit), getattr(self.train, self.unit)
        if before is None or before >= now:
            said = ", ".join(f"{name} {value:g}" for name, value in length.items() if value is not None)
            return f"it was begun with train.{said}; say that again, or more of the same unit"
        told = [*(self.train.lengthened_from or ()), before]
        spelled = ",".join(f"{value:g}" if value < 1e6 else str(int(value)) for value in told)
        return f"go on from it with the longer schedule: --set train.lengthened_from=[{spelled}]"

    def past(self, kind: Kind, tag: str) -> list[dict[str, Any]]:
        """The lengths the run had before: fingerprint, horizon, unit, and the step where it ended."""
        found, refs = [], home.list_checkpoints(kind, tag)
        noted = {entry["fingerprint"]: entry for ref in refs for entry in own_fields(ref).get("lengthened") or []}
        for fingerprint, length in self.earlier().items():
            theirs = [ref.step for ref in refs if own_fields(ref).get("fingerprint") == fingerprint]
            entry = {"fingerprint": fingerprint, "horizon": length, "unit": self.unit}
            found.append(noted.get(fingerprint, {**entry, "at_step": max(theirs, default=0)}))
        return found

    def tell(self, kind: Kind, tag: str, rows: int) -> None:
        """Say that a run goes on under a longer schedule, and what that does to its learning rate."""
        refs = [ref for ref in home.list_checkpoints(kind, tag) if own_fields(ref).get("fingerprint") in self.earlier()]
        if not refs or refs[-1] != home.list_checkpoints(kind, tag)[-1]:
            return  # it has gone on already
        step, before, now = refs[-1].step, int(own_fields(refs[-1])["steps"]), steps_of(self.train, rows)
        schedule = schedule_of(self.train)
        old, new = schedule.at(min(step, before - 1), before).lr, schedule.at(min(step, now - 1), now).lr
        console.say(
            f"  lengthened from {before:,} to {now:,} steps, going on from step {step:,}: learning rates x {old:.3f} "
            f"under the old schedule, x {new:.3f} under this one"
        )
