"""What trains a model, and looks after it while it does."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from samosa import flags
from samosa.commands import Command, app, options_of

if TYPE_CHECKING:
    from samosa.config import Options

    Run = Callable[[Options], int]


@app.command("phase-a", cls=Command)
def phase_a(
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    tag: flags.Tag = None,
    nproc: flags.Nproc = None,
    plan: flags.Plan = False,
    until: flags.Until = None,
    start: flags.From = None,
    redo: flags.Redo = False,
    detach: flags.Detach = False,
    max_restarts: flags.MaxRestarts = 0,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Teach a checkpoint to think and call a tool in one turn

    Makes the data, filters and mixes it, fine-tunes, judges, and publishes what passes
    """
    options = options_of(**locals())
    from samosa.phases import phase_a as phase

    return phase.run(options)


def _training(verb: str) -> Callable[["Run"], "Run"]:
    """Register a command with the flags of every training; its own function gets them as Options."""

    def registered(hand_over: "Run") -> "Run":
        def train(
            recipe: flags.Recipe = None,
            sets: flags.Sets = None,
            tag: flags.Tag = None,
            nproc: flags.Nproc = None,
            plan: flags.Plan = False,
            until: flags.Until = None,
            start: flags.From = None,
            redo: flags.Redo = False,
            detach: flags.Detach = False,
            max_restarts: flags.MaxRestarts = 0,
            nnodes: flags.Nnodes = 1,
            node_rank: flags.NodeRank = 0,
            rdzv: flags.Rdzv = None,
            json: flags.Json = False,
            verbose: flags.Verbose = 0,
        ) -> int:
            given = locals()
            return hand_over(options_of(**{name: given[name] for name in given if name != "hand_over"}))

        train.__doc__ = hand_over.__doc__
        app.command(verb, cls=Command)(train)
        return hand_over

    return registered


@_training("sft")
def sft(options: "Options") -> int:
    """Fine-tune a checkpoint on the conversations a recipe names"""
    from samosa.phases import runs

    return runs.run_sft(options)


@_training("pretrain")
def pretrain(options: "Options") -> int:
    """Train a base model from scratch on text"""
    from samosa.phases import runs

    return runs.run_pretrain(options)


@_training("cpt")
def cpt(options: "Options") -> int:
    """Pretrain a checkpoint further, as a new run"""
    from samosa.phases import continued

    return continued.run_cpt(options)


@_training("extend")
def extend(options: "Options") -> int:
    """Teach a checkpoint to read further, in longer rows of text"""
    from samosa.phases import continued

    return continued.run_extend(options)


@app.command("attach", cls=Command)
def attach(tag: Annotated[str, typer.Argument(metavar="TAG", help="Choose the run")]) -> int:
    """Watch a run that goes on elsewhere, until it ends

    Exits with the run's own code; Ctrl-C leaves it going
    """
    from samosa.phases import detach

    return detach.attach(tag)


@app.command("profile", cls=Command)
def profile(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Choose the training: pretrain, cpt, extend or sft")],
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    nproc: flags.Nproc = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Show where the time of a training step goes

    Runs ten steps of the recipe's training, saves no checkpoint, and leaves a trace for a browser
    """
    options = options_of(recipe=recipe, sets=sets, nproc=nproc, json=json, verbose=verbose)
    from samosa.phases import profile as profiling

    return profiling.run(options, kind=kind)


@app.command("doctor", cls=Command)
def doctor(
    selftest: Annotated[
        bool, typer.Option("--selftest", help="Compute small things twice, in training's way and plainly, and compare")
    ] = False,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Show what this machine has, and whether it computes right"""
    options = options_of(json=json, verbose=verbose)
    from samosa.phases import machine

    return machine.run(options, selftest=selftest)
