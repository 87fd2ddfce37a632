"""`samosa cpt` and `samosa extend`: new runs on text that start from a checkpoint's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from samosa import console, home
from samosa.chat.tokenizer import load_tokenizer
from samosa.config import Options, load
from samosa.errors import NotReady
from samosa.home import CheckpointRef
from samosa.model.config import ModelConfig, check_vocab
from samosa.phases.base_stages import check_corpus, pack_stage, packed_text, the_tokenizer
from samosa.phases.command import Command, carry_out, sets_of
from samosa.phases.doctor import Check, missing
from samosa.phases.fit import Machine, fitted, refuse_other_run, that_matter
from samosa.phases.horizon import Horizon
from samosa.phases.init import Init, find_init, still_there, with_windows
from samosa.phases.rates import positions_line, scaling_line
from samosa.phases.runs import machine_of, trained, training_checks
from samosa.phases.settings import Cpt, Extend, known_checkpoints
from samosa.phases.sizes import Context, Fact, Size, train_size
from samosa.phases.stage import Facts, Stage, Work
from samosa.train.job import Job

Verb = Literal["cpt", "extend"]
Kind = Literal["base", "chat"]


@dataclass(frozen=True)
class Continued:
    """What a run from weights, on text, is made of."""

    verb: Verb
    cfg: Cpt
    init: Init
    config: ModelConfig
    """The model it trains: the init's, or what extension makes of it."""
    kind: Kind
    """Where its checkpoints go."""
    reshape: dict[str, Any] | None = None
    """What extension changes, as a meta holds it."""


def run_cpt(options: Options) -> int:
    """Go on pretraining a checkpoint as a new run with a schedule of its own; returns the exit code."""
    cfg = load(Cpt, "cpt", recipe=options.recipe, sets=sets_of(options))
    init = with_windows(find_init(cfg.init, cfg.shape.config()), cfg.init_windows)
    return _carry_out(Continued("cpt", cfg, init, init.config, "base"), options, f"samosa inspect {cfg.tag}")


def run_extend(options: Options) -> int:
    """Train a checkpoint in longer rows with windows and positions to match; returns the exit code.

    A chat model stays one: the checkpoints go where the init's are.
    """
    cfg = load(Extend, "extend", recipe=options.recipe, sets=sets_of(options))
    init = with_windows(find_init(cfg.init, cfg.shape.config()), cfg.init_windows)
    config = cfg.extend.config(init.config, train_len=cfg.train.length)
    run = Continued("extend", cfg, init, config, kind_of(init), reshape_of(config))
    return _carry_out(run, options, f"samosa inspect {cfg.tag}")


def reshape_of(config: ModelConfig) -> dict[str, Any]:
    """What extension changes in a model's meta."""
    explicit = config.to_meta()[1]
    names = ("sequence_len", "window_pattern", "windows", "rope_base", "yarn")
    return {name: explicit[name] for name in names if name in explicit}


def kind_of(init: Init) -> Kind:
    """Whether the init is a base or a chat model: by where it lies, or where it would."""
    if init.ref is not None:
        return init.ref.kind
    match = home.NAME.fullmatch(init.name)
    known = known_checkpoints().get(match["tag"]) if match else None
    return "base" if known is None else known.kind


def check_optimizer(init: Init, optimizer: str) -> list[Check]:
    """Whether the momenta that are to be inherited are here."""
    if optimizer == "fresh" or init.ref is None:
        return []
    if has_optimizer(init.ref):
        return [Check("optimizer", f"{init.ref.name}'s momenta")]
    error = NotReady(
        f"{init.ref.name} has no optimizer state to inherit",
        hint=f"--set optimizer=fresh starts with none, or copy {init.ref.train_dir.name}/ or nanochat's "
        f"optim_{init.ref.step:06d}_rank*.pt to {init.ref.directory}",
    )
    return [missing("optimizer", error)]


def has_optimizer(ref: CheckpointRef) -> bool:
    """Whether a checkpoint's optimizer state lies beside it: samosa's own, or nanochat's shards."""
    return ref.train_dir.is_dir() or any(ref.directory.glob(f"optim_{ref.step:06d}_rank*.pt"))


