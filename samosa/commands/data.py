"""What makes and sorts training data."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from samosa import flags
from samosa.commands import Command, Crew, app, options_of


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


@app.command("filter", cls=Crew)
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


@app.command("dedup", cls=Crew)
def dedup(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Read these files, the ones to keep first")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write kept and dropped rows here")] = None,
    near: Annotated[bool, typer.Option("--near", help="Drop near-duplicates, too")] = False,
    threshold: Annotated[
        float | None, typer.Option("--threshold", metavar="J", help="Call rows near from this Jaccard similarity on")
    ] = None,
    workers: flags.Workers = None,
    seed: flags.Seed = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show rows, memory, disk and time to come, and stop")] = False,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Drop rows that repeat an earlier one

    Rows repeat when all their turns are equal but for case, spacing and layout; with --near when four fifths of their
    five-word sequences are shared. Every dropped row is written with the row it repeats
    """
    from samosa.phases import dedup

    options = options_of(recipe=recipe, sets=sets, plan=plan, json=json, verbose=verbose)
    return dedup.run(options, files=files, out=out, near=near, threshold=threshold, workers=workers, seed=seed)


@app.command("fence", cls=Crew)
def fence(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Read these files of rows")],
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="SUITE|FILE", help="Keep this from the rows: joint, roadmap, a benchmark"),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write kept and fenced rows here")] = None,
    workers: flags.Workers = None,
    seed: flags.Seed = None,
    plan: Annotated[bool, typer.Option("--plan", help="Look at a sample, predict the outcome, and stop")] = False,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Take rows out that copy a probe or a benchmark

    A copy with other numbers, names, case or clause order is found as well. Every row that is taken out is written
    with the question it copies
    """
    from samosa.phases import fencing

    options = options_of(recipe=recipe, sets=sets, plan=plan, json=json, verbose=verbose)
    return fencing.run(options, files=files, against=against or (), out=out, workers=workers, seed=seed)


@app.command("mix", cls=Crew)
def mix(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES...]", help="Mix these, each once, not the recipe's sources")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write training and validation here")] = None,
    workers: flags.Workers = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what each source would give, and stop")] = False,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Blend sources into training and validation rows

    Shows rows, tokens, supervised tokens and epochs of every source before it writes
    """
    from samosa.phases import mixing

    options = options_of(recipe=recipe, sets=sets, plan=plan, json=json, verbose=verbose)
    return mixing.run(options, files=files or (), out=out, workers=workers)


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


@app.command("tokenize", cls=Crew)
def tokenize(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILES|SOURCES...", help="Read text of these files or pulled sources")
    ],
    first_shard: Annotated[
        int | None, typer.Option("--first-shard", min=0, metavar="N", help="Insist on this number, which must be next")
    ] = None,
    workers: flags.Workers = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be made of them, and stop")] = False,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Turn text into numbered parquet shards and token shards

    Older shards are never written, and every byte of them is checked before and after
    """
    from samosa.phases import tokenizing

    options = options_of(recipe=recipe, sets=sets, plan=plan, json=json, verbose=verbose)
    return tokenizing.run(options, inputs=inputs, first_shard=first_shard, workers=workers)


@app.command("tokenizer", cls=Command)
def tokenizer(
    action: Annotated[str, typer.Argument(metavar="train|report", help="Learn a vocabulary, or measure one")],
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILES|SOURCES...", help="Read text of these files or pulled sources")
    ],
    vocab_size: Annotated[
        int | None, typer.Option("--vocab-size", min=1, metavar="N", help="Learn N tokens, the special ones included")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Use this folder, not the home's tokenizer")
    ] = None,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Train a tokenizer, or report how well one compresses each file

    A tokenizer that is there is never written over
    """
    from samosa.phases import tokenizers

    options = options_of(recipe=recipe, sets=sets, json=json, verbose=verbose)
    return tokenizers.run(options, action=action, inputs=inputs, vocab_size=vocab_size, out=out)
