"""Starting training processes and seeing them through: signals in, talk and progress out, an outcome at the end."""

import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, BinaryIO

from samosa import console
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.home import CheckpointRef
from samosa.train.events import LAUNCHED, parse
from samosa.train.hardware import cores, gpus
from samosa.train.job import Job, complete_checkpoints, finished, out_of_memory_hint, write_job
from samosa.train.stop import SIGNALS, read_marker
from samosa.train.tracking import Tracker

RANK = "samosa.train.rank"
LOOK_SECONDS = 0.2
LIVE_FILE = "live.txt"
"""The progress line as it is now, for `samosa attach`."""
SHUTDOWN_SECONDS = 120
"""What torchrun, when it is asked to end itself, gives the ranks to finish a step and save it before it kills them."""
SHOW_SECONDS = 0.5  # between two writings of the live file
STDERR = 2
ERRORS: dict[int, type[SamosaError]] = {2: BadInput, 3: NotReady}


@dataclass(frozen=True)
class Outcome:
    """How a run ended: 0 finished, 130 stopped and safe to run again. Failures are raised instead."""

    code: int
    ref: CheckpointRef | None
    """The newest complete checkpoint of the run."""
    reason: str | None = None


@dataclass(frozen=True)
class Gang:
    """How the processes of a run stand together: torchrun's own words, passed on.

    Raises BadInput for a combination that cannot be.
    """

    max_restarts: int = 0
    """How often all processes are started again, from the last checkpoint, when one of them dies."""
    nnodes: int = 1
    node_rank: int = 0
    """0 is the node that talks, writes and is met by the others. $SAMOSA_HOME is on a disk that all share."""
    rdzv: str | None = None
    """HOST:PORT of node 0, free there."""

    def __post_init__(self) -> None:
        example = "as in --nnodes 2 --node-rank 0 --rdzv 10.0.0.1:29400, with the rank of each node"
        if self.max_restarts < 0 or self.nnodes < 1 or not 0 <= self.node_rank < self.nnodes:
            raise BadInput(f"--node-rank {self.node_rank} is not one of {self.nnodes} nodes", hint=example)
        if (self.nnodes > 1) != (self.rdzv is not None):
            raise BadInput("--nnodes and --rdzv go together: several nodes have to meet somewhere", hint=example)
        host, _, port = (self.rdzv or "host:1").rpartition(":")
        if not host or not port.isdigit():
            raise BadInput(f"--rdzv {self.rdzv} is not HOST:PORT", hint=example)

    @property
    def leads(self) -> bool:
        return self.node_rank == 0


def run(job: Job, nproc: int, gang: Gang = Gang()) -> Outcome:
    """Train the job with `nproc` processes here, from wherever it was left; return when it is finished or stopped.

    Raises NotReady when the machine has not that many GPUs (or cores) and BadInput when the tag holds other training,
    both before anything starts; later, the error a rank met, or SamosaError naming train.log when one crashed.
    """
    check_nproc(nproc)
    ref = finished(job)
    if ref is not None:
        console.say(f"{ref.name} is trained already")
        return Outcome(0, ref)
    path, log_path = write_job(job), job.log_path
    if gang.leads:
        job.marker_path.unlink(missing_ok=True)
    else:
        log_path = log_path.with_stem(f"{log_path.stem}.{gang.node_rank}")
    # Unbuffered: what a full disk refused is not tried again when the log is closed.
    with Tracker(job) as tracker, log_path.open("ab", buffering=0) as log:
        child = _start(command(path, nproc, gang), environment(nproc, gang), log.fileno())
        with _signals_forwarded(child) as ranks:
            told = _Ear(job, ranks, tracker, log).listen(child)
            code = child.wait()
    return _outcome(job, code, told, killed=ranks.killed)


def check_nproc(nproc: int) -> None:
    """Raise NotReady unless this machine has a GPU for each process, or a core where it has no GPU."""
    cards = gpus()
    have, what = (len(cards), "GPU") if cards else (cores(), "CPU core")
    if not 1 <= nproc <= have:
        raise NotReady(
            f"--nproc {nproc} asks for {nproc} {what}s, this machine has {have}", hint=f"use --nproc {have} or fewer"
        )


def command(job_path: Path, nproc: int, gang: Gang = Gang(), *, module: str = RANK) -> list[str]:
    """The command line of the training processes: one plain process, or torchrun."""
    work = ["-m", module, str(job_path)]
    if nproc == 1 and gang == Gang():
        return [sys.executable, *work]
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={nproc}", f"--nnodes={gang.nnodes}"]
    torchrun += [f"--max-restarts={gang.max_restarts}", f"--shutdown-timeout={SHUTDOWN_SECONDS}"]
    if gang.nnodes == 1:
        # Port 0: the agent takes a free one itself, so two runs on one machine never meet.
        meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    else:
        # Static, since only there --node-rank decides: rank 0 is on node 0, whoever comes first.
        meeting = ["--rdzv-backend=static", f"--rdzv-endpoint={gang.rdzv}", f"--node-rank={gang.node_rank}"]
    return [*torchrun, *meeting, *work]


