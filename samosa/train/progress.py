"""metrics.jsonl and the progress line: what a run tells about each of its steps."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samosa import home
from samosa.train.events import tell
from samosa.train.loop import StepReport


@dataclass
class Progress:
    """metrics.jsonl and the progress line. Times are taken between steps, without saving and validating."""

    metrics: Path
    steps: int
    tokens_per_step: int
    matrix_lr: float
    flops_per_token: float
    peak_flops: float | None
    """Of all ranks together; None where it is not known, and then no MFU is shown."""
    price_per_hour: float | None
    gone: Callable[[], None] = lambda: None
    """Called when nobody reads the progress line any more."""
    began: float = field(default_factory=time.monotonic)
    mark: float = field(default_factory=time.monotonic)
    pace: float | None = None
    """Seconds a step, smoothed."""

    def record(self, report: StepReport) -> None:
        """Append the step's line to metrics.jsonl and show it."""
        seconds = time.monotonic() - self.mark
        self.pace = seconds if self.pace is None else 0.9 * self.pace + 0.1 * seconds
        speed = self.tokens_per_step / seconds
        line: dict[str, Any] = {
            "kind": "step",
            "step": report.step,
            "loss": report.loss,
            "grad_norm": report.grad_norm,
            "lr": self.matrix_lr * report.hyper.lr,
            "momentum": report.hyper.momentum,
            "weight_decay": report.hyper.weight_decay,
            "tokens": report.step * self.tokens_per_step,
            "seconds": round(seconds, 4),
            "tok_per_s": round(speed),
        }
        if len(report.losses) > 1:
            line |= {f"loss_{term}": value for term, value in report.losses.items()}
        if self.peak_flops:
            line["mfu"] = round(speed * self.flops_per_token / self.peak_flops, 4)
        if report.skipped:
            line["skipped"] = True
            tell("warn", f"step {report.step}: loss or gradients are not finite; all ranks skipped the update")
        home.append_line(self.metrics, _json(line))
        if not tell("live", self.text(line)):
            self.gone()

    def rest(self) -> None:
        """Start the next step's clock."""
        self.mark = time.monotonic()

    def validated(self, step: int, val_bpb: float) -> None:
        """Append a validation to metrics.jsonl and say it."""
        home.append_line(self.metrics, _json({"kind": "val", "step": step, "val_bpb": val_bpb}))
        tell("say", f"step {step}: validation {val_bpb:.4f} bits per byte")

    def text(self, line: dict[str, Any]) -> str:
        """The progress line: where the run is, how fast, how long and how much still."""
        left = (self.steps - line["step"]) * (self.pace or 0.0)
        parts = [
            f"step {line['step']}/{self.steps}",
            f"loss {line['loss']:.4f}",
            f"lr {line['lr']:.2g}",
            f"{line['tok_per_s']:,} tok/s",
        ]
        if "mfu" in line:
            parts.append(f"MFU {line['mfu']:.1%} of bf16 peak")  # attention counted in full up to the window
        parts.append(f"{duration(left)} left")
        if self.price_per_hour is not None:
            spent = (time.monotonic() - self.began) / 3600 * self.price_per_hour
            parts.append(f"${spent:.2f} of ~${spent + left / 3600 * self.price_per_hour:.2f}")
        return "  ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 45 s, 3:05 min, 2:07 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02d} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def truncate_metrics(path: Path, step: int) -> set[int]:
    """Drop what a killed run wrote after the checkpoint it is resumed from; return the steps validated up to there.

    A line that the kill tore in half goes too. With step 0 nothing stays.
    """
    if not path.exists():
        return set()
    kept = [line for line in map(_read, path.read_text().splitlines()) if line is not None and line["step"] <= step]
    kept = kept if step else []
    home.write_atomic(path, "".join(_json(line) + "\n" for line in kept))
    return {line["step"] for line in kept if line["kind"] == "val"}


def _read(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and {"kind", "step"} <= line.keys() else None


def _json(line: dict[str, Any]) -> str:
    """One strict JSON line: what is not finite becomes null."""
    clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in line.items()}
    return json.dumps(clean, allow_nan=False)
