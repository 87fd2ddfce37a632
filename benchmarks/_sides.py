"""Sides of a comparison in fresh processes, turn by turn: A B A B. Imports nothing large, because a process that is
started inherits the peak memory of the one that starts it."""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
THREADS = 2
FEWEST = 3  # rounds, when five take too long


def run(module: str, *arguments: object) -> dict[str, Any]:
    """What one fresh process prints: a JSON object in its last line."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def alternate(
    module: str, sides: tuple[str, ...], seeds: list[int], *, seconds: float = math.inf
) -> dict[str, list[dict[str, Any]]]:
    """Every side once for each seed, in turn: side -> what it printed. After `seconds` no further round begins, but
    there are FEWEST at least.
    """
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    began = time.monotonic()
    for count, seed in enumerate(seeds):
        spent = time.monotonic() - began
        if count >= FEWEST and spent * (count + 1) / count > seconds:
            print(f"  {module.strip('_')}: {count} rounds took {spent:.0f} s, no more", file=sys.stderr, flush=True)
            break
        for side in sides:
            found[side].append(run(module, side, seed))
            print(f"  {module.strip('_')} {side}: {found[side][-1]}", file=sys.stderr, flush=True)
    return found


def median(results: list[dict[str, Any]], name: str) -> float:
    return statistics.median(result[name] for result in results)


def spread(results: list[dict[str, Any]], name: str, *, digits: int = 2) -> str:
    """Median and, in brackets, the least and the most."""
    values = [result[name] for result in results]
    low, mid, high = (f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{mid} [{low} to {high}]"
