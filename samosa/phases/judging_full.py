"""`samosa eval --suite full`: round after round of fresh probes, the champion beside it, until the gate decides."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from samosa import console, home
from samosa.chat.prompts import without_system
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.eval import full_gate, history, record, tries
from samosa.eval.conjuncts import OVERALL
from samosa.eval.full_gate import FullResult
from samosa.eval.gate import Outcome
from samosa.eval.settings import FullEvaluation, FullGate
from samosa.eval.tries import Try
from samosa.eval.turns import Plan
from samosa.phases import asking, asking_plan
from samosa.phases.command import recipe_flags
from samosa.phases.init import on_disk
from samosa.phases.judging import EXAMPLES, checked, short, train_again

SUITE = "full"
WORST = 3  # categories whose failures are shown


def run(options: Options, ref: home.CheckpointRef, *, seed: int | None) -> int:
    """Judge the checkpoint by the full suite and return the gate's exit code.

    Raises BadInput for a seed, recipe or champion that cannot be, and NotReady for a broken checkpoint.
    """
    cfg = load(FullEvaluation, "full", recipe=options.recipe, sets=options.sets)
    first = checked(cfg.gate.seed if seed is None else seed)
    if options.plan:
        rounds = [planned(cfg, first + number) for number in range(cfg.full.rounds)]
        return asking_plan.show(options, ref, SUITE, rounds)
    line, result = judged(ref, cfg, seed=first, nproc=options.nproc, redo=options.redo)
    if options.json:
        console.emit_json(line)
    console.say(_next(ref, result, first, cfg.full, recipe_flags(options)))
    return result.exit_code


def planned(cfg: FullEvaluation, seed: int) -> Plan:
    """What one round asks."""
    from samosa.eval.suite.draw import full_suite, suite_hash

    probes = full_suite(seed=seed, per_category=cfg.full.per_category, counts=cfg.full.counts)
    return Plan(SUITE, suite_hash(probes), probes, cfg.gate, seed, cfg.full.samples, cfg.full.temperature)


def judged(
    ref: home.CheckpointRef, cfg: FullEvaluation, *, seed: int, nproc: int | None, redo: bool
) -> tuple[dict[str, Any], FullResult]:
    """The line of the last round, and the result; every round has a line, with what all rounds up to it came to.

    Raises BadInput and NotReady as `run` does.
    """
    champion = Champion(cfg.full.champion, nproc) if cfg.full.champion else None
    lines: list[dict[str, Any]] = []
    seen: dict[str, Try] = {}

    def ask(look: int) -> tuple[Sequence[Try], Sequence[Try] | None]:
        started, plan = time.monotonic(), planned(cfg, seed + look - 1)
        others = None if champion is None else champion.tries(plan)
        asked = asking.checkpoint(ref, plan, nproc=nproc, redo=redo)
        path = record.write_samples(ref.tag, f"{SUITE}-{plan.seed}-{ref.kind}-{ref.step:06d}", asked.samples)
        lines.append(_line(ref, cfg, plan, asked) | record.kept_at(path) | {"asked": asked.tries, "started": started})
        own = tries.of_samples(asked.samples)
        seen.update({f"{look}/{one.id}#{one.k}": one for one in own})
        return own, others

    def keep(result: FullResult) -> None:
        lines[-1] |= full_gate.as_record(result)
        lines[-1]["seconds"] = round(time.monotonic() - lines[-1].pop("started"), 2)
        record.append(lines[-1])
        console.say(f"round {result.round} of at most {cfg.full.rounds}: {result.outcome.value}")

    result = full_gate.until_decided(ask, cfg.full, seen=keep)
    _show(ref, cfg.full, result, lines, seen)
    return lines[-1], result


def _line(ref: home.CheckpointRef, cfg: FullEvaluation, plan: Plan, asked: asking.Asked) -> dict[str, Any]:
    """The record of a round but for its result. `column`: the model alone answered, nothing chose a tool for it."""
    opening = record.about(
        ref, weights_sha256=asked.weights_sha256, tokenizer_hash=asked.tokenizer_hash, facts=asked.facts
    )
    return opening | {
        "suite": SUITE,
        "column": "model",
        "suite_hash": plan.suite_hash,
        "seed": plan.seed,
        "settings": cfg.gate.model_dump(mode="json") | plan.asked(),
        "full": cfg.full.model_dump(mode="json"),
        "champion": cfg.full.champion,
    }


class Champion:
    """The checkpoint that must not be lost against: by its samples on disk, else asked the same now.

    Raises BadInput for a name that nothing here goes by.
    """

    def __init__(self, name: str, nproc: int | None) -> None:
        self.name, self._nproc = name, nproc
        self._ref: home.CheckpointRef | None = None
        try:
            self._ref = on_disk(name)
        except BadInput as absent:
            try:
                self._lines = history.of(name)
            except BadInput:
                raise BadInput(
                    f"full.champion: {absent.message}, and it was never judged here",
                    hint=f"samosa pull {name}   (or --set full.champion= for a first model; {absent.hint})",
                ) from None

    def tries(self, plan: Plan) -> Sequence[Try]:
        """Its tries at the same; none where it is neither kept nor on disk, which leaves the gate open."""
        if self._ref is not None:
            return tries.of_samples(asking.checkpoint(self._ref, plan, nproc=self._nproc, redo=False).samples)
        wanted = plan.asked()
        for line in reversed(self._lines):
            alike = all(line.get("settings", {}).get(name) == wanted[name] for name in history.ASKED_ALIKE)
            if line.get("suite_hash") == plan.suite_hash and alike and "samples" in line:
                return history.read_tries(line)
        console.warn(f"{self.name} was not asked seed {plan.seed}, and its weights are not here to ask now")
        return []


def _show(
    ref: home.CheckpointRef, full: FullGate, result: FullResult, lines: list[dict[str, Any]], seen: dict[str, Try]
) -> None:
    seeds = f"seed {lines[0]['seed']}" + (f" to {lines[-1]['seed']}" if len(lines) > 1 else "")
    title = f"{ref.name}, suite {SUITE}, {seeds}, the model alone"
    console.table(full_gate.SCORE_COLUMNS, full_gate.score_rows(result), title=title)
    console.table(full_gate.COLUMNS, full_gate.rows(result), title="the gate")
    if result.outcome is not Outcome.PASSED:
        for name in _worst(result, full):
            wrong = [key for key, one in seen.items() if one.category == name and one.passed is False]
            _examples(f"{name}, {len(wrong)} tries failed", wrong, seen)
        _examples("artefacts", [key for key, one in seen.items() if one.artefact], seen)
        _examples("not completed", [key for key, one in seen.items() if one.passed is None], seen)
    if result.broke:
        keys = [key for key, one in seen.items() if key.partition("#")[0] in result.broke and one.passed is False]
        _examples(f"always right in {full.champion}, mostly wrong now: {len(result.broke)}", keys, seen)
    seconds = sum(line["seconds"] for line in lines)
    console.say(f"{ref.name}: {result.outcome.value} (exit {result.exit_code}, {seconds:.0f} s)")
    for line in lines:
        console.say(f"every sample: {home.root() / line['samples']}")


def _worst(result: FullResult, full: FullGate) -> list[str]:
    """The categories that failed most, of those that are below what a good model has."""
    good = full.floors[OVERALL].good if OVERALL in full.floors else 1.0
    below = sorted((one.rate, one.name) for one in result.scores if one.name != OVERALL and one.rate < good)
    return [name for _, name in below[:WORST]]


def _examples(title: str, keys: Sequence[str], seen: dict[str, Try]) -> None:
    if not keys:
        return
    console.say(f"{title}:")
    firsts = {key.partition("#")[0]: key for key in reversed(keys)}  # one try of each instance
    for key in sorted(firsts.values(), key=keys.index)[:EXAMPLES]:
        one = seen[key]
        which = key.replace("#", ", try ") if one.k else key.partition("#")[0]
        console.say(f"  {which}: {one.reason}" + (f" ({one.artefact})" if one.artefact else ""))
        console.say(f"    asked: {short(without_system(one.asked))}")
        console.say(f"    said:  {short(one.text)}")


def _next(ref: home.CheckpointRef, result: FullResult, seed: int, full: FullGate, flags: str) -> str:
    name = f"{ref.kind}/{ref.name}"
    again = f"samosa eval --tag {name} --suite {SUITE} --seed"
    match result.outcome:
        case Outcome.PASSED:
            return f"next: samosa criteria --tag {name}"
        case Outcome.FAILED:
            return train_again(name)
        case Outcome.INCONCLUSIVE:
            return f"next: {again} {seed + full.rounds}{flags}"
        case Outcome.BROKEN:
            return f"next: mend what failed above, then {again} {seed}{flags}   (what was answered is kept)"
