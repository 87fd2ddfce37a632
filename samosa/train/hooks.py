"""What happens after a step, in this order: the log line, the checkpoint, the validation."""

from collections.abc import Callable
from dataclasses import dataclass

from samosa.train.loop import StepReport


@dataclass(frozen=True)
class Cadence:
    """When to save and when to validate; the last step always does both."""

    steps: int
    save_every: int
    eval_every: int

    def saves(self, report: StepReport) -> bool:
        return report.stop or self._due(report.step, self.save_every)

    def validates(self, step: int) -> bool:
        return self._due(step, self.eval_every)

    def _due(self, step: int, every: int) -> bool:
        return step == self.steps or bool(every and step % every == 0)


@dataclass
class AfterStep:
    """The loop's hook. `save` and `validate` are called with the step on every rank, `record` on rank 0 alone."""

    cadence: Cadence
    save: Callable[[int], None]
    validate: Callable[[int], None]
    record: Callable[[StepReport], None]
    rest: Callable[[], None] = lambda: None
    """Called at the end, so that the next step's time does not count what happened here."""

    def __call__(self, report: StepReport) -> None:
        self.record(report)
        if self.cadence.saves(report):
            self.save(report.step)
        # Who asked to stop is waiting. A validation left out is made up for on the way on.
        if self.cadence.validates(report.step) and not (report.stop and report.step < self.cadence.steps):
            self.validate(report.step)
        self.rest()
