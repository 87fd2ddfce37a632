"""One rank of a training run: `python -m samosa.train.rank JOB.json`, by itself or under torchrun.

Signals are taken before torch is imported, which lasts seconds: a run may be asked to stop from its first moment on.
"""

import contextlib
import os
import sys
from pathlib import Path

from samosa.errors import SamosaError
from samosa.train.events import tell
from samosa.train.job import Job, out_of_memory_hint, read_job
from samosa.train.stop import StopFlag, given_up, restarts, write_marker


def main(argv: list[str]) -> int:
    """Train what the job file says. 0 also for a run that was stopped: the marker says so, and with which code."""
    stop = StopFlag()
    stop.install()
    job = read_job(Path(argv[0]))
    if attempt := restarts():
        tell("attempt", attempt)
    tell("rank", os.getpid())
    if given_up(job):
        return 0
    try:
        _work(job, stop)
        return 0
    except SamosaError as problem:
        write_marker(job, reason=problem.message, code=problem.exit_code, hint=problem.hint)
        with contextlib.suppress(OSError):  # train.log may lie on a full disk
            print(f"error: {problem.message}\nhint: {problem.hint}", file=sys.stderr)
        return problem.exit_code
    except Exception as bug:
        write_marker(job, reason=_short(bug), code=1, hint=_remedy(bug, job), final=False)
        raise


def _work(job: Job, stop: StopFlag) -> None:
    from samosa.train import worker
    from samosa.train.distributed import world
    from samosa.train.session import only_one

    with world() as where, only_one(job, stop.asked) if where.leads else contextlib.nullcontext():
        if where.leads:
            job.marker_path.unlink(missing_ok=True)
        worker.run(job, where, stop)


def _short(bug: Exception) -> str:
    """The bug in one line, with the step it came in; its traceback is in train.log."""
    first = next(iter(str(bug).splitlines()), "")
    place = "".join(f" ({note})" for note in getattr(bug, "__notes__", []))
    return f"{type(bug).__name__}: {first[:300]}{place}"


def _remedy(bug: Exception, job: Job) -> str | None:
    """What to change when memory ran out, here or (which looks like a lost connection) on another rank."""
    import torch

    hint = out_of_memory_hint(job.settings.micro_batch)
    # torch says a failed allocation on the CPU, and a peer that left gloo, with a plain RuntimeError.
    if isinstance(bug, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(bug):
        return hint
    if isinstance(bug, torch.distributed.DistError) or "gloo" in str(bug):
        return f"another rank died first, see its traceback; if there is none, {hint}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