def _carry_out(run: Continued, options: Options, following: str) -> int:
    cfg, machine = run.cfg, machine_of(options, run.cfg.estimates)
    rows = pack_stage(cfg.corpus, cfg.train, the_tokenizer())
    stages = [rows, _stage(run, rows, machine)]
    start = frozenset({run.verb})
    processes, *others = training_checks(stages[-1], run.kind, cfg, run.config, machine.nproc)
    command = Command(
        verb=run.verb,
        tag=cfg.tag,
        title=f"{cfg.tag}, from {cfg.init}",
        stages=stages,
        nproc=machine.nproc,
        budget=cfg.budget,
        estimates=cfg.estimates,
        checks=[
            processes,
            (start, lambda shelf: [*run.init.checks(), *check_optimizer(run.init, cfg.optimizer)]),
            (frozenset({"pack"}), lambda shelf: [check_corpus(cfg.corpus)]),
            *others,
        ],
        ended=lambda outcome: trained(outcome, run.verb, following),
    )
    return carry_out(command, options)


def _stage(run: Continued, rows: Stage, machine: Machine) -> Stage:
    """cpt or extend: train `cfg.tag` from the init, on packed text."""
    cfg, init, train = run.cfg, run.init, run.cfg.train

    def go(work: Work) -> Facts:
        horizon = Horizon(train, work.reprint)
        refuse_other_run(cfg.tag, run.kind, work.fingerprint, horizon=horizon)
        ref = init.found(work)
        check_vocab(init.config, load_tokenizer(home.tokenizer_dir()).vocab_size, ref.name)
        console.say(f"  optimizer {_inherited(run)}")
        console.say(f"  {scaling_line(run.config, train, None)}")
        packed = work.made["rows"].directory
        job = Job(
            tag=cfg.tag,
            kind=run.kind,
            stage=run.verb,
            run_dir=str(home.run_dir(cfg.tag)),
            out_dir=str(home.checkpoint_dir(run.kind, cfg.tag)),
            init=f"{ref.kind}/{ref.name}",
            init_windows=None if init.windows is None else list(init.windows),
            reshape=run.reshape,
            optimizer=cfg.optimizer,
            model_config=None,
            rows_dir=str(packed / "training"),
            val_dir=str(packed / "validation"),
            tokenizer_dir=str(home.tokenizer_dir()),
            train=train.model_dump(mode="json"),
            fingerprint=work.fingerprint,
            lengthened=horizon.past(run.kind, cfg.tag),
            price_per_hour=machine.price_per_hour or None,
        )
        return fitted(job, cfg, run.config, machine, work)

    def size(ctx: Context) -> Size:
        data = packed_text(ctx, rows, cfg.corpus, train)
        title = f"{cfg.tag} from {init.name}"
        return train_size(ctx, title, run.config, init.basis, train, data, notes=_notes(run))

    return Stage(
        run.verb,
        f"train {cfg.tag} from {init.name}",
        go,
        inputs={"rows": rows, "init": init.source},
        settings={
            "tag": cfg.tag,
            "windows": init.windows,
            "reshape": run.reshape,
            "optimizer": cfg.optimizer,
            **that_matter(train),
        },
        size=size,
        still_true=still_there,
    )


def _inherited(run: Continued) -> str:
    return "fresh: momenta start at zero" if run.cfg.optimizer == "fresh" else f"inherited from {run.init.name}"


def _notes(run: Continued) -> tuple[Fact, ...]:
    """What is particular to a run from weights: its optimizer, and for an extension what changes in the model."""
    own = "recipe (optimizer); the schedule is this run's own"
    facts = [Fact("optimizer", run.cfg.optimizer, _inherited(run), own)]
    if run.reshape is not None:
        old, new = run.init.config, run.config
        longer = f"{old.sequence_len:,} -> {new.sequence_len:,}"
        facts.append(Fact("context", new.sequence_len, longer, "recipe (extend)"))
        facts.append(Fact("positions", new.rope_base, positions_line(new), _readable(new)))
    return tuple(facts)


def _readable(config: ModelConfig) -> str:
    return "readable by nanochat" if config.to_meta()[1]["readable_by_nanochat"] else "not readable by nanochat"
