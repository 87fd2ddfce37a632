"""A rank's work: set up from wherever the run was left, train, and leave the last step saved and validated."""

import gc
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from samosa import home
from samosa.data.loader import Plan
from samosa.data.rows import PackedRows
from samosa.errors import BadInput, NotReady
from samosa.train.distributed import World, agree, share, wrap
from samosa.train.events import tell
from samosa.train.guard import Guard, Skipping
from samosa.train.hardware import peak_flops
from samosa.train.hooks import AfterStep, Cadence
from samosa.train.job import Job, val_path
from samosa.train.loop import TrainState, train
from samosa.train.objectives import NextToken
from samosa.train.optim import MuonAdamW
from samosa.train.progress import Progress, Work, truncate_metrics
from samosa.train.retreat import Retreat, retreat
from samosa.train.saving import Checkpoints
from samosa.train.session import Start, begin, decide_backend, decide_dtype
from samosa.train.settings import schedule_of
from samosa.train.stop import StopFlag, write_marker
from samosa.train.switches import require, turn_on
from samosa.train.validation import Validation, asked, check_rows


def run(job: Job, where: World, stop: StopFlag) -> None:
    """Train to the last step or until asked to stop, going back where the guard demands it."""
    _check_disk(job, where)
    back: Retreat | None = None
    while True:
        back = _from_newest(job, where, stop, back)
        if back is None:
            return
        gc.unfreeze()
        gc.collect()  # the old weights, before new ones are loaded


def _from_newest(job: Job, where: World, stop: StopFlag, back: Retreat | None) -> Retreat | None:
    """Train on from the newest checkpoint. Returns where to go back to, None when finished or stopped."""
    run = set_up(job, where, stop, back)
    if asked(stop.asked, where):
        run.stopped()
        return None
    if share(int(run.owes_validation()), where) and not run.validate(run.state.step):
        run.stopped()
        return None
    gc.collect()
    gc.freeze()  # what is set up now lives as long as the run: no collection needs to look at it again
    if not run.train():
        run.stopped()
    elif run.state.step < run.data.steps:
        return retreat(job, run.state, run.data, where, back)
    return None


@dataclass
class _Run:
    """One rank's run from where it was taken up, all set up."""

    job: Job
    where: World
    stop: StopFlag
    state: TrainState
    data: Skipping
    checkpoints: Checkpoints
    validation: Validation
    cadence: Cadence
    progress: Progress
    validated: frozenset[int]
    """Steps whose validation is in metrics.jsonl; known to rank 0 alone."""

    def train(self) -> bool:
        """Run the loop. False when it was left because a rank was asked to stop."""
        record = self.progress.record if self.where.leads else lambda report: None
        after_step = AfterStep(self.cadence, self.save, self.validate, record, rest=self.progress.rest)
        schedule = schedule_of(self.job.settings)
        self.progress.rest()
        try:
            train(
                self.state,
                NextToken(),
                self.data,
                schedule,
                self.where,
                after_step=after_step,
                stop_asked=self.stop.asked,
            )
        except BaseException as bug:
            self.checkpoints.close()
            bug.add_note(f"in step {min(self.state.step + 1, self.data.steps)} of {self.data.steps}")
            raise
        with self.progress.saving():
            self.checkpoints.wait()
        return not after_step.left

    def save(self, step: int) -> None:
        with self.progress.saving():
            self.checkpoints.save(step)

    def validate(self, step: int) -> bool:
        """Validate and write it down. False where that was left because a rank was asked to stop."""
        if self.job.val_dir is None:
            return True
        found = self.validation.measured(step)
        if found is None:
            return False
        if self.where.leads:
            self.checkpoints.write_val(step, found.bits_per_byte)
            self.progress.validated(step, found.bits_per_byte, found.by_position)
        return True

    def owes_validation(self) -> bool:
        """Whether the step gone on from was to be validated and was not. Rank 0 knows."""
        step, last = self.state.step, self.data.steps
        if not self.where.leads or not step:
            return False
        lost = step == last and not val_path(Path(self.job.out_dir), step).exists()
        return lost or (self.cadence.validates(step) and step not in self.validated)

    def stopped(self) -> None:
        """Leave the marker of a run that was asked to stop."""
        if self.where.leads:
            step = self.state.step
            what = f"step {step} of {self.data.steps} is saved" if step else "before the first step"
            write_marker(self.job, reason=f"{self.stop.reason or 'another rank was asked to stop'}; {what}", code=130)


