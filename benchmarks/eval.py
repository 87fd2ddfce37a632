"""What batching and sharing save when a model is judged: `python -m benchmarks.eval [--json]`.

Everything is against samosa's own engine and head, in fresh processes that take turns, two threads each: 300 different
greedy requests in one engine against one request at a time, whose turns must be the same token for token, and four
choices over a shared context of 512 tokens against four whole rows, whose log-probabilities must agree to 1e-4. With
--json the last line of stdout is one JSON object: the lower ratio of the two models under each name. Nothing else
should run meanwhile; it takes five minutes on two cores.
"""

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a script, only this folder is on the path

from benchmarks._sides import alternate, median, spread
from samosa import console

MODELS = ("tiny", "d6")
ROUNDS = 3  # the requests are asked one by one in thirds
CLOSE = 1e-4

Sides = dict[str, list[dict[str, Any]]]


def compare(model: str, slow: str, fast: str, seeds: list[int]) -> tuple[Sides, float]:
    """What both sides printed, and how many times as long the slow one takes."""
    found = alternate("_eval", (f"{model}-{slow}", f"{model}-{fast}"), seeds)
    sides = {slow: found[f"{model}-{slow}"], fast: found[f"{model}-{fast}"]}
    return sides, median(sides[slow], "seconds") / median(sides[fast], "seconds")


def same_turns(sides: Sides) -> bool:
    """Whether every third of the requests was answered alike by both."""
    batched = [result["said"] for result in sides["batched"]]
    alone = {part: digest for result in sides["alone"] for part, digest in result["said"].items()}
    return len(alone) == ROUNDS and all(said == alone for said in batched)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON line on stdout")
    parser.add_argument("--seed", type=int, default=None, help="of prompts and questions (default: a new one)")
    parser.add_argument("--only", choices=MODELS, nargs="+", default=list(MODELS), help="measure just these")
    args = parser.parse_args()
    base = random.SystemRandom().randrange(1 << 30) if args.seed is None else args.seed
    seeds = [base * ROUNDS + part for part in range(ROUNDS)]
    figures: dict[str, Any] = {}
    lines: list[tuple[str, str, str, str]] = []
    identical, off = True, 0.0
    for model in args.only:
        for slow, fast, name, wanted in (
            ("alone", "batched", "batched_vs_one_by_one", "5x"),
            ("apart", "shared", "shared_context_choices", "3x"),
        ):
            sides, ratio = compare(model, slow, fast, seeds)
            figures[f"{name}_{model}"] = round(ratio, 2)
            figures[name] = min(figures.get(name, ratio), round(ratio, 2))
            for side, results in sides.items():
                told = f"{spread([{'ms': 1000 * one['seconds']} for one in results], 'ms', digits=1)} ms each"
                lines.append((f"{model} {side}", told, f"{ratio:.2f}x" if side == slow else "", wanted))
            if fast == "batched":
                identical &= same_turns(sides)
            else:
                off = max(off, *(result["difference"] for results in sides.values() for result in results))
    lines.append(("greedy turns", "identical" if identical else "NOT identical", "", "identical"))
    lines.append(("log-probabilities", f"{off:.1e} apart at most", "", f"{CLOSE:.0e}"))
    console.table(("what", "measured", "samosa's is faster", "wanted"), lines, title=f"seed {base}")
    if args.json:
        print(json.dumps({**figures, "identical": identical, "logprob_difference": off}))
    return 0 if identical and off <= CLOSE else 1


if __name__ == "__main__":
    sys.exit(main())
