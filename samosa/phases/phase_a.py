"""Phase A: teach a model that thinks and a model that calls tools to be one model that does both in one turn."""

from __future__ import annotations

import json

from samosa import console, home
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.eval import gate as gates
from samosa.eval import probes
from samosa.eval.gate import GateResult
from samosa.eval.settings import Gate
from samosa.hub.publish import RECORD, Card, publish
from samosa.phases import runs
from samosa.phases.command import Command, carry_out, flags_of, sets_of
from samosa.phases.data_stages import (
    TRAINING,
    check_mix,
    check_names,
    estimated_tokens,
    fence_stage,
    filter_stage,
    gen_stage,
    mix_stage,
    read_mix,
    refuse_overlap,
)
from samosa.phases.fit import Machine, sft_stage
from samosa.phases.init import Init, checkpoint_of, find_init, made_by, with_windows
from samosa.phases.lineage import ancestors
from samosa.phases.settings import PhaseA, Pretrain, Sft
from samosa.phases.sizes import Context, Size, cpu_size
from samosa.phases.stage import Facts, Outcome, Stage, Work

MADE_HERE = "init:"
"""The group of stages that make the init."""


def run(options: Options) -> int:
    """Carry out phase A; the gate's exit code is the phase's."""
    cfg = load(PhaseA, "phase_a", recipe=options.recipe, sets=sets_of(options))
    check_names(cfg.mix, cfg.gen)
    machine = runs.machine_of(options, cfg.estimates)
    init, before = starting_point(cfg, machine)
    phase = stages(cfg, init, machine)
    model = phase[4]
    needs_init = frozenset(stage.name for stage in (*before, model))
    processes, *others = runs.training_checks(model, "chat", cfg, init.config, machine.nproc)
    command = Command(
        verb="phase-a",
        tag=cfg.tag,
        title=f"{cfg.tag}, from {cfg.init}",
        stages=[*before, *phase],
        nproc=machine.nproc,
        budget=cfg.budget,
        estimates=cfg.estimates,
        checks=[
            processes,
            (needs_init, lambda shelf: init.checks()),
            (frozenset({"fence", "mix"}), lambda shelf: check_mix(cfg.mix)),
            *others,
        ],
        ended=lambda outcome: _ended(cfg, options, outcome),
    )
    return carry_out(command, options)


def stages(cfg: PhaseA, init: Init, machine: Machine) -> list[Stage]:
    """The phase, in order; a stage that is handed to another is what that one waits for."""
    raw = gen_stage(cfg.gen)
    clean = filter_stage(cfg.filter, raw, cfg.gen)
    fenced = fence_stage(cfg.fence, cfg.mix, clean)
    mix = mix_stage(cfg.mix, clean, fenced=fenced, gate=cfg.gate)
    model = sft_stage(
        recipe=cfg,
        tag=cfg.tag,
        train=cfg.train,
        init=init,
        data=mix,
        estimated_tokens=estimated_tokens(cfg.mix, cfg.gen),
        machine=machine,
        gate=cfg.gate,
    )
    score = eval_stage(cfg.gate, model, mix)
    return [raw, clean, fenced, mix, model, score, publish_stage(cfg.publish.to, model, mix, score)]


def starting_point(cfg: PhaseA, machine: Machine) -> tuple[Init, list[Stage]]:
    """The init, and the stages that make it where the recipe says how. Raises BadInput for one that nobody knows."""
    if cfg.bootstrap is None:
        return with_windows(find_init(cfg.init, cfg.shape.config()), cfg.init_windows), []
    sft = load(Sft, "sft", recipe=cfg.bootstrap.path_of("sft"))
    if cfg.init != sft.tag:
        return with_windows(find_init(cfg.init, cfg.shape.config()), cfg.init_windows), []
    base = load(Pretrain, "pretrain", recipe=cfg.bootstrap.path_of("pretrain"))
    if sft.init != base.tag:
        raise BadInput(
            f"bootstrap: {sft.tag} starts from {sft.init}, which pretrain of {cfg.bootstrap.recipe} does not make",
            hint=f"it makes {base.tag}: set init in its sft.toml",
        )
    first = runs.base_stages(base, machine, prefix=MADE_HERE)
    config = base.shape.config()
    from_base = made_by(first[-1], base.tag, config)
    then = runs.sft_stages(sft, from_base, machine, prefix=MADE_HERE)
    return made_by(then[-1], sft.tag, config), [*first, *then]


