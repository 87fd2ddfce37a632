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
    validate: Callable[[int], bool]
    """False where it was left because a rank was asked to stop."""
    record: Callable[[StepReport], None]
    rest: Callable[[], None] = lambda: None
    """Called at the end, so that the next step's time does not count what happened here."""
    left: bool = False
    """Whether a stop that a rank was asked for ended it: with a step to come, or in a validation."""

    def __call__(self, report: StepReport) -> bool:
        """Record, save, validate. True when the run is to end with this step, which is saved then."""
        self.record(report)
        saves = self.cadence.saves(report)
        if saves:
            self.save(report.step)
        # Who asked to stop is waiting. A validation left out is made up for on the way on.
        due = self.cadence.validates(report.step) and not (report.stop and report.step < self.cadence.steps)
        if due and not self.validate(report.step):
            if not saves:
                self.save(report.step)
            self.left = True
        self.left |= report.stop and report.step < self.cadence.steps
        self.rest()
        return self.left
