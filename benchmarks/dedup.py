"""Near-duplicates in 100,000 chat rows: samosa and datasketch, turn by turn, `python -m benchmarks.dedup [--json]`.

One row in twenty is a copy of an earlier one with words changed until their five-word sequences have a Jaccard
similarity of 0.8 to 0.9, counted here with Python's sets. Recall is the share of these copies that are dropped; a false
drop is any other row that is.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._sides import median, run, spread

ROWS, COPIES, TURNS = 100_000, 0.05, 3
VOCABULARY = 30_000
SIDES = ("samosa", "datasketch")


def write_rows(path: Path, count: int, seed: int) -> set[int]:
    """Write chat rows of about 1.5 kB; returns the lines (from 1) that are near-duplicates."""
    draw = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    vocabulary = ["".join(draw.choices(letters, range(26, 0, -1), k=draw.randint(2, 10))) for _ in range(VOCABULARY)]
    weights = [1 / (rank + 10) for rank in range(VOCABULARY)]
    earlier: list[list[str]] = []
    copies = set()
    with path.open("w") as file:
        for number in range(1, count + 1):
            if earlier and draw.random() < COPIES and (words := _changed(draw.choice(earlier), vocabulary, draw)):
                copies.add(number)
            else:
                size = min(2000, max(30, int(draw.lognormvariate(5.3, 0.7))))
                words = draw.choices(vocabulary, weights, k=size)
                if number % 8 == 0:
                    earlier.append(words)
            turns = [("user", words[:20]), ("assistant", words[20:])]
            messages = [{"role": role, "content": " ".join(said)} for role, said in turns]
            file.write(json.dumps({"messages": messages}) + "\n")
    return copies


def _changed(words: list[str], vocabulary: list[str], draw: random.Random) -> list[str] | None:
    """A copy whose similarity is at least 0.8 and, where few enough words stand between, at most 0.9; else None."""
    changed = list(words)
    for place in draw.sample(range(len(words)), k=max(1, len(words) // draw.randint(50, 90))):
        changed[place] = draw.choice(vocabulary)
    first, second = ({tuple(side[i : i + 5]) for i in range(len(side) - 4)} for side in (words, changed))
    return changed if 0.8 <= len(first & second) / len(first | second) <= 0.9 else None


def measure(rows: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        copies = write_rows(path, rows, seed)
        print(f"{rows:,} rows, {path.stat().st_size / 1e6:.0f} MB, {len(copies):,} near-copies", file=sys.stderr)
        found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for _ in range(TURNS):
            for side in SIDES:
                result = run("_dedup", side, path)
                dropped = set(result.pop("dropped"))
                result["recall"] = len(dropped & copies) / len(copies)
                result["false_drops"] = len(dropped - copies)
                found[side].append(result)
    for side in SIDES:
        row = ", ".join(f"{name} {spread(found[side], name, digits=4)}" for name in found[side][0])
        print(f"{side:10}  {row}", file=sys.stderr)
    ours, theirs = (found[side] for side in SIDES)
    return {
        "vs_datasketch_cpu": round(median(theirs, "cpu_seconds") / median(ours, "cpu_seconds"), 2),
        "vs_datasketch": round(median(theirs, "seconds") / median(ours, "seconds"), 2),
        "rows_per_s_per_core": round(rows / median(ours, "cpu_seconds")),
        "recall": median(ours, "recall"),
        "recall_datasketch": median(theirs, "recall"),
        "false_drops": median(ours, "false_drops"),
        "false_drops_datasketch": median(theirs, "false_drops"),
    }


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=ROWS)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--json", action="store_true", help="one line of JSON, last on stdout")
    options = asked.parse_args()
    figures = measure(options.rows, options.seed)
    print(json.dumps(figures, indent=None if options.json else 1))
