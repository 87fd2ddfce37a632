"""What patterns cannot say about a text: built-ins, each linear in its length and cheap where nothing is wrong."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import re2

from samosa.data.filter import alphabets
from samosa.data.filter.emoji import run_of
from samosa.data.filter.lines import may_repeat, may_repeat_in, runs
from samosa.data.filter.masks import HIDDEN, open_fence
from samosa.data.filter.patterns import Span, options

if TYPE_CHECKING:  # the import takes longer than filtering a small file
    import numpy as np

Find = Callable[[str, str], Iterable[Span]]
"""(what the rule sees of a text, the text itself) -> where it is wrong."""


@dataclass(frozen=True)
class TextCheck:
    """Rejects a text where `find` finds something. It is asked only where `pattern` (RE2) matches, or `suspect` is true
    of what the rule sees (UTF-8); without `find` the pattern alone decides.
    """

    pattern: str | None
    find: Find | None
    suspect: Callable[[bytes], bool] = bool
    ends: Callable[[bytes], list[int]] | None = None
    """The same of many texts at once, each on lines of its own: the end of something in every suspected one."""


def emoji_run(*, times: int) -> TextCheck:
    """So many emoji in a row, with at most one space between two: families, flags and keycaps are one each."""
    return TextCheck(run_of(times), None)


# ---- images

_ALT = r"(?:[^\[\]\n]|\[[^\[\]\n]*\])*"
_NO_ADDRESS = r"[ \t]*(?:[^()./\n]*|[ .…#]*|https?:/{0,2}|n/a|[^()\n:]*placeholder[^()\n:]*)[ \t]*"
_IMAGE = rf"!\[{_ALT}\](?:\({_NO_ADDRESS}\))?"
_EMPTY = rf"!\[{_ALT}\]\({_NO_ADDRESS}\)"
_BEFORE, _BEHIND = r"[\w()\]]", r"[(\[]|\.\w"
"""![words] or ![words](no address). Behind a letter it is a macro, before a bracket or a member something else; in
parentheses only the second is an image."""
_DEFINITION = r"(?m)^ {0,3}\[([^\]\n]+)\]:[ \t]*\S"
_REFERENCE = r"\[[^\[\]\n]*\]"
_ENOUGH = 500  # excused ones in a row: one more that is not would change nothing, for one was found


def image_without_url() -> TextCheck:
    """An image of Markdown that names no address, or a word that stands in for one. References to what the text defines
    are legal, and behind a number in brackets nothing can be told from an index.
    """
    image, definition = re2.compile(f"(?i:{_IMAGE})", options()), re2.compile(_DEFINITION, options())
    before, behind = re.compile(_BEFORE, re.ASCII), re.compile(_BEHIND, re.ASCII)
    reference = re.compile(_REFERENCE)

    def find(words: str, text: str) -> Iterator[Span]:
        defined: set[str] | None = None
        excused, found = 0, False
        for match in image.finditer(words):
            start, end = match.span()
            excused += 1
            if found and excused > _ENOUGH:
                return
            bare = match[0].endswith("]")
            if start and before.match(words, start - 1) and (bare or words[start - 1] != "("):
                continue
            label = match[0][2:-1]
            if bare and (named := reference.match(words, end)) is not None:
                end, label = named.end(), named[0][1:-1] or label
            if behind.match(words, end):
                continue
            if bare:
                if defined is None:
                    defined = {found[1].casefold() for found in definition.finditer(words)}
                if label.casefold() in defined or (end > match.end() and label.isdecimal()):
                    continue
            yield start, end
            excused, found = 0, True

    behind_what = rf"(?:[^(\[.]|{_REFERENCE}|\.(?:\W|\z)|\z)"
    return TextCheck(rf"(?i:(?:(?:\A|[^\w()\]]){_IMAGE}|\({_EMPTY}){behind_what})", find)


# ---- repetition


def repeated_line(*, times: int, shortest: int, exact: bool) -> TextCheck:
    """The same line `times` times in a row, at least `shortest` characters long. Unless `exact`, ASCII's blanks
    around lines do not count, nor blank lines between lines of 24 bytes or more, and rulers and rows of tables may
    repeat.
    """

    def find(words: str, text: str) -> Iterator[Span]:
        for start, end, last in runs(words, times, trim=not exact):
            if end - start < shortest or (not exact and not _says_something(words[start:end])):
                continue
            if HIDDEN not in words[start:end]:
                yield start, last
            else:  # lines of hidden code are equal only if the code is
                for first, _, end_of_last in runs(text[start:last], times, trim=not exact):
                    yield start + first, start + end_of_last

    trim = not exact
    return TextCheck(None, find, may_repeat(times, trim=trim), may_repeat_in(times, trim=trim))


def _says_something(line: str) -> bool:
    """Whether a line is more than code, a ruler, brackets, or the row of a table."""
    return line.strip(HIDDEN) != "" and any(map(str.isalnum, line)) and not (line[0] == line[-1] == "|")


def looped_text(*, times: int, longest: int) -> TextCheck:
    """A phrase of up to `longest` words, repeated `times` times without a break, twice that often for a single word."""

    def find(words: str, text: str) -> Iterator[Span]:
        tokens = words.split()
        if len(tokens) < 2 * times:
            return
        import numpy as np

        numbers: dict[str, int] = {}
        ids = np.fromiter((numbers.setdefault(token, len(numbers)) for token in tokens), np.int64, len(tokens))
        for period in range(1, min(longest, len(tokens) // times) + 1):
            wanted = period * (times * (2 if period == 1 else 1) - 1)
            for at in _runs_of_true(ids[period:] == ids[:-period], wanted):
                if any(map(str.isalpha, "".join(tokens[at : at + period]))):
                    places = re.finditer(r"\S+", words)
                    spans = list(islice(places, at, at + period + wanted))
                    yield spans[0].start(), spans[-1].end()
                    return

    def suspect(words: bytes) -> bool:
        tokens = words.decode().split()
        return max(Counter(pairwise(tokens)).values(), default=0) >= times - 1

    return TextCheck(None, find, suspect)


def _runs_of_true(flags: "np.ndarray[tuple[int], np.dtype[np.bool_]]", wanted: int) -> list[int]:
    """Where runs of at least `wanted` true values begin."""
    import numpy as np

    breaks = np.concatenate([[-1], np.flatnonzero(~flags), [len(flags)]])
    return [int(breaks[run]) + 1 for run in np.flatnonzero(np.diff(breaks) > wanted)]


# ---- the whole text


def unclosed_fence() -> TextCheck:
    """A fenced block that nothing closes: an answer that was cut off."""

    def find(words: str, text: str) -> Iterator[Span]:
        span = open_fence(text)
        if span is not None:
            yield span

    return TextCheck(None, find, lambda words: b"```" in words or b"~~~" in words)


def non_english(*, share: float, letters: int) -> TextCheck:
    """More than this share of the letters outside code, and at least so many, are of another script than Latin. Other
    languages written in Latin letters pass.
    """

    def find(words: str, text: str) -> Iterator[Span]:
        latin, other = alphabets.letters(words)
        if other >= letters and other > share * (latin + other):
            yield 0, len(text)

    return TextCheck(None, find, lambda words: not words.isascii())


TEXT_BUILTINS: dict[str, Callable[..., TextCheck]] = {
    "emoji_run": emoji_run,
    "image_without_url": image_without_url,
    "looped_text": looped_text,
    "non_english": non_english,
    "repeated_line": repeated_line,
    "unclosed_fence": unclosed_fence,
}
