"""Ending early: the wish to stop, and the marker that says why a run ended before its last step. Torch-free."""

import contextlib
import json
import os
import signal
from dataclasses import dataclass
from typing import Any

from samosa import home
from samosa.errors import SamosaError
from samosa.train.events import tell
from samosa.train.job import Job

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class StopFlag:
    """Whether this process was asked to stop, and by what."""

    reason: str | None = None

    def install(self) -> None:
        """Take the signals that ask a run to end; the run looks at the flag, and no signal interrupts a save."""
        for number in SIGNALS:
            signal.signal(number, lambda received, _: self.ask(signal.Signals(received).name))

    def ask(self, reason: str) -> None:
        self.reason = self.reason or reason

    def asked(self) -> bool:
        return self.reason is not None


def write_marker(job: Job, *, reason: str, code: int, hint: str | None = None, final: bool = True) -> None:
    """Say why a run ended early, to the launcher and in a file; the first rank to say something wins.

    `final` is false where starting the same processes again may help: torchrun does that after a crash, on request.
    """
    ended = {"reason": reason, "code": code, "hint": hint, "final": final, "pid": os.getpid()}
    tell("ended", ended)
    # What ended the run may be the full disk that this file does not fit on either.
    with contextlib.suppress(OSError, SamosaError):
        if not job.marker_path.exists():
            home.write_atomic(job.marker_path, json.dumps(ended) + "\n")


def read_marker(job: Job) -> dict[str, Any] | None:
    """What a run said when it ended early; None where it did not."""
    try:
        return dict(json.loads(job.marker_path.read_text()))
    except FileNotFoundError:
        return None


def given_up(job: Job) -> bool:
    """Whether torchrun started this process again after an end that another start does not mend."""
    return restarts() > 0 and bool((read_marker(job) or {}).get("final"))


def restarts() -> int:
    """How often torchrun has started the processes again."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