def set_up(job: Job, where: World, stop: StopFlag, back: Retreat | None) -> _Run:
    """Everything a run needs to go on from its newest checkpoint, after `back` where it went back just now.

    Raises BadInput for rows that do not fit the recipe, and NotReady for what this machine cannot do.
    """
    settings = job.settings
    require(settings)
    check_rows(job)
    dtype = decide_dtype(job, where)
    start = begin(job, dtype, decide_backend(settings, dtype, where), where)
    turn_on(start.model, settings)
    state = _state(job, start, where, dtype)
    if back is not None:
        state.skips += back.skips
    plan = _plan(job, where)
    data = Skipping(plan, state.skips)
    progress = _progress(job, start, plan, where, gone=lambda: stop.ask("the launcher is gone"))
    validated: frozenset[int] = frozenset()
    if where.leads:
        past = truncate_metrics(job.metrics_path, start.step)
        progress.dollars_before, progress.val_bpb, validated = past.dollars, past.val_bpb, past.validated
        tell("say", f"{start.origin}: step {start.step} of {plan.steps}, {plan.rows_per_step} rows a step")
        tell("begin", start.step)
        if back is not None:
            progress.went_back(start.step, back.skips)
    return _Run(
        job=job,
        where=where,
        stop=stop,
        state=state,
        data=data,
        checkpoints=Checkpoints(job, state, start, plan.steps, dtype, where),
        validation=Validation(job, start.model, where, stop.asked),
        cadence=Cadence(plan.steps, settings.save_every, settings.eval_every),
        progress=progress,
        validated=validated,
    )


def _check_disk(job: Job, where: World) -> None:
    """Raise NotReady on every rank unless all nodes see the run's folder: each rank saves its part of a checkpoint."""
    if int(os.environ.get("LOCAL_WORLD_SIZE", where.size)) == where.size:
        return
    path, token = Path(job.run_dir) / "meeting", share(random.SystemRandom().getrandbits(31), where)
    if where.leads:
        home.write_atomic(path, str(token))
    share(0, where)  # until it is written
    alone = not path.exists() or path.read_text() != str(token)
    if agree(torch.tensor(float(alone), device=where.device), where).item():
        raise NotReady(
            f"not all nodes see {path.parent} of node 0",
            hint="set SAMOSA_HOME to a folder on a disk that all nodes share",
        )


def _plan(job: Job, where: World) -> Plan:
    settings = job.settings
    rows = PackedRows.load(Path(job.rows_dir))
    if rows.length != settings.length:
        raise BadInput(
            f"the rows in {job.rows_dir} are {rows.length} tokens long, the recipe says {settings.length}",
            hint="pack them again for this length",
        )
    return Plan(
        rows,
        tokens_per_step=settings.tokens_per_step,
        micro_batch=settings.micro_batch,
        seed=settings.seed,
        epochs=settings.epochs,
        steps=settings.steps,
        world_size=where.size,
        rank=where.rank,
    )


def _state(job: Job, start: Start, where: World, dtype: torch.dtype) -> TrainState:
    settings = job.settings
    optimizer = MuonAdamW(
        start.model.named_parameters(),
        matrix_lr=settings.matrix_lr,
        embedding_lr=settings.embedding_lr,
        unembedding_lr=settings.unembedding_lr,
        scalar_lr=settings.scalar_lr,
        n_embd=start.model.config.n_embd,
        variant=settings.muon_variant,
        ns_dtype=dtype,
        where=where,
    )
    guard = Guard(settings.spike_factor, settings.max_strikes)
    state = TrainState(wrap(start.model, where), optimizer, start.step, guard=guard)
    if start.momenta is not None:
        optimizer.load_state_dict(start.momenta(optimizer.owned_names))
    if start.train_state is not None:
        optimizer.load_state_dict(start.train_state["optimizer"])
        state.go_on_from(start.train_state["cursor"])
    return state


def _progress(job: Job, start: Start, plan: Plan, where: World, *, gone: Callable[[], None]) -> Progress:
    settings, config = job.settings, start.model.config
    peak = peak_flops(torch.cuda.get_device_name(where.device)) if where.device.type == "cuda" else None
    groups = ("matrix", "embedding", "unembedding", "scalar")
    work = Work(
        steps=plan.steps,
        tokens_per_step=settings.tokens_per_step,
        rates={group: getattr(settings, f"{group}_lr") for group in groups},
        flops_per_token=config.flops_per_token(settings.length),
        causal_flops_per_token=config.causal_flops_per_token(settings.length),
        parameters=config.n_params()["total"],
        scaling_parameters=config.scaling_params,
        peak_flops=peak and peak * where.size,
        price_per_hour=job.price_per_hour,
    )
    if where.leads and peak:
        tell("say", f"MFU is the share of {where.size} x {peak / 1e12:g} TFLOP/s (bf16), windows counted as full")
    return Progress(job.metrics_path, work, where.device, gone=gone)
