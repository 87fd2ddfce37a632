"""Patterns: RE2, which takes linear time whatever the text, or `regex` under a timeout where a rule needs more."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import re2

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


def _in_characters(data: bytes, found: Iterable[Span]) -> Iterator[Span]:
    """Spans of UTF-8, which do not overlap, as spans of its characters."""
    done = count = 0  # bytes, and characters in them
    for start, end in found:
        if start == end < len(data) and data[start] & 0xC0 == 0x80:
            continue  # nothing, found within a character
        first = count + len(data[done:start].decode())
        count = first + len(data[start:end].decode())
        done = end
        yield first, count


class Finder:
    """Finds where a rule's pattern matches, or its group that did, and `unless` does not begin first."""

    def __init__(self, pattern: Any, unless: Any | None) -> None:
        self.pattern, self.unless = pattern, unless
        self._grouped = pattern.groups > 0

    def __call__(self, words: str, text: str) -> Iterable[Span]:
        return self.within(words, sys.maxsize)

    def within(self, words: str, until: int) -> Iterable[Span]:
        """The spans; no match ends behind `until` (of UTF-8)."""
        data = words.encode()  # places in a str take RE2's wrapper twice as long to find
        found = _spans(self.pattern, data, self._grouped, until)
        if not words.isascii():
            found = _in_characters(data, found)
        if self.unless is None:
            return found
        excused = _spans(self.unless, data, self.unless.groups > 0, sys.maxsize)
        return _unexcused(found, excused if words.isascii() else _in_characters(data, excused), len(words))


def _spans(pattern: Any, data: bytes, grouped: bool, until: int) -> Iterator[Span]:
    for match in pattern.finditer(data):
        span = match.span(match.lastindex or 0) if grouped else match.span()
        yield span
        if (match.end() if grouped else span[1]) >= until:
            return


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
    assert rule.pattern is not None, "a rule of patterns"
    patterns = [inline(pattern, rule.flags or "") for pattern in (rule.pattern, rule.unless) if pattern is not None]
    if rule.engine == "regex" and rule.timeout is not None:
        import regex  # takes longer than filtering a small file

        with _compiling(rule, regex.error):
            found = [regex.compile(pattern, regex.V1) for pattern in patterns]
        return Backtracking(found[0], found[1] if rule.unless is not None else None, rule.timeout)
    with _compiling(rule, re2.error):
        found = [re2.compile(pattern, options()) for pattern in patterns]
    return Finder(found[0], found[1] if rule.unless is not None else None)


@contextlib.contextmanager
def _compiling(rule: Rule, error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except error as wrong:
        reason = wrong.args[0].decode() if isinstance(wrong.args[0], bytes) else str(wrong)
        raise BadInput(
            f"rule {rule.name}: {reason}",
            hint='RE2 syntax: https://github.com/google/re2/wiki/Syntax; back-references take engine = "regex"',
        ) from None
