"""What patterns cannot say about a text: built-ins, each linear in its length and cheap where nothing is wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import eq

from samosa.data.filter.masks import ends_in_open_fence

Span = tuple[int, int]
Find = Callable[[str, str], Iterator[Span]]
"""(what the rule sees, the text itself; equally long) -> where it is wrong."""


@dataclass(frozen=True)
class TextCheck:
    """Rejects a text where `find` finds something. With a `pattern` (RE2) it is asked only where that matches, and
    without `find` the pattern alone decides.
    """

    pattern: str | None
    find: Find | None


def repeated_line(*, times: int, shortest: int, exact: bool) -> TextCheck:
    """The same line `times` times in a row, at least `shortest` characters long. Unless `exact`, white space around
    lines and blank lines between them do not count, nor do rows of tables, and code is left out.
    """
    return TextCheck(None, lambda words, text: _repeats(words, text, times, shortest, exact))


def _repeats(words: str, text: str, times: int, shortest: int, exact: bool) -> Iterator[Span]:
    lines = words.split("\n")
    if len(lines) < times:
        return
    bare = lines if exact else list(filter(None, map(str.strip, lines)))
    if not any(map(eq, bare, islice(bare, times - 1, None))):
        return
    run, last, begin, at = 0, None, 0, 0
    for line in lines:
        start, at = at, at + len(line) + 1
        original = text[start : at - 1]
        key = original if exact else original.strip()
        if not key and not exact:
            continue
        counts = len(key) >= shortest and (exact or (line.strip().strip("\x01") != "" and not _is_table(key)))
        if counts and key == last:
            run += 1
            if run == times:
                yield begin, at - 1
        else:
            run, begin = int(counts), start
            last = key if counts else None


def _is_table(line: str) -> bool:
    return line[0] == "|" == line[-1]


def unclosed_fence() -> TextCheck:
    """A fenced block that nothing closes: an answer that was cut off."""

    def find(words: str, text: str) -> Iterator[Span]:
        if "```" in text or "~~~" in text:
            span = ends_in_open_fence(text)
            if span is not None:
                yield span

    return TextCheck(None, find)


TEXT_BUILTINS: dict[str, Callable[..., TextCheck]] = {
    "repeated_line": repeated_line,
    "unclosed_fence": unclosed_fence,
}