def environment(nproc: int, gang: Gang = Gang()) -> dict[str, str]:
    """The processes' environment: the cores are shared out, whatever torchrun would choose."""
    env = {**os.environ, LAUNCHED: "1"}
    env.setdefault("OMP_NUM_THREADS", str(max(1, cores() // nproc)))
    env.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    if not gpus() and gang.nnodes == 1:
        env.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    package = str(Path(__file__).parents[2])
    env["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [env.get("PYTHONPATH")])])
    return env


@dataclass
class _Ranks:
    """The processes that signals go to: torchrun itself would give them a while and then kill."""

    group: int
    pids: frozenset[int] = frozenset()
    """Every rank that has said its process id: torchrun starts each in a session of its own, outside the group."""
    attempt: int = 0
    """How often torchrun has started them again."""
    pending: signal.Signals | None = None
    """What those are still to be sent that come later."""
    asked: int = 0
    killed: bool = False

    def take(self, number: int, _: FrameType | None) -> None:
        """Forward a signal; at the second one stop everything at once."""
        self.asked += 1
        if self.asked > 1:
            self.killed = True
            with suppress(ProcessLookupError):
                os.killpg(self.group, signal.SIGKILL)
            for pid in self.pids:
                _kill(pid, signal.SIGKILL)
            return
        console.say("stopping: finishing this step and saving (once more: stop at once and lose the unsaved steps)")
        self.pending = signal.Signals(number)
        for pid in self.pids:
            _kill(pid, self.pending)

    def joined(self, pid: int) -> None:
        """Remember a rank; it gets the signal that came before it, and is ended where everything was stopped."""
        self.pids |= {pid}  # a new set: a signal may be walking over the old one
        if self.killed:
            _kill(pid, signal.SIGKILL)
        elif self.pending is not None:
            _kill(pid, self.pending)

    def again(self, attempt: int) -> bool:
        """Forget the ranks of the attempt before. Whether this one is new."""
        if attempt == self.attempt:
            return False
        self.attempt, self.pids = attempt, frozenset()
        return True


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself meanwhile
        os.kill(pid, number)


def _start(line: list[str], env: dict[str, str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        env=env,
        start_new_session=True,  # Ctrl-C reaches the launcher alone, which forwards it once
    )


@contextmanager
def _signals_forwarded(child: subprocess.Popen[bytes]) -> Iterator[_Ranks]:
    ranks = _Ranks(group=child.pid)
    if threading.current_thread() is not threading.main_thread():
        yield ranks  # only the main thread may take signals
        return
    before = {number: signal.signal(number, ranks.take) for number in SIGNALS}
    try:
        yield ranks
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Ear:
    """Passes on what the processes tell."""

    def __init__(self, job: Job, ranks: _Ranks, tracker: Tracker, log: BinaryIO) -> None:
        self.job, self.ranks, self.tracker, self.log = job, ranks, tracker, log
        self.ended: dict[str, Any] | None = None
        self.shown_at = -math.inf
        # A detached run's stderr is its log: nothing is to be written there twice, and no progress lines.
        self.log_is_stderr = False
        with suppress(OSError):  # stderr may be closed
            self.log_is_stderr = os.path.sameopenfile(STDERR, log.fileno())

    def listen(self, child: subprocess.Popen[bytes]) -> dict[str, Any] | None:
        """Listen until all of them have closed their stdout; return why they ended, if told."""
        assert child.stdout is not None
        for raw in _lines(child.stdout):
            line = raw.decode("utf-8", "replace")
            self._hear(parse(line) or {}, line)
        return self.ended

    def _hear(self, event: dict[str, Any], line: str) -> None:
        if "live" in event:
            self._show(event["live"])
        elif "rank" in event:
            self.ranks.joined(event["rank"])
        elif "attempt" in event:
            if self.ranks.again(event["attempt"]):
                self._talk(f"a rank died; all start again from the last checkpoint (restart {event['attempt']})")
                self.ended = None
        elif "begin" in event:
            self.tracker.begin(event["begin"])
        elif "ended" in event:
            self.ended = self.ended or event["ended"]  # the other ranks die of what happened to the first
        elif event:
            self._talk(event.get("say") or f"warning: {event['warn']}")
        else:
            self._log(line.rstrip("\n"))

    def _talk(self, text: str) -> None:
        console.say(text)
        if not self.log_is_stderr:
            self._log(text)

    def _log(self, text: str) -> None:
        with suppress(OSError):  # the disk is full: the run itself says so
            self.log.write(f"{text}\n".encode())

    def _show(self, text: str) -> None:
        if not self.log_is_stderr:
            console.live_line(text)
        if time.monotonic() - self.shown_at > SHOW_SECONDS:
            self.shown_at = time.monotonic()
            path = Path(self.job.run_dir) / LIVE_FILE
            with suppress(OSError):
                path.with_suffix(".tmp").write_text(text)
                path.with_suffix(".tmp").replace(path)


def _lines(pipe: IO[bytes]) -> Iterator[bytes]:
    """The lines of a pipe as they come. A signal that the system hands to another thread does not wake a reader, and
    its handler waits for this one: so none waits longer than a moment.
    """
    rest = b""
    while True:
        if not select.select([pipe], [], [], LOOK_SECONDS)[0]:
            continue
        if not (data := os.read(pipe.fileno(), 1 << 16)):
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


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
