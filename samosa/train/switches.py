"""Switches that change how training computes, and whether this machine has shown that it computes right with them.

`samosa doctor --selftest` writes what it found, with what it found it on; a switch is good for that machine, that torch
and that code, and for no other. Torch-free, so that a plan can ask.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samosa import home
from samosa.errors import NotReady
from samosa.train.hardware import gpus
from samosa.train.settings import Train

if TYPE_CHECKING:
    from samosa.model.gpt import GPT

RECORD_FILE = "selftest.json"
CHECKS = {"compile": "compile", "activation_checkpointing": "activation checkpointing", "fp8": "fp8"}
"""Switch in [train] -> the check that it asks for."""
TOGETHER = "all switches together"
"""The check that two or more of them ask for besides."""
HINT = "samosa doctor --selftest   (it takes a minute; until it has passed, leave the switch off)"


def record_path() -> Path:
    return home.root() / RECORD_FILE


def identity() -> dict[str, str]:
    """What a self-test is true of: the device, torch, and samosa's model and training code."""
    return {
        "device": ", ".join(sorted(set(gpus()))) or _processor(),
        "torch": metadata.version("torch"),
        "code": _code(),
    }


def read_record() -> dict[str, Any]:
    """What the last self-test of this home found; empty without one that can be read."""
    try:
        found = json.loads(record_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_record(checks: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep what a self-test found, with what it was found on."""
    home.make_folder(home.root())
    home.write_atomic(record_path(), json.dumps({"identity": identity(), "checks": checks}, indent=1) + "\n")


def asked(train: Train) -> list[str]:
    """The switches that are on."""
    return [name for name in CHECKS if getattr(train, name)]


def require(train: Train) -> None:
    """Raise NotReady for a switch whose self-test has not passed on this very machine, with this torch and code."""
    on = asked(train)
    if not on:
        return
    record = read_record()
    theirs, ours = record.get("identity"), identity()
    if theirs != ours:
        raise NotReady(f"train.{on[0]} is on and {_why_not_known(theirs, ours)}", hint=HINT)
    for check in [*(CHECKS[name] for name in on), *([TOGETHER] if len(on) > 1 else [])]:
        found = record["checks"].get(check) or {"status": "missing"}
        if found["status"] != "passed":
            note = f" ({found['note']})" if found.get("note") else ""
            raise NotReady(
                f"train.{', train.'.join(on)}: the self-test of {check} on this machine is {found['status']}{note}",
                hint=f"--set train.{on[0]}=false, or mend that and run samosa doctor --selftest again",
            )


def turn_on(model: "GPT", train: Train) -> None:
    """Let the model train with the switches that are on. Raises NotReady for FP8 where its format is missing."""
    model.train_with(compiled=train.compile, recompute=train.activation_checkpointing, use_fp8=train.fp8)


def _why_not_known(theirs: Any, ours: Mapping[str, str]) -> str:
    if not isinstance(theirs, dict):
        return "this machine was never self-tested"
    changed = [name for name in ours if theirs.get(name) != ours[name]]
    names = {"device": "device", "torch": "version of torch", "code": "version of samosa's code"}
    return f"the self-test is of another {' and another '.join(names[name] for name in changed)}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _code() -> str:
    """A hash of what computes: every module of samosa.model and samosa.train."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted([*(package / "model").rglob("*.py"), *(package / "train").rglob("*.py")]):
        digest.update(f"{path.relative_to(package)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:20]
