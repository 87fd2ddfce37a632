"""Runs that outlive the terminal they were started in: `--detach` starts one, `samosa attach` looks at one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samosa import console, home
from samosa.config import Options
from samosa.errors import BadInput, NotReady, SamosaError, Stopped
from samosa.train.job import LOG_FILE
from samosa.train.launch import LIVE_FILE

LOCK_FILE = "command.lock"
"""Held by the command that works on a tag; the kernel frees it whatever the command dies of."""
NOTE_FILE = "command.json"
"""Which process that is, and the exit code it ended with."""
HANDED_DOWN = "SAMOSA_LOCK"
"""In the environment of a detached command: the descriptor of the lock that was taken for it."""
COMMAND = "import sys; from samosa.cli import main; sys.exit(main())"
TRIES = 5
"""To take the lock: who looks whether a run is still going holds it for a moment."""
LOOK_SECONDS = 0.25
LINES = 10  # of the log, shown by `attach` before what is new


@dataclass
class Running:
    """A command at work on a tag."""

    code: int = SamosaError.exit_code
    """What it ends with; an exception overrules it."""


@contextlib.contextmanager
def only_command(tag: str, options: Options) -> Iterator[Running]:
    """Be the only command that works on a tag, on node 0. Raises NotReady where another one does."""
    running = Running()
    if options.node_rank:
        yield running  # node 0 holds the tag for all
        return
    lock = _handed_down() or _take(tag)
    note = home.run_dir(tag) / NOTE_FILE
    about: dict[str, object] = {"pid": os.getpid(), "command": ["samosa", *options.argv]}
    try:
        home.write_atomic(note, json.dumps({**about, "code": None}) + "\n")
        yield running
    except BaseException as error:
        running.code = Stopped.exit_code if isinstance(error, KeyboardInterrupt) else SamosaError.exit_code
        running.code = getattr(error, "exit_code", running.code)
        raise
    finally:
        with contextlib.suppress(NotReady):  # a full disk has been said by the run itself
            home.write_atomic(note, json.dumps({**about, "code": running.code}) + "\n")
        os.close(lock)


def detach(tag: str, options: Options) -> int:
    """Start this very command again, without a terminal: it goes on when this one is closed. Returns the exit code.

    Raises NotReady where another command works on the tag.
    """
    lock = _take(tag)
    arguments = [argument for argument in options.argv if argument != "--detach"]
    log_path = home.run_dir(tag) / LOG_FILE
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    with log_path.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, HANDED_DOWN: str(lock), "PYTHONPATH": path},
            pass_fds=(lock,),
            start_new_session=True,  # no terminal, and so no SIGHUP when a connection is lost
        )
    os.close(lock)
    console.say(f"{tag} goes on by itself as process {child.pid}; what it says is in {log_path}")
    if options.json:
        console.emit_json({"tag": tag, "pid": child.pid, "log": str(log_path)})
    console.say(f"next: samosa attach {tag}   (kill -INT {child.pid} stops it with everything saved)")
    return 0


def attach(tag: str) -> int:
    """Show a run as its own terminal would until it ends; returns the code that it ended with.

    Raises BadInput for a tag that was never run, SamosaError for a run that was killed. Ctrl-C ends the looking only.
    """
    directory = home.run_dir(tag)
    if not (directory / LOCK_FILE).exists():
        known = sorted(path.parent.name for path in directory.parent.glob(f"*/{LOCK_FILE}"))
        raise BadInput(f"no run is called {tag}", hint=f"have: {', '.join(known) or 'none yet'}")
    try:
        _follow(tag, directory)
    except KeyboardInterrupt:
        console.say(f"{tag} goes on; samosa attach {tag} shows it again")
        return 0
    code = json.loads((directory / NOTE_FILE).read_text())["code"]
    if code is None:
        raise SamosaError(
            f"{tag} ended without a word, as what is killed does",
            hint="run its command again: it goes on from the last save",
        )
    console.say(f"{tag} has ended with exit code {code}")
    return int(code)


def _follow(tag: str, directory: Path) -> None:
    log = _Tail(directory / LOG_FILE)
    live = directory / LIVE_FILE
    began = _changed(directory / NOTE_FILE)
    seen = before if (before := _changed(live)) < began else 0  # an earlier run's line is not this one's
    log.skip_to_last(LINES)
    going = True
    while going:
        going = _is_running(tag)  # before what it said last is read
        for line in log.lines():
            console.say(line)
        if _changed(live) != seen:
            seen = _changed(live)
            console.live_line(live.read_text())
        if going:
            time.sleep(LOOK_SECONDS)


class _Tail:
    """The lines of a file that grows."""

    def __init__(self, path: Path) -> None:
        self.path, self.place, self.rest = path, 0, b""

    def lines(self) -> Sequence[str]:
        """The whole lines since the last look."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.place)
            *lines, self.rest = (self.rest + file.read()).split(b"\n")
            self.place = file.tell()
        return [line.decode("utf-8", "replace") for line in lines]

    def skip_to_last(self, count: int) -> None:
        """Leave out all but the last few lines of what is there."""
        whole = self.lines()
        kept = "".join(f"{line}\n" for line in whole[-count:]).encode()
        self.rest = kept + self.rest


def _changed(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _handed_down() -> int | None:
    """The lock taken by the command that detached this one; its children shall not hold it."""
    number = os.environ.pop(HANDED_DOWN, None)
    if number is None:
        return None
    os.set_inheritable(int(number), False)
    return int(number)


def _take(tag: str) -> int:
    path = home.run_dir(tag) / LOCK_FILE
    home.make_folder(path.parent)
    home.require_writable(path.parent)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    for left in reversed(range(TRIES)):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if left:
                time.sleep(0.1)
    os.close(lock)
    raise NotReady(f"another command works on {tag}", hint=f"samosa attach {tag} shows it; let it finish, or stop it")


def _is_running(tag: str) -> bool:
    with (home.run_dir(tag) / LOCK_FILE).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
