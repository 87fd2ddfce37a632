"""Everything a person sees: talk goes to stderr, data goes to stdout, and only rank 0 speaks."""

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

from samosa.errors import SamosaError
from samosa.secrets import redact

SECONDS_BETWEEN_LINES = 10  # of progress, where nobody watches a terminal
WIDE = 200  # columns of a table written to a file or pipe: nothing is folded there
ERASE_LINE = "\r\x1b[2K"


class _Live:
    """The progress line: whether one stands open on the terminal, and when one was last printed elsewhere."""

    is_open = False
    printed_at: float | None = None


def say(text: str = "") -> None:
    """Tell the person something, on stderr."""
    if _is_rank_0():
        _talk(text)


def warn(text: str) -> None:
    """Tell the person something they should not overlook, on stderr."""
    say(f"warning: {text}")


def error(exc: SamosaError) -> None:
    """Print the two lines of an error, on stderr and from every rank: only one of them may have failed."""
    _talk(f"error: {_one_line(exc.message)}")
    _talk(f"hint: {_one_line(exc.hint)}")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print rows as aligned columns on stderr; an all-empty `columns` prints no heading."""
    if not _is_rank_0():
        return
    from rich.console import Console

    _close_live_line()
    if title is not None:
        _talk(title)
    width = None if _on_terminal(sys.stderr) else WIDE
    Console(file=sys.stderr, width=width, highlight=False, markup=False, emoji=False).print(_grid(columns, rows))


def prepare_tables() -> None:
    """Import what tables need: a fiftieth of a second that is free while others work."""
    import rich.console
    import rich.table  # noqa: F401


@contextlib.contextmanager
def live_table(columns: Sequence[str]) -> Iterator[Callable[[str, Iterable[Sequence[object]]], None]]:
    """A table on the terminal with a line of text above it, drawn again with every call of what this yields and gone
    when the block ends. Where nobody watches a terminal the line alone is printed, every ten seconds or so.
    """
    if not (_is_rank_0() and _on_terminal(sys.stderr)):
        yield lambda text, rows: live_line(text)
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    screen = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
    _close_live_line()
    with Live(console=screen, transient=True, auto_refresh=False) as live:
        yield lambda text, rows: live.update(Group(Text(redact(text)), _grid(columns, rows)), refresh=True)


def live_line(text: str) -> None:
    """Show progress: rewrite one line on a terminal; elsewhere print a line every ten seconds or so."""
    if not _is_rank_0():
        return
    if _on_terminal(sys.stderr):
        width = shutil.get_terminal_size().columns - 1
        _write(sys.stderr, ERASE_LINE + redact(text)[:width])
        _Live.is_open = True
    elif _Live.printed_at is None or time.monotonic() - _Live.printed_at >= SECONDS_BETWEEN_LINES:
        _talk(text)
        _Live.printed_at = time.monotonic()


def clock(seconds: float) -> str:
    """A duration for people: 0.8 s, 42 s, 3 min 05 s, 1 h 02 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def data(what: object) -> None:
    """Write data to stdout: text as it is, anything else as indented JSON."""
    if _is_rank_0():
        _close_live_line()
        _write(sys.stdout, redact(what if isinstance(what, str) else _json(what, indent=2)) + "\n")


def emit_json(obj: object) -> None:
    """Write one JSON line to stdout."""
    if _is_rank_0():
        _close_live_line()
        _write(sys.stdout, redact(_json(obj)) + "\n")


def _grid(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, show_header=any(columns), header_style="bold")
    for column in columns:
        grid.add_column(Text(redact(column)), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(redact(str(cell))) for cell in row))
    return grid


def _json(obj: object, **options: Any) -> str:
    # A terminal or pipe that is not UTF-8 gets \u escapes rather than a crash, and so do names of files that are not.
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    said = json.dumps(obj, ensure_ascii=not utf8, default=str, **options)
    return said.encode(errors="backslashreplace").decode()


def _talk(text: str) -> None:
    _close_live_line()
    _write(sys.stderr, redact(text) + "\n")


def _close_live_line() -> None:
    if _Live.is_open:
        _Live.is_open = False
        _write(sys.stderr, "\n")


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _on_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _is_rank_0() -> bool:
    return os.environ.get("RANK", "0") == "0"  # torchrun numbers its processes so
