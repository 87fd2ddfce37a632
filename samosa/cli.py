"""The command line: run one command, and turn what it raises into an exit code."""

import atexit
import copy
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from samosa import console
from samosa.commands import app, hung_up, typed
from samosa.errors import BadInput, SamosaError, Stopped
from samosa.secrets import redact

# what plugs into pydantic has nothing to do with recipes, and looking for it in every package takes long
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
for about in ("training", "data", "judging"):  # they register their commands, and help lists them in this order
    importlib.import_module(f"samosa.commands.{about}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing a person can cause shows a traceback.

    Errors are two lines on stderr; with --json also one object on stdout. A bug keeps its traceback, without secrets.
    """
    if argv is None:  # a process of its own
        gc.set_threshold(20_000, 20, 20)  # what imports make is not garbage: looking for it is a twentieth of start-up
        atexit.register(gc.freeze)  # nor is what the end frees anyway: looking for it takes a twentieth of a second
    arguments = list(sys.argv[1:] if argv is None else argv)
    typed[:] = arguments
    as_json = "--json" in arguments
    in_detail = not {"-v", "-vv", "--verbose"}.isdisjoint(arguments)
    try:
        return _run(arguments)
    except SamosaError as error:
        if in_detail:
            sys.stderr.write(redact(traceback.format_exc()))
        return _report(error, as_json=as_json)
    except BrokenPipeError:
        return hung_up()
    except Exception as error:  # noqa: BLE001 - a bug: shown whole, except for secrets
        sys.stderr.write(redact(traceback.format_exc()))
        if as_json:
            console.emit_json({"error": f"{type(error).__name__}: {error}", "exit_code": SamosaError.exit_code})
        return SamosaError.exit_code


def _run(arguments: list[str]) -> int:
    try:
        # typer gives back what the command returned, or the code of typer.Exit; its own errors are raised.
        code = _app_of(arguments)(arguments or ["-h"], prog_name="samosa", standalone_mode=False)
    except TyperException as error:
        raise _usage(error) from None
    except (KeyboardInterrupt, typer.Abort):
        code = Stopped.exit_code
    sys.stdout.flush()  # while a reader that has gone can still be noticed
    return code or 0


def _app_of(arguments: list[str]) -> typer.Typer:
    """With the command that is meant only, where one is: typer makes all that it has, which takes 10 ms."""
    meant = [command for command in app.registered_commands if arguments[:1] == [command.name]]
    small = copy.copy(app)
    small.registered_commands = meant or app.registered_commands
    return small


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
        hung_up()
    return error.exit_code
