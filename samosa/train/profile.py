"""Where a training step's time goes: ten steps of the real job under torch's profiler, with nothing saved.

`python -m samosa.train.profile JOB.json`, by itself or under torchrun. It leaves a Chrome trace and a summary in the
job's run directory. The profiler itself costs time, so compare shares, not speeds.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, schedule

from samosa import home
from samosa.errors import SamosaError
from samosa.train import worker
from samosa.train.distributed import World, world
from samosa.train.job import Job, read_job
from samosa.train.loop import StepReport, train
from samosa.train.objectives import NextToken
from samosa.train.settings import schedule_of
from samosa.train.stop import StopFlag, write_marker

STEPS = 10
WARMUP = 3  # steps before them: buffers, kernels and compiled code are made in the first
SPANS = ("data", "forward", "backward", "agree", "optimizer", "gather")
"""Ranges that the loop and the optimizer name. Reducing gradients over ranks happens inside backward."""
OPERATORS = 12  # in the table
TRACE_FILE = "trace.json.gz"
SUMMARY_FILE = "profile.json"


def main(argv: list[str]) -> int:
    """Profile what the job file says; an error a person can mend is left in the job's marker."""
    job = read_job(Path(argv[0]))
    try:
        with world() as where:
            run(job, where)
        return 0
    except SamosaError as problem:
        write_marker(job, reason=problem.message, code=problem.exit_code, hint=problem.hint)
        return problem.exit_code


def run(job: Job, where: World) -> None:
    """Train WARMUP + STEPS steps; rank 0 writes the trace and the summary of the last STEPS."""
    set_up = worker.set_up(job, where, StopFlag(), None)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if where.device.type == "cuda" else [])]
    times: list[float] = []
    plan = schedule(wait=WARMUP - 1, warmup=1, active=STEPS, repeat=1)
    with profile(activities=activities, schedule=plan) as profiler:

        def after_step(report: StepReport) -> None:
            times.append(time.perf_counter())
            profiler.step()

        _train(job, set_up, where, after_step)
    if where.leads:
        run_dir = Path(job.run_dir)
        profiler.export_chrome_trace(str(run_dir / TRACE_FILE))
        seconds = (times[-1] - times[-1 - STEPS]) / STEPS
        home.write_atomic(run_dir / SUMMARY_FILE, json.dumps(summary(profiler, seconds), indent=1) + "\n")


def _train(job: Job, set_up: Any, where: World, after_step: Callable[[StepReport], None]) -> None:
    train(set_up.state, NextToken(), set_up.data, schedule_of(job.settings), where, after_step=after_step)


def summary(profiler: Any, seconds: float) -> dict[str, Any]:
    """Milliseconds a step of each span and of the dearest operators: on the host, and on the GPU where there is one.

    The optimizer is told without the gather, which it contains; "other" is what no span names.
    """
    entries = {entry.key: entry for entry in profiler.key_averages()}
    spans = {name: _milliseconds(entries[name]) for name in SPANS if name in entries}
    if {"optimizer", "gather"} <= spans.keys():
        spans["optimizer"] = {kind: value - spans["gather"][kind] for kind, value in spans["optimizer"].items()}
    named = sum(span["host"] for span in spans.values())
    spans["other"] = {"host": max(seconds * 1e3 - named, 0.0), "device": 0.0}
    own = {key: _own_milliseconds(entry) for key, entry in entries.items() if _is_operator(key)}
    dearest = sorted(own, key=lambda key: -max(own[key].values()))[:OPERATORS]
    return {
        "steps": STEPS,
        "ms_per_step": round(seconds * 1e3, 3),
        "spans": {name: _rounded(span) for name, span in spans.items()},
        "operators": {key: {**_rounded(own[key]), "calls": round(entries[key].count / STEPS)} for key in dearest},
    }


def _is_operator(key: str) -> bool:
    return key not in SPANS and not key.startswith("ProfilerStep")


def _milliseconds(entry: Any) -> dict[str, float]:
    return {"host": entry.cpu_time_total / 1e3 / STEPS, "device": entry.device_time_total / 1e3 / STEPS}


def _own_milliseconds(entry: Any) -> dict[str, float]:
    """Without the operators that it calls."""
    return {"host": entry.self_cpu_time_total / 1e3 / STEPS, "device": entry.self_device_time_total / 1e3 / STEPS}


def _rounded(span: Mapping[str, float]) -> dict[str, float]:
    return {kind: round(value, 3) for kind, value in span.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
