"""Going back: after too many refused steps a run goes on from an earlier checkpoint, without the data since then.

What PaLM did by hand (arXiv 2204.02311, section 5.1): restart before the spike and skip the batches seen around it. The
spikes did not come back there, so it was the data together with those weights.
"""

from dataclasses import dataclass

from samosa.errors import SamosaError
from samosa.train.distributed import World, share
from samosa.train.guard import Skipping, Window
from samosa.train.job import Job, complete_checkpoints
from samosa.train.loop import TrainState
from samosa.train.session import remove


@dataclass(frozen=True)
class Retreat:
    """Where a run goes back to."""

    step: int
    """Of the checkpoint it goes on from; 0 is the beginning."""
    skips: list[Window]
    """The data between there and the last refused step, which is left out from now on."""


def retreat(job: Job, state: TrainState, data: Skipping, where: World, before: Retreat | None) -> Retreat:
    """Drop the checkpoints since the first of the refused steps, and say where to go on.

    Every rank calls it. Raises SamosaError when the run comes back to the same place a second time.
    """
    saved = [ref.step for ref in complete_checkpoints(job)] if where.leads else []
    place = share(state.guard.refuge(saved) or 0, where)
    if before is not None and before.step == place:
        raise SamosaError(
            f"{len(state.guard.strikes)} steps up to step {state.step} were refused ({state.guard.why}), again after"
            f" going back to step {place} and leaving out the data that did it",
            hint="raise train.spike_factor or train.max_strikes and run it again, or lower the learning rates under"
            f" another tag: --set train.init_lr_frac={job.settings.init_lr_frac / 2:g} --tag {job.tag}b",
        )
    if where.leads:
        for ref in reversed(complete_checkpoints(job)):
            if ref.step > place:
                remove(ref)
    return Retreat(place, data.windows(place, state.step))
