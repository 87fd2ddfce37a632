"""`samosa doctor`: what this machine has, and whether it computes right."""

from __future__ import annotations

import shutil
from typing import Any

from samosa import console, home
from samosa.config import Options
from samosa.errors import NotReady
from samosa.phases import doctor
from samosa.phases.doctor import Check, missing
from samosa.train import hardware, switches

MARKS = {"passed": "✓", "failed": "✗", "skipped": "·"}


def run(options: Options, *, selftest: bool) -> int:
    """Show what is here; with `selftest` also run every check and write down what passed. 3 when something failed."""
    checks = [doctor.check_processes(doctor.processes(options.nproc)), _disk(), _torch()]
    found = _tested() if selftest else _known()
    rows = [(check.mark, check.name, check.found) for check in checks]
    rows += [(MARKS[one["status"]], f"self-test: {name}", said(one)) for name, one in found.items()]
    console.table(("", "", ""), rows)
    if options.json:
        console.emit_json({"checks": [[*row[1:]] for row in rows[: len(checks)]], "selftest": found})
    failed = [name for name, one in found.items() if one["status"] == "failed"]
    if not found:
        console.say("next: samosa doctor --selftest (train.compile, activation_checkpointing and fp8 ask for it)")
    elif failed:
        console.say(f"next: leave alone what needs {', '.join(failed)}; samosa doctor --selftest -v tells more")
    elif selftest:
        console.say(f"next: samosa pretrain --plan   (written down in {switches.record_path()})")
    return NotReady.exit_code if failed or any(check.error for check in checks) else 0


def said(one: dict[str, Any]) -> str:
    """One check's outcome as a person reads it."""
    if one["figure"] is None:
        return str(one["note"])
    return f"off by {one['figure']:.1e} at most, {one['tolerance']:g} is allowed ({one['seconds']:.1f} s)"


def _tested() -> dict[str, dict[str, Any]]:
    from dataclasses import asdict

    from samosa.train import selftest

    def told(name: str, result: selftest.Result) -> None:
        console.live_line(f"{MARKS[result.status]} {name}")

    console.say("self-test: every check in turn; compiling takes a minute where there are few cores")
    return {name: asdict(result) for name, result in selftest.run(told=told).items()}


def _known() -> dict[str, dict[str, Any]]:
    """What the last self-test found, if it was of this very machine, torch and code."""
    record = switches.read_record()
    return dict(record["checks"]) if record.get("identity") == switches.identity() else {}


def _disk() -> Check:
    try:
        home.require_writable(home.root())
    except NotReady as error:
        return missing("disk", error)
    place = home.root()
    while not place.exists():
        place = place.parent
    return Check("disk", f"{shutil.disk_usage(place).free / 1e9:,.0f} GB free for {home.root()}")


def _torch() -> Check:
    peaks = {name: hardware.peak_flops(name) for name in sorted(set(hardware.gpus()))}
    known = ", ".join(f"{name}: {peak / 1e12:g} TFLOP/s in bf16" for name, peak in peaks.items() if peak)
    return Check("torch", switches.identity()["torch"] + (f"; {known}" if known else ""))
