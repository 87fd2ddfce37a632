"""`samosa sft` and `samosa pretrain`: the training stages of the phases, with no phase around them."""

from __future__ import annotations

from typing import Literal

from samosa.config import Options, load
from samosa.model.config import ModelConfig
from samosa.phases import doctor
from samosa.phases.base_stages import check_corpus, pack_stage, pretrain_stage, tokenizer_stage
from samosa.phases.command import Checker, Command, carry_out, flags_of, sets_of
from samosa.phases.data_stages import (
    check_mix,
    check_names,
    estimated_tokens,
    fence_stage,
    filter_stage,
    gen_stage,
    mix_stage,
)
from samosa.phases.doctor import Check
from samosa.phases.fit import Machine, check_tag, sft_stage
from samosa.phases.horizon import Horizon
from samosa.phases.init import Init, find_init, with_windows
from samosa.phases.settings import Cpt, Estimates, PhaseA, Pretrain, Sft
from samosa.phases.sizes import Context
from samosa.phases.stage import Outcome, Shelf, Stage
from samosa.train.launch import Gang


def run_sft(options: Options) -> int:
    """Fine-tune a checkpoint on the recipe's mix; returns the exit code."""
    cfg = load(Sft, "sft", recipe=options.recipe, sets=sets_of(options))
    machine = machine_of(options, cfg.estimates)
    init = with_windows(find_init(cfg.init, cfg.shape.config()), cfg.init_windows)
    stages = sft_stages(cfg, init, machine)
    processes, *others = training_checks(stages[-1], "chat", cfg, init.config, machine.nproc)
    command = Command(
        verb="sft",
        tag=cfg.tag,
        title=f"{cfg.tag}, from {cfg.init}",
        stages=stages,
        nproc=machine.nproc,
        budget=cfg.budget,
        estimates=cfg.estimates,
        checks=[
            processes,
            (frozenset({"sft"}), lambda shelf: init.checks()),
            (frozenset({"fence", "mix"}), lambda shelf: check_mix(cfg.mix)),
            *others,
        ],
        ended=lambda outcome: trained(outcome, "sft", f"samosa eval --tag {cfg.tag}{flags_of(_recipe_only(options))}"),
    )
    return carry_out(command, options)


def run_pretrain(options: Options) -> int:
    """Train a base model from nothing; returns the exit code."""
    cfg = load(Pretrain, "pretrain", recipe=options.recipe, sets=sets_of(options))
    machine = machine_of(options, cfg.estimates)
    stages = base_stages(cfg, machine)
    command = Command(
        verb="pretrain",
        tag=cfg.tag,
        title=f"{cfg.tag}, from nothing",
        stages=stages,
        nproc=machine.nproc,
        budget=cfg.budget,
        estimates=cfg.estimates,
        checks=[
            *training_checks(stages[-1], "base", cfg, cfg.shape.config(), machine.nproc),
            (frozenset({"tokenizer", "pack"}), lambda shelf: [check_corpus(cfg.corpus)]),
        ],
        ended=lambda outcome: trained(outcome, "pretrain", f"samosa inspect {cfg.tag}"),
    )
    return carry_out(command, options)


def sft_stages(cfg: Sft, init: Init, machine: Machine, *, prefix: str = "") -> list[Stage]:
    """A fine-tuning run's stages, in order."""
    check_names(cfg.mix, cfg.gen)
    made: list[Stage] = []
    if cfg.gen.rows:
        made.append(gen_stage(cfg.gen, prefix=prefix))
        made.append(filter_stage(cfg.filter, made[0], cfg.gen, prefix=prefix))
    clean = made[-1] if made else None
    made.append(fence_stage(cfg.fence, cfg.mix, clean, prefix=prefix))
    mix = mix_stage(cfg.mix, clean, fenced=made[-1], prefix=prefix)
    model = sft_stage(
        recipe=cfg,
        tag=cfg.tag,
        train=cfg.train,
        init=init,
        data=mix,
        estimated_tokens=estimated_tokens(cfg.mix, cfg.gen),
        machine=machine,
        prefix=prefix,
    )
    return [*made, mix, model]


def base_stages(cfg: Pretrain, machine: Machine, *, prefix: str = "") -> list[Stage]:
    """A pretraining run's stages, in order; a tokenizer that is there already is taken as it is."""
    config = cfg.shape.config()
    tokenizer = tokenizer_stage(cfg.tokenizer, cfg.corpus, config, prefix=prefix)
    rows = pack_stage(cfg.corpus, cfg.train, tokenizer, prefix=prefix)
    model = pretrain_stage(
        recipe=cfg,
        tag=cfg.tag,
        train=cfg.train,
        config=config,
        corpus=cfg.corpus,
        rows=rows,
        machine=machine,
        dial=cfg.dial,
        prefix=prefix,
    )
    return [*([tokenizer] if isinstance(tokenizer, Stage) else []), rows, model]


def machine_of(options: Options, estimates: Estimates) -> Machine:
    """What the command trains on: as many processes as asked for, at the recipe's price."""
    nproc = doctor.processes(options.nproc)
    gang = Gang(options.max_restarts, options.nnodes, options.node_rank, options.rdzv)
    return Machine(nproc, nproc * gang.nnodes * estimates.dollars_per_gpu_hour, gang, profiling=options.profile)


def training_checks(
    stage: Stage, kind: Literal["base", "chat"], cfg: Pretrain | Cpt | Sft | PhaseA, config: ModelConfig, nproc: int
) -> list[tuple[frozenset[str], Checker]]:
    """What a training stage needs of the machine, its processes first, and that its tag is free or its own."""
    train = cfg.train
    needed_by = frozenset({stage.name})

    def horizon(shelf: Shelf) -> Horizon:
        return Horizon(train, lambda changes: shelf.reprint(stage, changes))

    def look(shelf: Shelf) -> list[Check]:
        assert stage.size is not None
        size = stage.size(Context(shelf, nproc, cfg.estimates))
        return [
            doctor.check_disk(config, train, size.steps),
            doctor.check_memory(config, train, nproc),
            doctor.check_backend(train),
            *doctor.check_switches(train),
            *doctor.check_keys(train),
            *check_tag(cfg.tag, kind, shelf.fingerprint(stage), horizon(shelf)),
        ]

    return [(needed_by, lambda shelf: [doctor.check_processes(nproc)]), (needed_by, look)]


def _recipe_only(options: Options) -> Options:
    return Options(recipe=options.recipe)


def trained(outcome: Outcome, stage: str, following: str) -> str | None:
    """What to type next, once the training stage has run."""
    return following if stage in outcome.done else None
