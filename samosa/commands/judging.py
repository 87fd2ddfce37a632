"""What looks at a model: judge, talk, inspect."""

from typing import Annotated

import typer

from samosa import flags
from samosa.commands import Command, app, options_of


@app.command("eval", cls=Command)
def evaluate(
    tag: flags.Checkpoint,
    suite: Annotated[
        str, typer.Option("--suite", metavar="NAME", help="Ask joint, full or judge, or core, mmlu, arc or gsm8k")
    ] = "joint",
    seed: flags.Seed = None,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    nproc: Annotated[
        int | None, typer.Option("--nproc", min=1, metavar="N", help="Ask in N processes; without it one a GPU")
    ] = None,
    redo: Annotated[bool, typer.Option("--redo", help="Ask again what was answered before")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be asked and what it takes, and stop")] = False,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Judge a checkpoint with probes drawn by seed

    Exits with 0 when it passed, 10 when it failed, 20 without enough evidence, 30 when the measurement broke
    """
    from samosa.phases import judging

    options = options_of(
        recipe=recipe, sets=sets, tag=tag, nproc=nproc, redo=redo, plan=plan, json=json, verbose=verbose
    )
    return judging.run(options, suite=suite, seed=seed)


@app.command("compare", cls=Command)
def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="Start from this TAG[@STEP]")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="Say what is different in this TAG[@STEP]")],
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Compare two judged checkpoints, pair by pair"""
    from samosa.phases import comparing

    options = options_of(recipe=recipe, sets=sets, json=json, verbose=verbose)
    return comparing.run(options, before=before, after=after)


@app.command("criteria", cls=Command)
def criteria(
    tag: flags.Checkpoint,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Show what a judged checkpoint has yet to reach"""
    from samosa.phases import criteria as reached

    return reached.run(options_of(recipe=recipe, sets=sets, tag=tag, json=json, verbose=verbose))


@app.command("report", cls=Command)
def report(
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG[@STEP]", help="Choose the run; without it the latest")
    ] = None,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Write a page of pictures about a run, runs/TAG/report.html"""
    from samosa.phases import reporting

    return reporting.run(options_of(recipe=recipe, sets=sets, tag=tag, json=json, verbose=verbose))


@app.command("chat", cls=Command)
def chat(
    tag: flags.Checkpoint,
    think: Annotated[bool, typer.Option("--think", help="Ask the model to think before it answers")] = False,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0.0, metavar="T", help="Sample at T; 0 is greedy")
    ] = None,
    seed: flags.Seed = None,
    once: Annotated[str | None, typer.Option("--once", metavar="TEXT", help="Answer this one message and exit")] = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Talk with a checkpoint in the terminal"""
    from samosa.serve import terminal

    options = options_of(tag=tag, json=json, verbose=verbose)
    return terminal.run(options, think=think, temperature=temperature, seed=seed, once=once)


@app.command("inspect", cls=Command)
def inspect(
    name: Annotated[str, typer.Argument(metavar="TAG[@STEP]", help="Choose the checkpoint")],
    windows: Annotated[
        bool, typer.Option("--windows", help="Measure by position which attention windows it was trained with")
    ] = False,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Show what a checkpoint is"""
    from samosa.phases import inspect as inspection

    options = options_of(recipe=recipe, sets=sets, json=json, verbose=verbose)
    return inspection.run(options, name=name, windows=windows)
