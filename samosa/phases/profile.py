"""`samosa profile`: where the time of a training step goes, by ten steps of the real job."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from samosa import console
from samosa.config import Options
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.phases.stage import Facts
from samosa.train.job import Job, write_job

KINDS = ("pretrain", "cpt", "extend", "sft")


def run(options: Options, *, kind: str) -> int:
    """Make the data that the recipe's training reads, then profile its steps; returns the exit code.

    The run has a tag of its own, profile-KIND, and saves no checkpoint. Raises BadInput for a kind nobody trains.
    """
    from samosa.phases import continued, runs
    from samosa.train.profile import STEPS, WARMUP

    commands = dict(zip(KINDS, (runs.run_pretrain, continued.run_cpt, continued.run_extend, runs.run_sft), strict=True))
    if kind not in commands:
        raise BadInput(f"{kind} is no kind of training", hint=f"one of: {', '.join(KINDS)}")
    sets = (*options.sets, f"train.steps={WARMUP + STEPS}")
    return commands[kind](replace(options, sets=sets, tag=f"profile-{kind}", profile=True))


def profiled(job: Job, nproc: int) -> Facts:
    """Profile the job's training, show the table, and return facts that no later command takes for a trained model.

    Raises the error that a rank met, or SamosaError when one crashed.
    """
    from samosa.train import launch, profile
    from samosa.train.stop import read_marker

    launch.check_nproc(nproc)
    path = write_job(replace(job, val_dir=None))
    job.marker_path.unlink(missing_ok=True)
    env = launch.environment(nproc)
    del env[launch.LAUNCHED]  # the ranks talk to the person themselves
    child = subprocess.run(launch.command(path, nproc, module=profile.__name__), env=env, stdout=2, check=False)
    if child.returncode:
        marker = read_marker(job) or {"code": 1, "reason": "a profiled process ended without a word", "hint": None}
        error = {2: BadInput, 3: NotReady}.get(marker["code"], SamosaError)
        raise error(marker["reason"], hint=marker["hint"] or "the traceback is above")
    run_dir = Path(job.run_dir)
    found = json.loads((run_dir / profile.SUMMARY_FILE).read_text())
    show(found)
    trace = run_dir / profile.TRACE_FILE
    return {
        "said": f"{found['ms_per_step']:,.1f} ms a step over {found['steps']} steps, profiler included",
        "profile": {**found, "trace": str(trace)},
        "next": f"open {trace} in https://ui.perfetto.dev or chrome://tracing",
        "keep": False,
    }


def show(found: dict[str, Any]) -> None:
    """The spans of a step, and the operators that cost most, as a table."""
    whole, on_gpu = found["ms_per_step"], any(span["device"] for span in found["spans"].values())
    columns = ["", "ms a step", "share", *(["ms on the GPU"] if on_gpu else []), "calls"]

    def row(name: str, cost: dict[str, Any]) -> list[str]:
        device = [f"{cost['device']:,.2f}"] if on_gpu else []
        calls = f"{cost['calls']:,}" if "calls" in cost else ""
        return [name, f"{cost['host']:,.2f}", f"{cost['host'] / whole:.1%}", *device, calls]

    spans = [row(name, cost) for name, cost in found["spans"].items()]
    console.table(columns, [*spans, ["step", f"{whole:,.2f}", "100.0%", *([""] if on_gpu else []), ""]])
    console.say("")
    columns[0] = "operators, without what they call"
    console.table(columns, [row(name, cost) for name, cost in found["operators"].items()])
