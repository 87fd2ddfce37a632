"""Tells at a glance that most rows are good: many answers are looked at together, by Hyperscan and without a loop.

What it is not sure of is looked at again, text by text, by RE2 and the built-ins: they decide, and this spares them
nine texts of ten. Hyperscan takes 0.9 us for 1.2 kB of text where RE2 takes 2.4, but long to read the patterns, and
where they are many, longer than RE2 for the text; so it is asked for few patterns where there is text enough.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from operator import add
from typing import Any, NamedTuple

from samosa.data.filter.answers import visible
from samosa.data.filter.lines import LONG, many_short
from samosa.data.filter.loosen import Unsure, loosened
from samosa.data.filter.masks import hide

Ends = Callable[[bytes], list[int]]
"""Texts, each on lines of its own -> ends of what may be wrong: one at least in every text where something is."""
Matches = Callable[[bytes], list[tuple[int, int]] | None]
"""The same of many patterns: ends, and the place of the pattern; None for too many."""

LONGEST = 1 << 13
"""Characters of a text from which on Hyperscan is not asked: what nearly matches takes it ten times as long."""
READ = 20_000
"""Bytes of text in which it saves what reading a character of a pattern takes: 2 ms a MB, and 45 us."""
MOST_PATTERN = 4_000
"""Characters of all patterns beyond which RE2 is quicker. With what is around it RE2 takes 6.4 ms a MB and Hyperscan
4.3 for the 450 of `roadmap`, 10 and 17 for the 22,000 of `default`."""
MOST_MATCHES = 4096  # in a block of text: where there are more, RE2 is quicker


class Seen(NamedTuple):
    """A text as a group of rules sees it, and what may be wrong with it."""

    words: str
    """With code hidden, for rules about prose."""
    ids: Sequence[int]
    """Patterns that may match, by their place in the group's set."""
    suspected: Sequence[int]
    """Rules that no pattern can rule out, and that do not rule themselves out."""
    until: Sequence[int] = ()
    """Of each of the patterns where its last match ends, at most; nothing where that is not known."""


@dataclass(frozen=True)
class Look:
    """What a group of rules seeks in answers, in all of their text or in prose only: patterns of RE2, and by rules what
    tells of built-ins."""

    prose: bool
    patterns: tuple[str, ...]
    others: tuple[tuple[int, Ends], ...]


class Screen:
    """What tells good rows for a rule set: its looks, and the least characters of a row and of what is visible of each
    of its answers.
    """

    def __init__(self, looks: Sequence[Look], *, joined: bool, shortest: int, shortest_answer: int) -> None:
        self._looks, self._joined = looks, joined
        self._shortest, self._shortest_answer = shortest, shortest_answer
        simple = joined and not shortest_answer  # the length of all that is said decides
        self._usual, self._usual_until = max(1, shortest), LONG if simple else 0  # most rows; 0 leaves none
        self._patterns = [_loosened(look) for look in looks]
        self._seekers: list[tuple[Look, Matches | None]] = []
        self._able: bool | None = None

    @property
    def readable(self) -> bool:
        """Whether all patterns can be told to Hyperscan."""
        return None not in self._patterns

    def ready(self) -> bool:
        """Have Hyperscan read the patterns, once; whether it can."""
        if self._able is None:
            self._able = self._read()
        return self._able

    def good(self, rows: Sequence[list[str] | None]) -> tuple[list[int], dict[int, Seen]]:
        """Rows by their answers (None where a row is to be read with care) -> for each the characters of its answers
        where no rule can reject it, else -1; and what was seen of some of those. It has to be `ready`.
        """
        texts = ["\n".join(said) if said else "" for said in rows]
        lengths = list(map(len, texts))
        for place in [place for place, length in enumerate(lengths) if not self._usual <= length < self._usual_until]:
            lengths[place] = self._length(rows[place], texts[place])
        heard = [place for place, length in enumerate(lengths) if length >= 0]
        seen = self._seen(heard, list(map(texts.__getitem__, heard)), rows) if heard else {}
        for place in seen:
            lengths[place] = -1
        return lengths, {place: found for place, found in seen.items() if found is not None}

    def _read(self) -> bool:
        for look, patterns in zip(self._looks, self._patterns, strict=True):
            matches = _matches(patterns) if patterns else None
            if look.patterns and matches is None:
                return False
            self._seekers.append((look, matches))
        return True

    def _length(self, said: list[str] | None, text: str) -> int:
        """Characters of a row's answers, if it is one to look at: neither short nor long, of no tiny lines."""
        if not said:
            return -1
        length = len(text)
        if length >= LONG and (length >= LONGEST or many_short(length, text.count("\n"))):
            return -1
        if not self._joined:
            length -= len(said) - 1
        if length < self._shortest:
            return -1
        if self._shortest_answer and any(len(visible(one)) < self._shortest_answer for one in said):
            return -1
        return length

    def _seen(
        self, heard: Sequence[int], texts: Sequence[str], rows: Sequence[list[str] | None]
    ) -> dict[int, Seen | None]:
        """Rows that a rule may reject, of those heard with their texts; and what was seen, where a row has one text for
        one look.
        """
        found: dict[int, Seen | None] = {}
        for look, matches in self._seekers:
            words = texts
            if look.prose:
                words = [self._prose(text, rows[place] or []) for text, place in zip(texts, heard, strict=True)]
            encoded = list(map(str.encode, words))
            until = list(map(add, accumulate(map(len, encoded)), count(1)))
            data = b"\n".join([*encoded, b""])
            if (matched := matches(data) if matches is not None else []) is None:
                return dict.fromkeys(heard)
            hits: dict[int, tuple[dict[int, int], set[int]]] = {}
            for end, pattern in matched:
                last = hits.setdefault(bisect_left(until, end), ({}, set()))[0]
                last[pattern] = max(end, last.get(pattern, 0))
            for slot, ends in look.others:
                for end in ends(data):
                    hits.setdefault(bisect_left(until, end), ({}, set()))[1].add(slot)
            for index, (last, suspected) in hits.items():
                place, begins = heard[index], until[index] - len(encoded[index]) - 1
                if len(self._looks) > 1 or not (self._joined or len(rows[place] or []) == 1):
                    found[place] = None
                    continue
                ids = sorted(last)
                found[place] = Seen(words[index], ids, sorted(suspected), [last[one] - begins for one in ids])
        return found

    def _prose(self, text: str, said: list[str]) -> str:
        return hide(text) if self._joined or len(said) == 1 else "\n".join(map(hide, said))


def _loosened(look: Look) -> list[str] | None:
    """A look's patterns for Hyperscan; None where it has one that is not read."""
    try:
        return [loosened(pattern) for pattern in look.patterns]
    except Unsure:
        return None


def _matches(patterns: Sequence[str]) -> Matches | None:
    """What finds matches of loosened patterns; None where Hyperscan takes no such patterns, or does not run here."""
    try:
        import hyperscan
    except ImportError:  # no wheel for this machine
        return None
    database: Any = hyperscan.Database()
    flags = hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_UTF8
    try:
        database.compile(expressions=[pattern.encode() for pattern in patterns], flags=[flags] * len(patterns))
    except hyperscan.error:
        return None
    found: list[tuple[int, int]] = []

    def note(pattern: int, _start: int, end: int, _flags: int, _context: object) -> bool:
        found.append((end, pattern))
        return len(found) > MOST_MATCHES  # whether that is enough

    def matches(texts: bytes) -> list[tuple[int, int]] | None:
        found.clear()
        try:
            database.scan(texts, match_event_handler=note)
        except hyperscan.ScanTerminated:
            return None
        return found

    return matches
