"""`samosa eval --suite judge`: two checkpoints answer the same, and other models say which answer is better."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from samosa import console, home
from samosa.chat.prompts import without_system
from samosa.config import Options, load
from samosa.errors import BadInput, NotReady
from samosa.eval import judge, record
from samosa.eval.checks import Sample
from samosa.eval.judge import Judge, Matchup, Opinion, Purse
from samosa.eval.pairwise import came_to
from samosa.eval.settings import Pairwise, PairwiseEvaluation
from samosa.eval.turns import Plan
from samosa.phases import asking
from samosa.phases.command import recipe_flags
from samosa.phases.init import on_disk
from samosa.phases.judging import checked, short

SUITE = "judge"
SHOWN = 2  # pairs of each kind
COLUMNS = ("judge", "pairs", "won", "decided by the order", "unreadable")
GUARDS = ("guard", "champion", "now", "allowed", "")
WHO = {"user": "User", "assistant": "Assistant"}


def run(options: Options, ref: home.CheckpointRef, *, seed: int | None) -> int:
    """Compare the checkpoint with judge.champion and return 0 (preferred), 10, 20 (not shown) or 30 (unreadable).

    Raises BadInput without a champion that is here, NotReady over the budget and without a judge's key.
    """
    cfg = load(PairwiseEvaluation, "judge", recipe=options.recipe, sets=options.sets)
    champion = _champion(cfg.judge, ref)
    plan = planned(cfg, checked(cfg.gate.seed if seed is None else seed))
    if options.plan:
        return _show_plan(options, ref, champion, plan, cfg.judge)
    purse = Purse(cfg.judge.dollars)
    judges = [Judge(model, cfg.judge, purse) for model in cfg.judge.judges]  # keys first: answers take a while
    started = time.monotonic()
    own, other = (
        asking.checkpoint(one, plan, nproc=options.nproc, redo=options.redo and one is ref) for one in (ref, champion)
    )
    matchups = paired(own.samples, other.samples)
    if not matchups:
        raise BadInput("no conversation was completed by both models", hint="samosa eval --suite full says why")
    _within_budget(sum(one.estimate(matchups) for one in judges), cfg.judge)
    found = judge.opinions(matchups, judges, cfg.judge.at_once, progress=_progress(matchups, judges, purse))
    path = home.run_dir(ref.tag) / "eval" / f"{SUITE}-{plan.seed}-{ref.kind}-{ref.step:06d}.jsonl"
    _write(path, matchups, found)
    line = _line(ref, champion, cfg, plan, own, other) | came_to(matchups, found, cfg.judge)
    line |= {"pairs_file": str(path.relative_to(home.root())), "pairs_sha256": home.sha256_file(path)}
    line |= {"dollars": round(purse.spent, 6), "seconds": round(time.monotonic() - started, 2)}
    record.append(line)
    if options.json:
        console.emit_json(line)
    _show(ref, champion, line, matchups, found)
    console.say(f"next: samosa criteria --tag {ref.kind}/{ref.name}")
    return int(line["exit_code"])


def _within_budget(dollars: float, settings: Pairwise) -> None:
    if dollars > settings.dollars:
        raise NotReady(
            f"the verdicts still to be had would cost about ${dollars:.2f}, judge.dollars is {settings.dollars:g}",
            hint=f"--set judge.per_category={settings.per_category // 2}, or --set judge.dollars={math.ceil(dollars)}",
        )


def planned(cfg: PairwiseEvaluation, seed: int) -> Plan:
    """What both models are asked: the full suite's conversations that are answered in prose."""
    from samosa.eval.suite.draw import CATEGORIES, full_suite, suite_hash

    if unknown := sorted(set(cfg.judge.categories) - set(CATEGORIES)):
        raise BadInput(
            f"judge.categories names {unknown[0]}, which is no category", hint=f"have: {', '.join(CATEGORIES)}"
        )
    others: dict[str, int] = {name: 1 for name in CATEGORIES if name not in cfg.judge.categories}
    drawn = full_suite(seed=seed, per_category=cfg.judge.per_category, counts=others)
    probes = [probe for probe in drawn if probe.category in cfg.judge.categories]
    gate = cfg.gate.model_copy(update={"temperature": cfg.judge.temperature})
    return Plan(SUITE, f"judge-{suite_hash(probes)}", probes, gate, seed)


def paired(own: Sequence[Sample], other: Sequence[Sample]) -> list[Matchup]:
    """The conversations that both models answered, as a reader sees them: without what was thought."""
    return [
        Matchup(
            id=mine.probe.id,
            category=mine.probe.category,
            template=mine.probe.template,
            asked=_dialogue(mine),
            own=mine.judgement.verdict.answer.strip(),
            other=theirs.judgement.verdict.answer.strip(),
        )
        for mine, theirs in zip(own, other, strict=True)
        if mine.judgement is not None and theirs.judgement is not None
    ]


def _dialogue(sample: Sample) -> str:
    turns = sample.probe.conversation.turns
    return "\n\n".join(f"{WHO[turn.role]}: {without_system(turn.text)}" for turn in turns)


def _champion(settings: Pairwise, ref: home.CheckpointRef) -> home.CheckpointRef:
    if not settings.champion:
        tags = ", ".join(tag for tag in home.local_tags() if tag != ref.tag)
        raise BadInput(
            "judge.champion is empty: against whom?", hint=f"--set judge.champion=TAG   (have: {tags or 'none'})"
        )
    return on_disk(settings.champion)


