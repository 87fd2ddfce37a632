"""Starting training processes and seeing them through: signals in, talk and progress out, an outcome at the end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from samosa import console
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.home import CheckpointRef
from samosa.train.events import LAUNCHED, parse
from samosa.train.hardware import cores, gpus
from samosa.train.job import Job, complete_checkpoints, finished, out_of_memory_hint, write_job
from samosa.train.stop import SIGNALS, read_marker
from samosa.train.tracking import Tracker

WORKER = "samosa.train.rank"
ERRORS: dict[int, type[SamosaError]] = {2: BadInput, 3: NotReady}


@dataclass(frozen=True)
class Outcome:
    """How a run ended: 0 finished, 130 stopped and safe to run again. Failures are raised instead."""

    code: int
    ref: CheckpointRef | None
    """The newest complete checkpoint of the run."""
    reason: str | None = None


def run(job: Job, nproc: int) -> Outcome:
    """Train the job with `nproc` processes, from wherever it was left; return when it is finished or stopped.

    Raises NotReady when the machine has not that many GPUs (or cores) and BadInput when the tag holds other training,
    both before anything starts; later, the error a rank met, or SamosaError naming train.log when one crashed.
    """
    check_nproc(nproc)
    ref = finished(job)
    if ref is not None:
        console.say(f"{ref.name} is trained already")
        return Outcome(0, ref)
    path = write_job(job)
    job.marker_path.unlink(missing_ok=True)
    # Unbuffered: what a full disk refused is not tried again when the log is closed.
    with Tracker(job) as tracker, job.log_path.open("ab", buffering=0) as log:
        child = _start(path, nproc, log.fileno())
        with _signals_forwarded(child) as worker:
            told = _listen(child, worker, tracker, log)
            code = child.wait()
    return _outcome(job, code, told, killed=worker.killed)


def check_nproc(nproc: int) -> None:
    """Raise NotReady unless this machine has a GPU for each process, or a core where it has no GPU."""
    cards = gpus()
    have, what = (len(cards), "GPU") if cards else (cores(), "CPU core")
    if not 1 <= nproc <= have:
        raise NotReady(
            f"--nproc {nproc} asks for {nproc} {what}s, this machine has {have}", hint=f"use --nproc {have} or fewer"
        )


def command(job_path: Path, nproc: int) -> list[str]:
    """The command line of the training processes: one plain process, or torchrun on the loopback interface."""
    if nproc == 1:
        return [sys.executable, "-m", WORKER, str(job_path)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={nproc}", "--nnodes=1"]
    # Port 0: the agent takes a free one itself, so two runs on one machine never meet.
    meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    return [*torchrun, *meeting, "-m", WORKER, str(job_path)]


def environment(nproc: int) -> dict[str, str]:
    """The processes' environment: the cores are shared out, whatever torchrun would choose."""
    env = {**os.environ, LAUNCHED: "1"}
    env.setdefault("OMP_NUM_THREADS", str(max(1, cores() // nproc)))
    env.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    if not gpus():
        env.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    package = str(Path(__file__).parents[2])
    env["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [env.get("PYTHONPATH")])])
    return env


@dataclass
class _Worker:
    """The process that signals go to: rank 0 once it is known. torchrun itself would give ranks 30 s and then kill."""

    group: int
    ranks: set[int] = field(default_factory=set)
    """Every rank that has said its process id: torchrun starts each in a session of its own, outside the group."""
    pid: int | None = None
    pending: signal.Signals | None = None
    asked: int = 0
    killed: bool = False

    def take(self, number: int, _: FrameType | None) -> None:
        """Forward a signal; at the second one stop everything at once."""
        self.asked += 1
        if self.asked > 1:
            self.killed = True
            with suppress(ProcessLookupError):
                os.killpg(self.group, signal.SIGKILL)
            for pid in self.ranks:
                _kill(pid, signal.SIGKILL)
            return
        console.say("stopping: finishing this step and saving (once more: stop at once and lose the unsaved steps)")
        if self.pid is None:
            self.pending = signal.Signals(number)
        else:
            _kill(self.pid, signal.Signals(number))

    def known(self, pid: int) -> None:
        """Take signals to this process from now on, and the one that came before."""
        self.pid = pid
        if self.pending is not None:
            _kill(pid, self.pending)

    def joined(self, pid: int) -> None:
        """Remember a rank, or end it where everything was stopped while it started."""
        self.ranks = self.ranks | {pid}  # a new set: a signal may be walking over the old one
        if self.killed:
            _kill(pid, signal.SIGKILL)


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself meanwhile
        os.kill(pid, number)


def _start(path: Path, nproc: int, log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(path, nproc),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment(nproc),
        start_new_session=True,  # Ctrl-C reaches the launcher alone, which forwards it once
    )


@contextmanager
def _signals_forwarded(child: subprocess.Popen[bytes]) -> Iterator[_Worker]:
    worker = _Worker(group=child.pid)
    if threading.current_thread() is not threading.main_thread():
        yield worker  # only the main thread may take signals
        return
    before = {number: signal.signal(number, worker.take) for number in SIGNALS}
    try:
        yield worker
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(child: subprocess.Popen[bytes], worker: _Worker, tracker: Tracker, log: Any) -> dict[str, Any] | None:
    """Pass on what the processes tell until all of them have closed their stdout; return why they ended, if told."""
    assert child.stdout is not None
    ended = None
    for raw in child.stdout:
        line = raw.decode("utf-8", "replace")
        event = parse(line) or {}
        if "live" in event:
            console.live_line(event["live"])
        elif "rank" in event:
            worker.joined(event["rank"])
        elif "pid" in event:
            worker.known(event["pid"])
        elif "begin" in event:
            tracker.begin(event["begin"])
        elif "ended" in event:
            ended = ended or event["ended"]  # the other ranks die of what happened to the first
        else:
            text = event.get("say") or (f"warning: {event['warn']}" if "warn" in event else line.rstrip("\n"))
            if event:
                console.say(text)
            with suppress(OSError):  # the disk is full: the run itself says so
                log.write(f"{text}\n".encode())
    return ended


def _outcome(job: Job, code: int, told: dict[str, Any] | None, *, killed: bool) -> Outcome:
    refs = complete_checkpoints(job)
    newest = refs[-1] if refs else None
    if killed:
        return Outcome(130, newest, "stopped at once")
    marker = told  # torchrun's exit code is 1 whatever happened, and the marker file needs room on the disk
    if marker is None:
        marker = read_marker(job)
    if marker is None and code == 0:
        return Outcome(0, finished(job))
    if marker is not None and marker["code"] == 130:
        return Outcome(130, newest, marker["reason"])
    if marker is not None and marker["code"] in ERRORS:
        raise ERRORS[marker["code"]](marker["reason"], hint=marker["hint"])
    raise _crash(job, code, marker, newest)


def _crash(job: Job, code: int, marker: dict[str, Any] | None, newest: CheckpointRef | None) -> SamosaError:
    """The two lines for a rank that died: what it said, or the signal that took it, and where to look."""
    last = f"; {newest.name} is saved" if newest else ""
    if marker is not None:
        what, hint = marker["reason"], marker["hint"]
    else:
        # A rank that the kernel kills for its memory says nothing: -9 of our child, or 1 of torchrun.
        taken = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        what = f"a training process ended with {taken} and said nothing"
        hint = out_of_memory_hint(job.settings.micro_batch).replace("memory ran out", "if memory ran out")
    hint = hint or "the traceback is there; run the same command again to go on from the last save"
    return SamosaError(f"training {job.tag} failed: {what}{last}", hint=f"{hint} (log: {job.log_path})")
