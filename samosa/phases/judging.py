"""`samosa eval`: ask a checkpoint a suite of probes, apply the gate, keep the record, and say what comes next.

The joint suite is here; the other suites have modules of their own.
"""

import time
from typing import Any

from samosa import console, home
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.eval import gate as gates
from samosa.eval import record
from samosa.eval.benchmarks.settings import SUITES as BENCHMARKS
from samosa.eval.checks import Sample
from samosa.eval.gate import GateResult, Outcome
from samosa.eval.probe_types import PATTERNS
from samosa.eval.settings import Evaluation, Gate
from samosa.eval.turns import Plan
from samosa.phases import asking, asking_plan
from samosa.phases.command import recipe_flags
from samosa.phases.init import on_disk

SUITES = ("joint", "full", "judge", *BENCHMARKS)
EXAMPLES = 3  # failures shown for each pattern
WIDEST = 400  # characters of a completion shown


def run(options: Options, *, suite: str = "joint", seed: int | None = None) -> int:
    """Judge the checkpoint `options.tag` and return the gate's exit code.

    Raises BadInput for an unknown tag, suite or seed and NotReady for a broken checkpoint.
    """
    if options.tag is None:
        raise BadInput("which checkpoint is to be judged?", hint=f"samosa eval --tag TAG   ({_tags()})")
    if suite not in SUITES:
        raise BadInput(f"there is no suite {suite}", hint=f"have: {', '.join(SUITES)}")
    if suite in BENCHMARKS:
        from samosa.phases import benchmarking

        return benchmarking.run(options, suite, seed=seed)
    if suite == "full":
        from samosa.phases import judging_full

        return judging_full.run(options, on_disk(options.tag), seed=seed)
    if suite == "judge":
        from samosa.phases import pairing

        return pairing.run(options, on_disk(options.tag), seed=seed)
    settings = load(Evaluation, "eval", recipe=options.recipe, sets=options.sets).gate
    ref = on_disk(options.tag)
    if options.plan:
        return asking_plan.show(options, ref, suite, [_joint(settings, seed)])
    line, result = judged(ref, settings, seed=seed, nproc=options.nproc, redo=options.redo)
    if options.json:
        console.emit_json(line)
    console.say(_next(ref, result, suite, int(line["seed"]), recipe_flags(options)))
    return result.exit_code


def judge_checkpoint(ref: home.CheckpointRef, gate: Gate, seed: int | None = None) -> GateResult:
    """Judge a checkpoint, show the gate table and keep the record, as `samosa eval` does; `seed` None is the gate's."""
    return judged(ref, gate, seed=seed)[1]


def judged(
    ref: home.CheckpointRef, gate: Gate, *, seed: int | None, nproc: int | None = None, redo: bool = False
) -> tuple[dict[str, Any], GateResult]:
    """The joint suite's line of the record, and the result it is about. Raises BadInput and NotReady as `run` does."""
    started = time.monotonic()
    plan = _joint(gate, seed)
    asked = asking.checkpoint(ref, plan, nproc=nproc, redo=redo)
    result = gates.decide(asked.samples, gate)
    line = record.line(
        result,
        ref=ref,
        weights_sha256=asked.weights_sha256,
        tokenizer_hash=asked.tokenizer_hash,
        suite=plan.suite,
        suite_hash=plan.suite_hash,
        seed=plan.seed,
        settings=gate,
        facts=asked.facts,
        seconds=time.monotonic() - started,
    )
    # The samples first: a line in the record promises that they are there.
    samples = record.write_samples(ref.tag, f"{plan.suite}-{plan.seed}-{ref.kind}-{ref.step:06d}", result.samples)
    line |= record.kept_at(samples) | {"asked": asked.tries}
    record.append(line)
    _show(ref, gate, result, line)
    return line, result


def _joint(gate: Gate, seed: int | None) -> Plan:
    from samosa.eval.probes import joint_suite, suite_hash

    seed = checked(gate.seed if seed is None else seed)
    probes = joint_suite(seed=seed, per_pattern=gate.n)
    return Plan("joint", suite_hash(probes), probes, gate, seed)


def checked(seed: int) -> int:
    """The seed. Raises BadInput for a negative one."""
    if seed < 0:
        raise BadInput(f"seed {seed} is negative", hint="seeds are whole numbers from 0")
    return seed


def _show(ref: home.CheckpointRef, gate: Gate, result: GateResult, line: dict[str, Any]) -> None:
    console.table(gates.COLUMNS, gates.rows(result), title=f"{ref.name}, suite {line['suite']}, seed {line['seed']}")
    console.say(gates.meaning(gate))
    for pattern in PATTERNS:
        wrong = [one for one in result.samples if one.probe.pattern == pattern and not _passed(one)]
        outcomes = [one.outcome for one in result.patterns if one.pattern == pattern]
        outcomes += [result.roadmap[one.probe.id] for one in wrong if one.probe.roadmap]
        if any(outcome is not Outcome.PASSED for outcome in outcomes):
            for sample in wrong[:EXAMPLES]:
                _show_example(sample)
    console.say(f"{ref.name}: {result.outcome.value} (exit {result.exit_code}, {line['seconds']:.0f} s)")
    console.say(f"every sample: {home.root() / line['samples']}")


def _passed(sample: Sample) -> bool:
    return sample.judgement is not None and sample.judgement.passed


def _show_example(sample: Sample) -> None:
    from samosa.eval.probes import question_of

    reason = sample.judgement.reason if sample.judgement else f"not completed: {sample.error}"
    console.say(f"  {sample.probe.id}: {reason}")
    console.say(f"    asked: {short(question_of(sample.probe))}")
    console.say(f"    said:  {short(sample.text)}")


def short(text: str) -> str:
    """One line of at most WIDEST characters, with nothing in it that a terminal would obey."""
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))
    return line if len(line) <= WIDEST else line[: WIDEST - 1] + "…"


def train_again(name: str) -> str:
    """What comes next for a checkpoint that failed."""
    return f"next: mend the data or the recipe and train again; see for yourself: samosa chat --tag {name}"


def _next(ref: home.CheckpointRef, result: GateResult, suite: str, seed: int, flags: str) -> str:
    name = f"{ref.kind}/{ref.name}"
    again = f"samosa eval --tag {name} --suite {suite} --seed {seed + 1}{flags}"
    match result.outcome:
        case Outcome.PASSED:
            return f"next: samosa chat --tag {name}   (or judge it with other probes: {again})"
        case Outcome.FAILED:
            return train_again(name)
        case Outcome.INCONCLUSIVE:
            return f"next: {again}"
        case Outcome.BROKEN:
            return f"next: mend what failed above, then samosa eval --tag {name} --suite {suite} --seed {seed}{flags}"


def _tags() -> str:
    tags = home.local_tags()
    return f"have: {', '.join(tags)}" if tags else f"there are no checkpoints in {home.root()}"
