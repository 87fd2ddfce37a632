"""A run's checkpoints: copied by the training thread, written behind its back, thinned out by the recipe.

Every rank writes the optimizer state it owns, rank 0 everything else. The manifest comes when all parts are on disk;
until then the checkpoint before it counts, and it is not deleted.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any

import torch

from samosa import home
from samosa.errors import NotReady, SamosaError
from samosa.home import CheckpointRef
from samosa.model.checkpoint import bare_model, require_free, write_checkpoint
from samosa.model.tensors import size_of
from samosa.model.train_state import Part, await_parts, leave_failure, leave_note, write_part
from samosa.train.distributed import World
from samosa.train.events import tell
from samosa.train.job import Job, complete_checkpoints, read_val_bpb, val_path
from samosa.train.loop import TrainState
from samosa.train.session import Start, remove
from samosa.train.settings import Train
from samosa.train.snapshot import Snapshot

PARTS_PATIENCE = 1200  # seconds that rank 0 waits for the other ranks' parts once it has written its own
GRACE = 10  # seconds of them that are left when the run has failed already: the other ranks may be dead
NICENESS = 5  # the writer gives way to the threads that compute


class Checkpoints:
    """Saves a run's checkpoints and keeps those that its recipe asks for.

    `save` returns when the state is copied. One save runs at a time; what it failed with leaves the checkpoint before
    it as it was, is said at once, and is raised by `wait`, which every way out of a run goes through.
    """

    def __init__(self, job: Job, state: TrainState, start: Start, steps: int, dtype: torch.dtype, where: World):
        self.job, self.state, self.start = job, state, start
        self.steps, self.dtype, self.where = steps, dtype, where
        self._model = bare_model(start.model)
        self._saves = 0
        self._step = -1
        self._coming = -1
        self._beside = threading.Lock()  # a validation and the end of its checkpoint may meet
        self._running: Future[None] | None = None
        self._given_up = threading.Event()
        self._writer = ThreadPoolExecutor(1, "save", initializer=_give_way)
        self._snapshot = Snapshot()
        self._take()  # its memory, now

    def save(self, step: int) -> None:
        """Copy everything a resume needs and have it written. Waits for a save that still runs.

        Raises BadInput when the step is saved already or somebody else's.
        """
        self._finish_running()
        began = time.monotonic()
        ref = self._ref(step)
        if self.where.leads:
            require_free(ref)
        self._saves += 1
        self._step = self._coming = step
        copy, meta = self._take(), self.meta(step)
        cursor = {**self.state.cursor(), "seed": self.job.settings.seed}
        self._running = self._writer.submit(self._write, ref, copy, meta, cursor, began)

    def done(self) -> bool:
        """Whether no save is running."""
        return self._running is None or self._running.done()

    def wait(self) -> None:
        """Block until the running save is complete. Raises NotReady when the last one failed: run again to go on."""
        if self._running is None:
            return
        try:
            self._running.result()
        except (SamosaError, OSError) as problem:
            raise NotReady(
                f"step {self._step} of {self.job.tag} was not saved: {_why(problem)}",
                hint="free some space there, or make it writable; then the same command goes on from "
                + (self._newest() or "the beginning"),
            ) from problem

    def close(self) -> None:
        """End the running save, one way or the other, when the run has failed for another reason."""
        if self._running is not None:
            wait_for([self._running], timeout=GRACE)
        self._given_up.set()
        self._writer.shutdown()

    def write_val(self, step: int, val_bpb: float) -> None:
        """Put a validation beside the checkpoint of that step, if there is one or will be."""
        out_dir = Path(self.job.out_dir)
        with self._beside:
            if step == self._coming or step in home.complete_steps(out_dir):
                text = json.dumps({"step": step, "val_bpb": val_bpb}) + "\n"
                home.write_atomic(val_path(out_dir, step), text)

    def meta(self, step: int) -> dict[str, Any]:
        """nanochat's fields, and samosa's own under "samosa". The validation has a file of its own beside it."""
        settings = self.job.settings
        own = {
            "tag": self.job.tag,
            "stage": self.job.stage,
            "init": self.job.init,
            "fingerprint": self.job.fingerprint,
            "steps": self.steps,
            "lengthened": self.job.lengthened,
            "tokens": step * settings.tokens_per_step,
            "skipped": self.state.skipped,
            "dtype": str(self.dtype).removeprefix("torch."),
            "world_size": self.where.size,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "tokenizer": self.start.tokenizer,
        }
        return {
            "user_config": self.job.train,
            "device_batch_size": settings.micro_batch,
            "max_seq_len": settings.length,
            "total_batch_size": settings.tokens_per_step,
            "stage": "base" if self.job.stage == "pretrain" else self.job.stage,  # nanochat's word
            "samosa": own,
        }

    def _take(self) -> dict[str, Any]:
        weights = self._model.state_dict() if self.where.leads else {}
        return self._snapshot.take(weights=weights, optimizer=self.state.optimizer.live_state())

    def _write(
        self, ref: CheckpointRef, copy: dict[str, Any], meta: dict[str, Any], cursor: dict[str, Any], began: float
    ) -> None:
        """What the writing thread does. Only rank 0 talks."""
        save = f"{self.start.attempt:08x}-{self._saves}"
        if not self.where.leads:
            try:
                leave_note(ref, self.where.rank, save, write_part(ref, self.where.rank, copy["optimizer"]))
            except (SamosaError, OSError) as problem:
                leave_failure(ref, self.where.rank, save, _why(problem))
                raise
            return
        others = range(1, self.where.size)

        def parts() -> Sequence[Part]:
            own = write_part(ref, 0, copy["optimizer"])
            return [own, *await_parts(ref, others, save, patience=PARTS_PATIENCE, given_up=self._given_up.is_set)]

        try:
            write_checkpoint(ref, self._model.config, copy["weights"], meta, cursor=cursor, parts=parts)
        except (SamosaError, OSError) as problem:
            with self._beside:
                self._coming = -1
                val_path(ref.directory, ref.step).unlink(missing_ok=True)
            if ref.step < self.steps:  # else it is an error, which `wait` raises
                stays = f"{newest} stays" if (newest := self._newest()) else "nothing is saved yet"
                tell("warn", f"step {ref.step} was not saved: {_why(problem)}; {stays}, the next save tries again")
            raise
        size = size_of(copy) / 1e9
        tell("say", f"step {ref.step}: saved {ref.name}, {size:.2f} GB in {time.monotonic() - began:.1f} s")
        try:
            self._thin_out()
        except (SamosaError, OSError) as problem:
            tell("warn", f"older checkpoints could not be deleted: {_why(problem)}")

    def _thin_out(self) -> None:
        """Delete what the recipe does not keep. Called when a save is complete, so what goes is nobody's fallback."""
        refs = {ref.step: ref for ref in complete_checkpoints(self.job)}
        found = {step: read_val_bpb(Path(self.job.out_dir), step) for step in refs}
        val_bpb = {step: value for step, value in found.items() if value is not None}
        refuge = self.state.guard.refuge(refs)  # what the run goes back to, should more steps be refused
        for step in superfluous(sorted(refs), self.job.settings, val_bpb):
            if step != refuge and not refs[step].keep_path.exists():
                remove(refs[step])

    def _finish_running(self) -> None:
        """Wait for the running save. What a disk refused was said; anything else is a bug, and raised."""
        problem = None if self._running is None else self._running.exception()
        if problem is not None and not isinstance(problem, SamosaError | OSError):
            raise problem

    def _ref(self, step: int) -> CheckpointRef:
        return CheckpointRef(self.job.kind, self.job.tag, step, Path(self.job.out_dir))

    def _newest(self) -> str | None:
        steps = home.complete_steps(Path(self.job.out_dir))
        return self._ref(steps[-1]).name if steps else None


def superfluous(steps: Sequence[int], train: Train, val_bpb: Mapping[int, float]) -> list[int]:
    """The saved steps (ascending) that the recipe does not keep.

    It keeps the last `keep`, every multiple of `keep_every`, and with `keep_best` the one of the lowest validation.
    """
    if not train.keep:
        return []
    kept = set(steps[-train.keep :])
    if train.keep_every:
        kept |= {step for step in steps if step % train.keep_every == 0}
    if train.keep_best and val_bpb:
        kept.add(min(val_bpb, key=lambda step: (val_bpb[step], step)))
    return [step for step in steps if step not in kept]


def _why(problem: SamosaError | OSError) -> str:
    if isinstance(problem, SamosaError):
        return problem.message
    return f"{problem.filename or 'the disk'}: {problem.strerror or problem}"


def _give_way() -> None:
    """Lower this thread's priority; Linux has one for each thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
