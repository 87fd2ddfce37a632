"""metrics.jsonl, read for pictures: what a run said of its steps, thinned to what a picture can show."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MOST = 240  # points of a curve: more than the pixels of a phone tell apart


@dataclass(frozen=True)
class Curve:
    """Values over steps. Where many steps share a point: their last step, their mean, their least and their most."""

    steps: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    of: int
    """Steps it was made of."""

    @property
    def is_binned(self) -> bool:
        return self.of > len(self.steps)


@dataclass(frozen=True)
class Metrics:
    """The lines of metrics.jsonl by kind, each in the order of its steps."""

    steps: tuple[dict[str, Any], ...] = ()
    validations: tuple[dict[str, Any], ...] = ()
    rollbacks: tuple[dict[str, Any], ...] = ()

    def curve(self, *keys: str) -> Curve | None:
        """The first of `keys` that the steps have; None where none does, or nothing of it is finite."""
        return next((found for key in keys if (found := _curve(self.steps, key)) is not None), None)

    @property
    def bpb(self) -> Curve | None:
        """Bits per byte on the validation set."""
        return _curve(self.validations, "val_bpb")

    @property
    def by_position(self) -> Curve | None:
        """The last validation's bits per byte by position in the document; None where documents are short."""
        found = [line["val_bpb_from"] for line in self.validations if "val_bpb_from" in line]
        if not found:
            return None
        return thinned([(float(start), value) for start, value in found[-1].items() if value is not None])


def read(path: Path) -> Metrics:
    """Read metrics.jsonl; nothing where there is none. A line that a kill tore in half is passed over."""
    if not path.is_file():
        return Metrics()
    kinds: dict[str, list[dict[str, Any]]] = {"step": [], "val": [], "rollback": []}
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int) and line.get("kind") in kinds:
            kinds[line["kind"]].append(line)
    return Metrics(*(tuple(lines) for lines in kinds.values()))


def thinned(points: Sequence[tuple[float, float]], most: int = MOST) -> Curve | None:
    """The points as a curve of at most `most`, neighbours put together; None of nothing."""
    if not points:
        return None
    steps, values = np.array(points, dtype=np.float64).T
    size = -(-len(steps) // most)
    starts = np.arange(0, len(steps), size)
    counts = np.diff(np.append(starts, len(steps)))
    return Curve(
        steps=tuple(steps[starts + counts - 1].tolist()),
        values=tuple((np.add.reduceat(values, starts) / counts).tolist()),
        low=tuple(np.minimum.reduceat(values, starts).tolist()),
        high=tuple(np.maximum.reduceat(values, starts).tolist()),
        of=len(steps),
    )


def _curve(lines: Sequence[dict[str, Any]], key: str) -> Curve | None:
    found = [(float(line["step"]), line[key]) for line in lines if isinstance(line.get(key), int | float)]
    return thinned(found)
