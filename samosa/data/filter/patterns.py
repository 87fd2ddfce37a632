"""Patterns: RE2, which takes linear time whatever the text, or `regex` under a timeout where a rule needs more."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2
import regex

from samosa.data.filter.rules import Rule
from samosa.errors import BadInput

MEMORY = 64 << 20  # bytes for a set's automaton: enough never to be short of it, and flat
Span = tuple[int, int]


class TimedOut(Exception):
    """A text took `regex` longer than its rule allows."""


def options() -> re2.Options:
    """How every RE2 pattern is compiled."""
    chosen = re2.Options()
    chosen.max_mem = MEMORY
    chosen.log_errors = False  # errors are ours to tell
    return chosen


def inline(pattern: str, flags: str) -> str:
    """The pattern with its flags written into it, as a set needs them."""
    pattern = "".join(line.strip() for line in pattern.splitlines()) if "\n" in pattern else pattern
    return f"(?{flags}:{pattern})" if flags else f"(?:{pattern})"


def searcher(patterns: list[str]) -> Any:
    """bytes -> the indexes of all patterns found in it, ascending, or None; the text is read once."""
    if not patterns:
        return _nothing
    every = re2.Set.SearchSet(options())
    for pattern in patterns:
        every.Add(pattern)
    every.Compile()
    return every.Match


def _nothing(text: bytes) -> None:
    """What a set without patterns finds."""


def spans(pattern: Any, text: str) -> Iterator[Span]:
    """Where a compiled RE2 pattern matches, in characters: the group that matched, if it has groups."""
    grouped = pattern.groups
    # bytes of ASCII are characters, and finding places in them is cheaper
    for match in pattern.finditer(text.encode() if text.isascii() else text):
        yield match.span(match.lastindex or 0) if grouped else match.span()


@dataclass(frozen=True)
class Finder:
    """Finds where a rule's pattern matches and `unless` does not begin first."""

    pattern: Any
    unless: Any | None

    def __call__(self, words: str, text: str) -> Iterator[Span]:
        found = spans(self.pattern, words)
        return found if self.unless is None else _unexcused(found, spans(self.unless, words), len(words))


def _unexcused(found: Iterator[Span], excused: Iterator[Span], length: int) -> Iterator[Span]:
    """Those spans that begin in none of the others."""
    begin, end = next(excused, (length + 1, 0))
    for start, stop in found:
        while end <= start and begin <= start:
            begin, end = next(excused, (length + 1, 0))
        if not begin <= start:
            yield start, stop


@dataclass(frozen=True)
class Backtracking:
    """Finds by the `regex` package. Raises TimedOut after `timeout` seconds."""

    pattern: Any
    unless: Any | None
    timeout: float

    def __call__(self, words: str, text: str) -> Iterator[Span]:
        try:
            excused = [m.span() for m in self.unless.finditer(words, timeout=self.timeout)] if self.unless else []
            for match in self.pattern.finditer(words, timeout=self.timeout):
                if not any(start <= match.start() < end for start, end in excused):
                    yield match.span()
        except TimeoutError:
            raise TimedOut(f"no answer within {self.timeout:g} s") from None


def finder(rule: Rule) -> Finder | Backtracking:
    """What finds a rule's matches. Raises BadInput, with the engine's reason, for a pattern that does not compile."""
    try:
        if rule.engine == "regex" and rule.timeout is not None:
            given, unless = (
                regex.compile(inline(p, rule.flags or ""), regex.V1) if p is not None else None
                for p in (rule.pattern, rule.unless)
            )
            return Backtracking(given, unless, rule.timeout)
        given, unless = (
            re2.compile(inline(p, rule.flags or ""), options()) if p is not None else None
            for p in (rule.pattern, rule.unless)
        )
        return Finder(given, unless)
    except (re2.error, regex.error) as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise BadInput(
            f"rule {rule.name}: {reason}",
            hint='RE2 syntax: https://github.com/google/re2/wiki/Syntax; back-references take engine = "regex"',
        ) from None
