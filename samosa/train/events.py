"""What a training process tells the one that launched it: JSON lines on its stdout; by hand, the console itself.

Everything else a training process or its libraries print (warnings, tracebacks) goes to stderr, and so to train.log.
"""

import json
import os
import sys
from typing import Any, Literal

from samosa import console

LAUNCHED = "SAMOSA_LAUNCHED"
"""Set in the environment of a process whose stdout the launcher reads."""

Kind = Literal["say", "warn", "live", "attempt", "rank", "begin", "ended"]
"""`rank` is the process id of a rank, which takes signals from now on; `attempt` how often torchrun restarted it."""


def tell(kind: Kind, value: str | int | dict[str, Any]) -> bool:
    """Tell the launcher, or whoever looks. False when nobody is there any more: a launcher that was killed."""
    if os.environ.get(LAUNCHED):
        try:
            sys.stdout.write(json.dumps({kind: value}) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # Leave no unwritten text behind, or the interpreter complains about it again when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return False
        return True
    if kind == "say":
        console.say(str(value))
    elif kind == "warn":
        console.warn(str(value))
    elif kind == "live":
        console.live_line(str(value))
    return True


def parse(line: str) -> dict[str, Any] | None:
    """The event in a line of a training process's stdout; None for anything a library printed there."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and len(event) == 1 else None