def eval_stage(gate: Gate, model: Stage, mix: Stage) -> Stage:
    """eval: the joint probes and the gate. Judged once for the same weights, suite and settings."""
    what = f"{gate.n} probes a pattern, {gate.c} must pass, and the roadmap's {gates.ROADMAP_PROBES}"

    def run(work: Work) -> Facts:
        from samosa.phases.judging import judged

        refuse_overlap(read_mix(work.made["mix"], TRAINING), gate)
        line, result = judged(checkpoint_of(work.made["model"].facts), gate, seed=None)
        home.write_atomic(work.out / "record.json", json.dumps(line, indent=1, default=str) + "\n")
        return {
            "said": verdict(result),
            "exit_code": result.exit_code,
            "keep": result.exit_code != gates.EXIT_CODES[gates.Outcome.BROKEN],
            "table": [dict(zip(gates.COLUMNS, row, strict=True)) for row in gates.rows(result)],
            "record": json.loads(json.dumps(line, default=str)),
        }

    def size(ctx: Context) -> Size:
        one = cpu_size("eval", what, ctx)
        return Size(one.what, one.seconds, one.basis, gpu=True)

    return Stage(
        "eval",
        what,
        run,
        inputs={"model": model, "mix": mix},
        settings=gate.model_dump(),
        version=probes.VERSION,
        size=size,
    )


def verdict(result: GateResult) -> str:
    """ship, or don't ship and why."""
    if result.passed:
        return "ship"
    short = [
        f"{one.pattern} {one.passed} of {one.completed} ({one.c} of {one.n} needed)"
        for one in result.patterns
        if one.outcome is not gates.Outcome.PASSED
    ]
    short += [name for name, outcome in result.roadmap.items() if outcome is not gates.Outcome.PASSED]
    return f"don't ship: {result.outcome.value}: {', '.join(short) or 'the engine'}"


def publish_stage(to: str, model: Stage, mix: Stage, score: Stage) -> Stage:
    """publish: the release, once the gate has passed."""

    def run(work: Work) -> Facts:
        ref = checkpoint_of(work.made["model"].facts)
        facts = work.made["score"].facts
        card = Card(
            what="A small chat model that thinks and calls a tool in one turn, fine-tuned with samosa's phase A.",
            lineage=lineage(ref),
            gate=facts["table"],
            verdict=facts["said"],
            mix=work.made["mix"].facts["shares"],
            evaluation=facts["record"],
        )
        code = facts["exit_code"]
        release = publish(ref, tokenizer=home.tokenizer_dir(), to=home.root() / to, card=card, gate_code=code)
        said = f"{release.directory}{'' if release.new else ' (these weights were there already)'}"
        return {"said": said, "release": ref.tag}

    return Stage(
        "publish",
        f"a release in {to}, if the gate passes",
        run,
        inputs={"model": model, "mix": mix, "score": score},
        settings={"to": to},
        size=lambda ctx: cpu_size("publish", f"a release in {to}, if the gate passes", ctx),
        still_true=lambda facts: (home.root() / to / str(facts["release"]) / RECORD).is_file(),
    )


def lineage(ref: home.CheckpointRef) -> list[str]:
    """The checkpoints a model descends from, oldest first, as far as their metas tell."""
    return [name for name, _ in ancestors(ref)]


def _ended(cfg: PhaseA, options: Options, outcome: Outcome) -> str | None:
    """Show the gate where it was not judged just now, say the verdict, and name the next command."""
    score = outcome.done.get("eval")
    if score is None:
        return None
    if score.cached:
        table = score.facts["table"]
        console.table(gates.COLUMNS, [[row[column] for column in gates.COLUMNS] for row in table], title="")
    console.say(f"{cfg.tag}: {score.facts['said']}")
    name = outcome.done["sft"].facts["checkpoint"]
    recipe = flags_of(Options(recipe=options.recipe))
    if outcome.exit_code == 0:
        return f"samosa chat --tag {name}" if "publish" in outcome.done else None
    if outcome.exit_code == gates.EXIT_CODES[gates.Outcome.FAILED]:
        return f"samosa chat --tag {name} to see for yourself; then mend data or recipe and train under another --tag"
    return f"samosa eval --tag {name}{recipe} --seed {cfg.gate.seed + 1}"
