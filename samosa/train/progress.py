"""metrics.jsonl and the progress line: what a run tells about each of its steps."""

import contextlib
import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from samosa import home
from samosa.train.events import tell
from samosa.train.loop import StepReport

COLUMNS = 100  # of the progress line: what does not fit is in metrics.jsonl
MEASURED = frozenset(
    {"seconds", "tok_per_s", "mfu", "mfu_causal", "peak_memory_gb", "wait_data", "wait_save", "dollars"}
)
"""Keys of a step's line that differ when the same training runs again."""


@dataclass(frozen=True)
class Work:
    """What a run computes, and what that is measured by."""

    steps: int
    tokens_per_step: int
    rates: Mapping[str, float]
    """The recipe's learning rate of each group: matrix, embedding, unembedding, scalar."""
    flops_per_token: float
    """Forward and backward, attention counted in full up to the window."""
    causal_flops_per_token: float
    """The same with half of the windows that span the row."""
    parameters: int
    scaling_parameters: int
    """Without the tables that are looked up: matrices and head."""
    peak_flops: float | None
    """Of all ranks together; None where it is not known, and then no MFU is shown."""
    price_per_hour: float | None
    """Dollars for the whole machine."""


@dataclass
class Progress:
    """Writes a line of metrics.jsonl after each step, and shows the progress line."""

    metrics: Path
    work: Work
    device: torch.device
    gone: Callable[[], None] = lambda: None
    """Called when nobody reads the progress line any more."""
    dollars_before: float = 0.0
    """What the run had cost when it was resumed."""
    val_bpb: float | None = None
    """The latest validation."""
    began: float = field(default_factory=time.monotonic)
    mark: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    """When the last line was written; the time from there counts saving and validating too."""
    waited: float = 0.0
    """Seconds since then in which the training thread waited for a checkpoint."""
    pace: float | None = None
    """Seconds a step, smoothed; without saving and validating."""

    def record(self, report: StepReport, extra: Mapping[str, float] | None = None) -> None:
        """Append the step's line to metrics.jsonl, `extra` figures with it, and show it."""
        now = time.monotonic()
        seconds = max(now - self.mark, 1e-9)
        self.pace = seconds if self.pace is None else 0.9 * self.pace + 0.1 * seconds
        line = {
            **self._training(report),
            **self._speed(seconds),
            "wait_data": _share(report.data_seconds, seconds),
            "wait_save": _share(self.waited, now - self.told),
            "peak_memory_gb": round(peak_memory(self.device) / 1e9, 3),
            **(extra or {}),
        }
        if self.work.price_per_hour is not None:
            line["dollars"] = round(self._dollars(), 4)
        if report.skipped:
            line["skipped"] = True
            tell("warn", f"step {report.step}: {report.why or 'refused'}; all ranks skipped the update")
        home.append_line(self.metrics, _json(line))
        self.told, self.waited = now, 0.0
        if not tell("live", self.text(line)):
            self.gone()

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Count the time inside as waiting for a checkpoint."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.waited += time.monotonic() - began

    def rest(self) -> None:
        """Start the next step's clock."""
        self.mark = time.monotonic()

    def validated(self, step: int, val_bpb: float, by_position: Mapping[int, float] | None = None) -> None:
        """Append a validation to metrics.jsonl and say it, by position too where documents are long enough."""
        self.val_bpb = val_bpb
        line: dict[str, Any] = {"kind": "val", "step": step, "val_bpb": val_bpb}
        said = ""
        if by_position and len(by_position) > 1:
            line["val_bpb_from"] = {str(start): value for start, value in by_position.items()}
            said = "; from position " + ", ".join(f"{start:,} {value:.4f}" for start, value in by_position.items())
        home.append_line(self.metrics, _json(line))
        tell("say", f"step {step}: validation {val_bpb:.4f} bits per byte{said}")

    def went_back(self, step: int, windows: Sequence[tuple[int, int]]) -> None:
        """Append to metrics.jsonl which of the data is left out from the step after `step` on, and say it."""
        # With the number of the next step, so that a resume from `step` itself, which knows nothing of it, drops it.
        home.append_line(self.metrics, _json({"kind": "rollback", "step": step + 1, "skips": [*map(list, windows)]}))
        left = ", ".join(f"{first + 1} to {end}" for first, end in windows)
        tell("warn", f"too many steps were refused: back to step {step}, going on without the data of steps {left}")

    def text(self, line: Mapping[str, Any]) -> str:
        """The progress line: where the run is, how fast, how long and how much still."""
        left = (self.work.steps - line["step"]) * (self.pace or 0.0)
        parts = [f"step {line['step']}/{self.work.steps}", f"loss {line['loss']:.4f}"]
        end = [f"{line['tok_per_s']:,} tok/s"]
        if "mfu" in line:
            end.append(f"MFU {line['mfu']:.1%}")
        end.append(f"{duration(left)} left")
        if self.work.price_per_hour is not None:
            spent = self._dollars()
            end.append(f"${spent:.2f} of ~${spent + left / 3600 * self.work.price_per_hour:.2f}")
        wished = [f"lr {line['lr_matrix']:.2g}"]
        wished += [f"val {self.val_bpb:.4f}"] if self.val_bpb is not None else []
        for part in wished:
            if len("  ".join([*parts, part, *end])) <= COLUMNS:
                parts.append(part)
        return "  ".join([*parts, *end])

    def _training(self, report: StepReport) -> dict[str, Any]:
        tokens = report.step * self.work.tokens_per_step
        terms = report.losses if len(report.losses) > 1 else {}
        return {
            "kind": "step",
            "step": report.step,
            "loss": report.loss,
            **{f"loss_{term}": value for term, value in terms.items()},
            "grad_norm": report.grad_norm,
            **{f"lr_{group}": rate * report.hyper.lr for group, rate in self.work.rates.items()},
            "momentum": report.hyper.momentum,
            "weight_decay": report.hyper.weight_decay,
            "tokens": tokens,
            "tokens_per_parameter": round(tokens / self.work.parameters, 4),
            "tokens_per_scaling_parameter": round(tokens / self.work.scaling_parameters, 4),
        }

    def _speed(self, seconds: float) -> dict[str, Any]:
        """Tokens per second, and the share of the peak that this takes under both ways of counting attention."""
        speed, peak = self.work.tokens_per_step / seconds, self.work.peak_flops
        line = {"seconds": round(seconds, 4), "tok_per_s": round(speed)}
        if peak:
            line["mfu"] = round(speed * self.work.flops_per_token / peak, 4)
            line["mfu_causal"] = round(speed * self.work.causal_flops_per_token / peak, 4)
        return line

    def _dollars(self) -> float:
        return self.dollars_before + (time.monotonic() - self.began) / 3600 * (self.work.price_per_hour or 0.0)


