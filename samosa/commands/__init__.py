"""The commands, by what they are about: each reads its flags and hands over to the module that does the work.

Work is imported inside the commands, so that `samosa -h` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import samosa
from samosa import console
from samosa.errors import SamosaError, Stopped

if TYPE_CHECKING:
    from samosa.config import Options


class Command(TyperCommand):
    """A command that the keyboard or a closed pipe may stop."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            hint = "run the same command again: it goes on from what is saved"
            raise Stopped("stopped from the keyboard", hint=hint) from None
        except BrokenPipeError:
            return hung_up()

    def get_help_option(self, ctx: Any) -> Any:
        return _reworded(super().get_help_option(ctx))


class Crew(Command):
    """A command whose work is done by several processes. They are forked, which spares each of them its
    imports (0.4 s), where numpy's BLAS, which none of them needs, keeps no threads."""

    def invoke(self, ctx: Any) -> Any:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        return super().invoke(ctx)


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


typed: list[str] = []
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


def options_of(*, sets: Sequence[str] | None = None, **values: Any) -> "Options":
    from samosa.config import Options

    return Options(sets=tuple(sets or ()), argv=tuple(typed), **values)


def hung_up() -> int:
    """Whoever read our output has gone, as in `samosa ... | head -1`: end without a word, at shutdown too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return SamosaError.exit_code
