"""What makes and sorts training data."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from samosa import flags
from samosa.commands import Command, app, options_of


@app.command("gen-data", cls=Command)
def gen_data(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Choose what to generate, such as joint")],
    rows: Annotated[int | None, typer.Option("--rows", min=1, metavar="N", help="Write N conversations")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="PATH", help="Write them to this JSONL file")] = None,
    seed: flags.Seed = None,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Generate training conversations into a JSONL file"""
    from samosa.phases import data_commands

    options = options_of(recipe=recipe, sets=sets, json=json, verbose=verbose)
    return data_commands.gen_data(options, kind=kind, rows=rows, out=out, seed=seed)


@app.command("filter", cls=Command)
def filter_files(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES...]", help="Read these files, not the recipe's pools")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write kept and rejected rows here")] = None,
    rules: Annotated[str | None, typer.Option("--rules", metavar="NAME|PATH", help="Apply this set of rules")] = None,
    workers: flags.Workers = None,
    rank: flags.Rank = 0,
    of: flags.Of = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Look at a sample, predict the outcome, and stop")] = False,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Sort conversations into kept and rejected

    Reads JSONL, plain or compressed by zstd or gzip, and parquet; every rejected row is written with all its reasons
    """
    from samosa.phases import filtering

    options = options_of(recipe=recipe, sets=sets, plan=plan, json=json, verbose=verbose)
    return filtering.run(options, files=files or (), out=out, rules=rules, workers=workers, rank=rank, of=of)


@app.command("mix", cls=Command)
def mix(
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write training and validation here")] = None,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what each source would give, and stop")] = False,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Blend sources into training and validation rows

    Shows rows, tokens, supervised tokens and epochs of every source before it writes
    """
    from samosa.phases import mixing

    options = options_of(recipe=recipe, sets=sets, plan=plan, json=json, verbose=verbose)
    return mixing.run(options, out=out)


@app.command("pull", cls=Command)
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Pull these sources or checkpoints")
    ] = None,
    source: Annotated[bool, typer.Option("--source", help="Take the names for sources of data")] = False,
    tag: Annotated[bool, typer.Option("--tag", help="Take the names for checkpoints")] = False,
    phase: Annotated[str | None, typer.Option("--phase", metavar="LETTER", help="Pull all of a phase")] = None,
    rows: Annotated[int | None, typer.Option("--rows", min=1, metavar="N", help="Draw N rows, not the cap")] = None,
    seed: flags.Seed = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write to this folder")] = None,
    optimizer: Annotated[bool, typer.Option("--optimizer", help="Pull a checkpoint's optimizer too")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show rows, tokens, disk and licences, and stop")] = False,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Pull data or checkpoints from the Hub

    Data is a uniform sample of what the registry names, with its licence and commit beside it
    """
    from samosa.errors import BadInput
    from samosa.phases import pulling

    if source and tag:
        raise BadInput("--source and --tag exclude each other", hint="say one of them, or neither")
    namespace: Literal["source", "tag"] | None = "source" if source else "tag" if tag else None
    options = options_of(plan=plan, json=json, verbose=verbose)
    return pulling.run(options, pulling.Asked(names or (), namespace, phase, rows, seed, out, optimizer))