def _line(
    ref: home.CheckpointRef,
    champion: home.CheckpointRef,
    cfg: PairwiseEvaluation,
    plan: Plan,
    own: asking.Asked,
    other: asking.Asked,
) -> dict[str, Any]:
    """The record of a comparison, but for what it came to."""
    opening = record.about(ref, weights_sha256=own.weights_sha256, tokenizer_hash=own.tokenizer_hash, facts=own.facts)
    return opening | {
        "suite": SUITE,
        "suite_hash": plan.suite_hash,
        "seed": plan.seed,
        "settings": plan.gate.model_dump(mode="json"),
        "judge": cfg.judge.model_dump(mode="json"),
        "champion": champion.name,
        "champion_weights_sha256": other.weights_sha256,
        "asked": own.tries + other.tries,
    }


def _write(path: Path, matchups: Sequence[Matchup], found: Sequence[Sequence[Opinion]]) -> None:
    rows = [
        asdict(one) | {"opinions": [asdict(said) | {"score": said.score} for said in some]}
        for one, some in zip(matchups, found, strict=True)
    ]
    home.write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _progress(matchups: Sequence[Matchup], judges: Sequence[Judge], purse: Purse) -> Any:
    total = 2 * len(matchups) * len(judges)
    console.say(f"{len(judges)} judges compare {len(matchups)} pairs in both orders: {total} verdicts")
    return lambda done: console.live_line(f"verdicts {done}/{total}   ${purse.spent:.2f}")


def _show(
    ref: home.CheckpointRef,
    champion: home.CheckpointRef,
    line: dict[str, Any],
    matchups: Sequence[Matchup],
    found: Sequence[Sequence[Opinion]],
) -> None:
    rows = []
    for one in line["judges"]:
        rate = "" if one["win_rate"] is None else f"{one['win_rate']:.1%}"
        rows.append((one["name"], one["pairs"], rate, one["by_order"], one["unreadable"]))
    console.table(COLUMNS, rows, title=f"{ref.name} against {champion.name}, {line['pairs']} pairs")
    if "win_rate" in line:
        console.table(GUARDS, map(_guard_row, line["guards"]), title="how it talks")
        for own_won, what in ((True, "preferred"), (False, f"rather {champion.name}")):
            _examples(what, own_won, matchups, found)
        low, high = line["interval"]
        console.say(
            f"preferred in {line['win_rate']:.1%} of pairs at equal lengths ({low:.1%} to {high:.1%}); "
            f"as they are {line['raw_win_rate']:.1%}"
        )
    else:
        console.say("no verdict of any judge could be read")
    console.say(
        f"{ref.name}: {line['outcome']} (exit {line['exit_code']}, {line['seconds']:.0f} s, ${line['dollars']:.2f})"
    )
    console.say(f"every pair: {home.root() / line['pairs_file']}")


def _guard_row(guard: dict[str, Any]) -> tuple[str, ...]:
    return (
        guard["name"],
        f"{guard['before']:.2f}",
        f"{guard['after']:.2f}",
        f"{'at least' if guard['floor'] else 'at most'} {guard['limit']:.2f}",
        "" if guard["held"] else "did not hold",
    )


def _examples(what: str, own_won: bool, matchups: Sequence[Matchup], found: Sequence[Sequence[Opinion]]) -> None:
    wanted = 1.0 if own_won else 0.0
    clear = [one for one, some in zip(matchups, found, strict=True) if all(said.score == wanted for said in some)]
    for one in clear[:SHOWN]:
        console.say(f"  {what}: {one.id}")
        console.say(f"    {short(one.asked)}")
        console.say(f"    now:      {short(one.own)}")
        console.say(f"    champion: {short(one.other)}")


def _show_plan(
    options: Options, ref: home.CheckpointRef, champion: home.CheckpointRef, plan: Plan, settings: Pairwise
) -> int:
    """What the judges would be asked, and what that costs at most; nothing is asked. 3 where it is over the budget."""
    from samosa.chat.render import render_prompt
    from samosa.chat.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(home.tokenizer_dir())
    prompts = sum(len(render_prompt(probe.conversation, tokenizer)) for probe in plan.probes)
    answers = 2 * len(plan.probes) * plan.gate.max_tokens
    dollars = judge.most_dollars(len(plan.probes), prompts + answers, settings)
    verdicts = 2 * len(plan.probes) * len(settings.judges)
    if options.json:
        console.emit_json({"pairs": len(plan.probes), "verdicts": verdicts, "dollars_at_most": round(dollars, 4)})
    names = " and ".join(one.model for one in settings.judges)
    console.say(f"{ref.name} against {champion.name}: {len(plan.probes)} conversations, seed {plan.seed}")
    console.say(f"{verdicts} verdicts of {names}, both orders: at most about ${dollars:.2f} of ${settings.dollars:g}")
    over = "" if dollars <= settings.dollars else "fewer judge.per_category or more judge.dollars, then "
    flags = f" --seed {plan.seed}{recipe_flags(options)}"
    console.say(f"next: {over}samosa eval --tag {ref.kind}/{ref.name} --suite {SUITE}{flags}")
    return 0 if dollars <= settings.dollars else 3
