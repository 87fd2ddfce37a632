"""The command line: parse, hand over to the module that does the work, and turn what it raises into an exit code.

Work is imported inside the commands, so that `samosa -h` answers at once.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

import samosa
from samosa import console, flags
from samosa.errors import BadInput, SamosaError, Stopped
from samosa.secrets import redact

if TYPE_CHECKING:
    from samosa.config import Options

    Run = Callable[[Options], int]


class _Command(TyperCommand):
    """A command that the keyboard or a closed pipe may stop."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            hint = "run the same command again: it goes on from what is saved"
            raise Stopped("stopped from the keyboard", hint=hint) from None
        except BrokenPipeError:
            return _hung_up()

    def get_help_option(self, ctx: Any) -> Any:
        return _reworded(super().get_help_option(ctx))


class _Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        command = self.commands.get(args[0]) if args else None
        if command is not None and not {"-h", "--help"}.isdisjoint(args):
            # Before typer looks at any value: it does that with pydantic, which takes longer than help itself.
            console.data(command.get_help(typer.Context(command, parent=ctx, info_name=args[0])))
            raise typer.Exit
        return super().parse_args(ctx, args)

    def get_help_option(self, ctx: Any) -> Any:
        return _reworded(super().get_help_option(ctx))


def _reworded(option: Any) -> Any:
    if option is not None:
        option.help = "Show this help and exit"
        option.opts = ["-h", "--help"]
    return option


_typed: list[str] = []
"""The command line as it came, for a command that starts itself again."""

app = typer.Typer(
    cls=_Group,
    rich_markup_mode=None,  # rich takes longer to import than everything else here together
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        console.data(samosa.__version__)
        raise typer.Exit


@app.callback()
def _samosa(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit")
    ] = False,
) -> None:
    """Train small chat models that think and use tools, judge them, and publish those that pass

    Exit codes: 0 ok, 1 failed, 2 bad input, 3 machine not ready, 10/20/30 gate, 130 stopped and safe to run again
    """


@app.command("phase-a", cls=_Command)
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
    options = _options(**locals())
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
            return hand_over(_options(**{name: given[name] for name in given if name != "hand_over"}))

        train.__doc__ = hand_over.__doc__
        app.command(verb, cls=_Command)(train)
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


@app.command("attach", cls=_Command)
def attach(tag: Annotated[str, typer.Argument(metavar="TAG", help="Choose the run")]) -> int:
    """Watch a run that goes on elsewhere, until it ends

    Exits with the run's own code; Ctrl-C leaves it going
    """
    from samosa.phases import detach

    return detach.attach(tag)


@app.command("profile", cls=_Command)
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
    options = _options(recipe=recipe, sets=sets, nproc=nproc, json=json, verbose=verbose)
    from samosa.phases import profile as profiling

    return profiling.run(options, kind=kind)


@app.command("doctor", cls=_Command)
def doctor(
    selftest: Annotated[
        bool, typer.Option("--selftest", help="Compute small things twice, in training's way and plainly, and compare")
    ] = False,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Show what this machine has, and whether it computes right"""
    options = _options(json=json, verbose=verbose)
    from samosa.phases import machine

    return machine.run(options, selftest=selftest)


@app.command("gen-data", cls=_Command)
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

    options = _options(recipe=recipe, sets=sets, json=json, verbose=verbose)
    return data_commands.gen_data(options, kind=kind, rows=rows, out=out, seed=seed)


@app.command("filter", cls=_Command)
def filter_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Read these JSONL files")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write kept and rejected rows to this folder")],
    rules: Annotated[str, typer.Option("--rules", metavar="NAME", help="Apply this set of rules")],
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Sort conversations into kept and rejected

    Every rejected row is written with all its reasons
    """
    from samosa.phases import data_commands

    options = _options(recipe=recipe, sets=sets, json=json, verbose=verbose)
    return data_commands.filter_files(options, files=files, out=out, rules=rules)


@app.command("eval", cls=_Command)
def evaluate(
    tag: flags.Checkpoint,
    suite: Annotated[str, typer.Option("--suite", metavar="NAME", help="Ask this suite of probes")] = "joint",
    seed: flags.Seed = None,
    recipe: flags.Recipe = None,
    sets: flags.Sets = None,
    json: flags.Json = False,
    verbose: flags.Verbose = 0,
) -> int:
    """Judge a checkpoint with probes drawn by seed

    Exits with 0 when it passed, 10 when it failed, 20 without enough evidence, 30 when the measurement broke
    """
    from samosa.phases import judging

    options = _options(recipe=recipe, sets=sets, tag=tag, json=json, verbose=verbose)
    return judging.run(options, suite=suite, seed=seed)


@app.command("chat", cls=_Command)
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

    options = _options(tag=tag, json=json, verbose=verbose)
    return terminal.run(options, think=think, temperature=temperature, seed=seed, once=once)


@app.command("inspect", cls=_Command)
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

    options = _options(recipe=recipe, sets=sets, json=json, verbose=verbose)
    return inspection.run(options, name=name, windows=windows)


def _options(*, sets: Sequence[str] | None = None, **values: Any) -> "Options":
    from samosa.config import Options

    return Options(sets=tuple(sets or ()), argv=tuple(_typed), **values)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing a person can cause shows a traceback.

    Errors are two lines on stderr; with --json also one object on stdout. A bug keeps its traceback, without secrets.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _typed[:] = arguments
    as_json = "--json" in arguments
    in_detail = not {"-v", "-vv", "--verbose"}.isdisjoint(arguments)
    try:
        return _run(arguments)
    except SamosaError as error:
        if in_detail:
            sys.stderr.write(redact(traceback.format_exc()))
        return _report(error, as_json=as_json)
    except BrokenPipeError:
        return _hung_up()
    except Exception as error:  # noqa: BLE001 - a bug: shown whole, except for secrets
        sys.stderr.write(redact(traceback.format_exc()))
        if as_json:
            console.emit_json({"error": f"{type(error).__name__}: {error}", "exit_code": SamosaError.exit_code})
        return SamosaError.exit_code


def _run(arguments: list[str]) -> int:
    try:
        # typer gives back what the command returned, or the code of typer.Exit; its own errors are raised.
        code = app(arguments or ["-h"], prog_name="samosa", standalone_mode=False)
    except TyperException as error:
        raise _usage(error) from None
    except (KeyboardInterrupt, typer.Abort):
        code = Stopped.exit_code
    sys.stdout.flush()  # while a reader that has gone can still be noticed
    return code or 0


def _usage(error: TyperException) -> BadInput:
    """A mistake in the command line itself, as the two lines every other error has."""
    context, possible = getattr(error, "ctx", None), getattr(error, "possibilities", None)
    message, _, suggestion = str(getattr(error, "message", "") or error.format_message()).partition(" Did you mean ")
    if getattr(error, "param", None) is not None:
        message = error.format_message()
    if possible:
        suggestion = " or ".join(possible) + "?"
    command = context.command_path if context is not None else "samosa"
    hint = f"did you mean {suggestion.replace(chr(39), '')}" if suggestion else f"{command} -h shows how"
    return BadInput(f"{command}: {message[:1].lower()}{message[1:].rstrip('.')}", hint=hint)


def _report(error: SamosaError, *, as_json: bool) -> int:
    try:
        console.error(error)
        if as_json:
            console.emit_json({"error": error.message, "hint": error.hint, "exit_code": error.exit_code})
    except BrokenPipeError:
        _hung_up()
    return error.exit_code


def _hung_up() -> int:
    """Whoever read our output has gone, as in `samosa ... | head -1`: end without a word, at shutdown too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return SamosaError.exit_code