def peak_memory(device: torch.device) -> int:
    """The most bytes this rank has held: of its GPU, by torch's allocator; on a CPU, of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 45 s, 3:05 min, 2:07 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02d} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02d} h"


class Past(NamedTuple):
    """What metrics.jsonl says about a run up to the checkpoint it is resumed from."""

    validated: frozenset[int]
    """The steps that were validated."""
    dollars: float
    val_bpb: float | None


def truncate_metrics(path: Path, step: int) -> Past:
    """Drop what a killed run wrote after the checkpoint it is resumed from; return what is known up to there.

    A line that the kill tore in half goes too. With step 0 nothing stays.
    """
    if not path.exists():
        return Past(frozenset(), 0.0, None)
    kept = [line for line in map(_read, path.read_text().splitlines()) if line is not None and line["step"] <= step]
    kept = kept if step else []
    home.write_atomic(path, "".join(_json(line) + "\n" for line in kept))
    values = {line["step"]: line["val_bpb"] for line in kept if line["kind"] == "val"}
    spent = [line["dollars"] for line in kept if "dollars" in line]
    return Past(frozenset(values), spent[-1] if spent else 0.0, values[max(values)] if values else None)


def _share(part: float, whole: float) -> float:
    return round(min(part / whole, 1.0), 4) if whole > 0 else 0.0


def _read(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and {"kind", "step"} <= line.keys() else None


def _json(line: Mapping[str, Any]) -> str:
    """One strict JSON line: what is not finite becomes null."""
    clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in line.items()}
    return json.dumps(clean, allow_nan=False)
