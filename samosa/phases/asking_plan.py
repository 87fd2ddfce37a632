"""`samosa eval --plan`: how much would be asked, of which how much is kept, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence

from samosa import console, home
from samosa.config import Options
from samosa.console import clock
from samosa.eval import history, turns
from samosa.eval.turns import Plan
from samosa.phases import asking
from samosa.phases.command import recipe_flags

COLUMNS = ("suite", "seed", "probes", "tries", "kept", "tokens of prompts", "of answers, at most", "takes")


def show(options: Options, ref: home.CheckpointRef, suite: str, plans: Sequence[Plan]) -> int:
    """Show what each round would ask; always 0. Nothing is asked."""
    from samosa.chat.render import render_prompt
    from samosa.chat.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(home.tokenizer_dir())
    pace, rows, found = _pace(suite), [], []
    for plan in plans:
        left = [one for batch in _left(ref, plan, tokenizer.hash) for one in batch]
        total = sum(map(len, plan.batches))
        prompts = sum(len(render_prompt(one.probe.conversation, tokenizer)) for one in left)
        seconds = None if pace is None else pace * len(left)
        found.append(
            {
                "suite": suite,
                "seed": plan.seed,
                "probes": len(plan.probes),
                "tries": total,
                "kept": total - len(left),
                "prompt_tokens": prompts,
                "answer_tokens_at_most": len(left) * plan.gate.max_tokens,
                "seconds": seconds,
            }
        )
        takes = "not known" if seconds is None else clock(seconds)
        counts = [f"{number:,}" for number in list(found[-1].values())[2:-1]]
        rows.append((suite, str(plan.seed), *counts, takes))
    if options.json:
        console.emit_json({"tag": ref.tag, "step": ref.step, "rounds": found})
    console.table(COLUMNS, rows, title=f"{ref.name}: what would be asked; each further round only while it is open")
    if pace is None:
        console.say("how long a try takes is known after the first evaluation here")
    flags = f" --seed {plans[0].seed}{recipe_flags(options)}"
    console.say(f"next: samosa eval --tag {ref.kind}/{ref.name} --suite {suite}{flags}")
    return 0


def _left(ref: home.CheckpointRef, plan: Plan, tokenizer_hash: str) -> list[list[turns.Ask]]:
    about = asking.about_of(ref, asking.weights_sha256(ref), tokenizer_hash, plan, asking.decided(plan.gate))
    kept = turns.read(turns.path_of(about), plan)
    return [plan.batches[number] for number in turns.missing(plan, kept)]


def _pace(suite: str) -> float | None:
    """Seconds a try, as the last evaluation of this suite that asked something took."""
    asked = [line for line in history.lines() if line.get("suite") == suite and line.get("asked")]
    return float(asked[-1]["seconds"]) / int(asked[-1]["asked"]) if asked else None
