"""One rank of a training run: `python -m samosa.train.worker JOB.json`, by itself or under torchrun."""

import contextlib
import gc
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from samosa.data.loader import Plan, in_order
from samosa.data.rows import PackedRows
from samosa.errors import BadInput, SamosaError
from samosa.model.checkpoint import load_token_bytes
from samosa.train import bpb
from samosa.train.distributed import World, share, world, wrap
from samosa.train.events import tell
from samosa.train.hardware import peak_flops
from samosa.train.hooks import AfterStep, Cadence
from samosa.train.job import Job, out_of_memory_hint, read_job, val_path
from samosa.train.loop import TrainState, train
from samosa.train.objectives import NextToken
from samosa.train.optim import MuonAdamW
from samosa.train.progress import Progress, truncate_metrics
from samosa.train.session import (
    Checkpoints,
    Start,
    StopFlag,
    begin,
    decide_backend,
    decide_dtype,
    only_one,
    write_marker,
)
from samosa.train.settings import schedule_of


def main(argv: list[str]) -> int:
    """Train what the job file says. 0 also for a run that was stopped: the marker says so, and with which code."""
    job = read_job(Path(argv[0]))
    stop = StopFlag()
    stop.install()
    tell("rank", os.getpid())
    try:
        with world() as where, only_one(job) if where.leads else contextlib.nullcontext():
            if where.leads:
                job.marker_path.unlink(missing_ok=True)
            run(job, where, stop)
        return 0
    except SamosaError as problem:
        write_marker(job, reason=problem.message, code=problem.exit_code, hint=problem.hint)
        with contextlib.suppress(OSError):  # train.log may lie on a full disk
            print(f"error: {problem.message}\nhint: {problem.hint}", file=sys.stderr)
        return problem.exit_code
    except Exception as bug:
        write_marker(job, reason=_short(bug), code=1, hint=_remedy(bug, job))
        raise


def run(job: Job, where: World, stop: StopFlag) -> None:
    """Set up, train to the last step or until asked to stop, and leave the last step saved and validated."""
    settings = job.settings
    if where.leads:
        tell("pid", os.getpid())
    _check_validation(job)
    dtype = decide_dtype(job, where)
    start = begin(job, dtype, decide_backend(settings, dtype, where), where)
    plan = _plan(job, where)
    state = _state(job, start, where, dtype)
    checkpoints = Checkpoints(job, state, start, plan.steps, dtype, where)
    progress = _progress(job, start, plan, where, gone=lambda: stop.ask("the launcher is gone"))

    def validate(step: int) -> None:
        if job.val_dir is None:
            return
        value = _val_bpb(job, start, where, step)
        if where.leads:
            checkpoints.write_val(step, value)
            progress.validated(step, value)

    cadence = Cadence(plan.steps, settings.save_every, settings.eval_every)
    owed = False
    if where.leads:
        validated = truncate_metrics(job.metrics_path, start.step)
        owed = bool(start.step) and cadence.validates(start.step) and start.step not in validated
        owed |= start.step == plan.steps and not val_path(Path(job.out_dir), start.step).exists()
        tell("say", f"{start.origin}: step {start.step} of {plan.steps}, {plan.rows_per_step} rows a step")
        tell("begin", start.step)
    if share(int(owed), where):
        validate(start.step)

    record = progress.record if where.leads else lambda report: None
    after_step = AfterStep(cadence, checkpoints.save, validate, record, rest=progress.rest)
    gc.collect()
    gc.freeze()  # what is set up now lives as long as the run: no collection needs to look at it again
    progress.rest()
    train(state, NextToken(), plan, schedule_of(settings), where, after_step=after_step, stop_asked=stop.asked)
    if state.step < plan.steps and where.leads:
        reason = f"{stop.reason or 'another rank was asked to stop'}; step {state.step} of {plan.steps} is saved"
        write_marker(job, reason=reason, code=130)


def _check_validation(job: Job) -> None:
    """Raise BadInput for validation rows without an answer in them, before a step is paid for."""
    if job.val_dir is not None and not PackedRows.load(Path(job.val_dir)).counts["nll"].sum():
        raise _no_byte(job)


def _no_byte(job: Job) -> BadInput:
    return BadInput(
        f"the validation rows in {job.val_dir} supervise no byte", hint="name a validation file with answers in it"
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
    )
    state = TrainState(wrap(start.model, where), optimizer, start.step)
    if start.train_state is not None:
        optimizer.load_state_dict(start.train_state["optimizer"])
        state.skipped = start.train_state["cursor"]["skipped"]
    return state


def _val_bpb(job: Job, start: Start, where: World, step: int) -> float:
    assert job.val_dir is not None
    rows = PackedRows.load(Path(job.val_dir))
    mine = in_order(rows, micro_batch=job.settings.micro_batch, world_size=where.size, rank=where.rank)
    token_bytes = load_token_bytes(Path(job.tokenizer_dir)).to(where.device)
    value = bpb.evaluate(start.model, (batch.to(where.device) for batch in mine), token_bytes, where)
    if value is None:
        raise _no_byte(job)
    if not math.isfinite(value):
        less = f"--set train.init_lr_frac={job.settings.init_lr_frac / 2:g}"
        raise SamosaError(
            f"the validation loss is not finite at step {step}",
            hint=f"lower the learning rates, under another tag: {less} --tag {job.tag}b",
        )
    return value


def _progress(job: Job, start: Start, plan: Plan, where: World, *, gone: Callable[[], None]) -> Progress:
    settings = job.settings
    peak = peak_flops(torch.cuda.get_device_name(where.device)) if where.device.type == "cuda" else None
    return Progress(
        metrics=job.metrics_path,
        steps=plan.steps,
        tokens_per_step=settings.tokens_per_step,
        matrix_lr=settings.matrix_lr,
        flops_per_token=start.model.config.flops_per_token(settings.length),
        peak_flops=peak and peak * where.size,
        price_per_hour=job.price_per_hour,
        gone=gone,
    )


def _short(bug: Exception) -> str:
    """The bug in one line; its traceback is in train.log."""
    first = next(iter(str(bug).splitlines()), "")
    return f"{type(bug).__name__}: {first[:300]}"


def _remedy(bug: Exception, job: Job) -> str | None:
    """What to change when memory ran out, here or (which looks like a lost connection) on another rank."""
    hint = out_of_memory_hint(job.settings.micro_batch)
    # torch says a failed allocation on the CPU, and a peer that left gloo, with a plain RuntimeError.
    if isinstance(bug, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(bug):
        return hint
    if isinstance(bug, torch.distributed.DistError) or "gloo" in str(bug):
        return f"another rank died first, see its traceback; if there is none, {hint}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
