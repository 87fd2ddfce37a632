"""What training with samosa takes against plain ways to do the same: `python benchmarks/train.py [--json]`.

Both sides run in this one command, in fresh processes that take turns, two threads each; figures are medians of five
rounds, or of three where five would take too long, with the least and the most beside them. `baselines/` holds the
other sides. With --json the last line of stdout is one JSON object. Nothing else should run meanwhile; it takes six
minutes on two cores.
"""

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a script, only this folder is on the path

from benchmarks._sides import alternate, median, run, spread
from samosa import console

REPEATS = 5
LONGEST = 150  # seconds for one part, on a machine where five rounds take longer
Line = tuple[str, str, str, str]


def head(seeds: list[int]) -> tuple[dict[str, float], list[Line]]:
    """Peak memory and time of the loss head by the dense one's, and by that of supervised rows only."""
    found = alternate("_head", ("dense", "samosa", "dense_rows"), seeds, seconds=LONGEST)
    off = run("_head", "difference", seeds[0])
    memory = {side: median(results, "megabytes") for side, results in found.items()}
    seconds = {side: median(results, "seconds") for side, results in found.items()}
    lines = [
        (
            f"head {side}",
            f"{spread(results, 'megabytes', digits=0)} MB, {spread(results, 'seconds')} s",
            f"{memory[side] / memory['samosa']:.1f}x memory, {seconds[side] / seconds['samosa']:.2f}x time",
            {"dense": "10x, 4.5x", "dense_rows": "3x, 1.2x", "samosa": ""}[side],
        )
        for side, results in found.items()
    ]
    lines.append(("head difference", ", ".join(f"{k} {v:.1e}" for k, v in off.items()), "relative to dense", "1e-5"))
    ratios = {
        "loss_head_memory_ratio": memory["dense"] / memory["samosa"],
        "loss_head_speed_ratio": seconds["dense"] / seconds["samosa"],
    }
    return ratios, lines


def step(seeds: list[int]) -> tuple[dict[str, float], list[Line]]:
    """Supervised tokens a second of a fine-tuning step by those of the baseline's two forms."""
    found = alternate("_step", ("padded", "samosa", "packed_dense"), seeds, seconds=LONGEST)
    rate = {side: median(results, "rate") for side, results in found.items()}
    lines = [
        (
            f"sft step {side}",
            f"{spread(results, 'rate', digits=0)} supervised tokens/s",
            f"{rate['samosa'] / rate[side]:.2f}x",
            {"padded": "2.5x", "packed_dense": "1.3x", "samosa": ""}[side],
        )
        for side, results in found.items()
    ]
    ratios = {f"sft_step_vs_{side}": rate["samosa"] / rate[side] for side in ("padded", "packed_dense")}
    return ratios, lines


def packing(seeds: list[int]) -> tuple[dict[str, float], list[Line]]:
    """The fill of both mixes, and conversations a minute of the slower one."""
    found = alternate("_packing", ("chat", "reasoning"), seeds, seconds=LONGEST)
    lines = [
        (
            f"packing {mix}",
            f"{spread(results, 'per_minute', digits=0)} conversations/min",
            f"{min(result['fill'] for result in results):.3%} full at worst",
            "1,000,000, 99.7%",
        )
        for mix, results in found.items()
    ]
    ratios = {f"packing_fill_{mix}": median(results, "fill") for mix, results in found.items()}
    ratios["packing_conversations_per_minute"] = min(median(results, "per_minute") for results in found.values())
    return ratios, lines


def save(_: list[int]) -> tuple[dict[str, float], list[Line]]:
    """The share of a save of 1 GB that training stands still."""
    found = run("_save_side")
    told = f"{found['call_seconds']:.2f} s of {found['save_seconds']:.1f} s, {found['bytes'] / 1e9:.2f} GB"
    slower = f"{found['save_stall_share']:.1%}; steps meanwhile take {found['later_step_slowdown']:.2f}x"
    return {"save_stall_share": found["save_stall_share"]}, [("save", told, slower, "10%")]


PARTS = {"head": head, "step": step, "packing": packing, "save": save}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON line on stdout")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each side")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="measure just these")
    args = parser.parse_args()
    first = random.SystemRandom().randrange(1 << 31)
    ratios: dict[str, Any] = {}
    lines: list[Line] = []
    for name in args.only:
        found, told = PARTS[name]([first + i for i in range(args.repeats)])
        ratios |= found
        lines += told
    console.table(("what", "measured", "by samosa's", "wanted"), lines, title=f"seeds from {first}")
    if args.json:
        print(json.dumps({name: round(value, 5) for name, value in ratios.items()}))


if __name__ == "__main__":
    main()
