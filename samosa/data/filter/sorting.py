"""The loop: lines in, lines and why they are rejected out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import orjson

from samosa.data.filter.answers import Row
from samosa.data.filter.layouts import Broken, Message, decode, messages_of, plain_answers, plain_messages
from samosa.data.filter.matcher import Group, Matcher, compiled
from samosa.data.filter.patterns import TimedOut
from samosa.data.filter.rules import RuleSet

MOST_SPANS = 32
"""Spans told of one rule in one text: an adversarial row has as many as characters."""
EXCERPT = 160  # characters of a match that are told


class Reason(NamedTuple):
    """Why a row is rejected. `turn` counts messages from 0; `start` and `end` are characters of that message's text
    (see `layouts.Message`), None where the whole of it is meant. A rule that ran out of time is `<rule>:timeout`.
    """

    rule: str
    turn: int
    why: str
    start: int | None = None
    end: int | None = None
    excerpt: str = ""


class Judged(NamedTuple):
    """A line and what became of it: kept where there are no reasons and it is not broken."""

    where: int
    """As it was given: a byte offset or a row number."""
    line: bytes
    length: int
    """Characters of the answers, thinking included; of a joined rule set, the line breaks between them, too."""
    reasons: tuple[Reason, ...]
    broken: str | None
    """Why it is no conversation."""
    messages: Sequence[Message] = ()
    """Of a rejected row."""


class Suspect(NamedTuple):
    """A row that a rule may reject, or of an unusual layout: it is to be judged with care."""

    row: Any
    """Decoded; None where it was not looked at, or is no JSON."""
    plain: bool
    """Whether it has `plain_messages`."""
    found: list[int] | None
    """Patterns found in its only text, by their place in its rules' only set; None where more has to be looked at."""


class Sorter:
    """Judges lines, one at a time. `quick` reads a line and counts the characters of its answers where no rule can
    reject it; -1 says that it is to be judged with care, which takes several times as long, and that it is the last of
    `suspects`.
    """

    def __init__(self, rules: RuleSet) -> None:
        self._matcher = matcher = compiled(rules)
        self.suspects: list[Suspect] = []
        self.quick = _quick(matcher, self.suspects.append)

    def judge(self, where: int, line: bytes, suspect: Suspect) -> Judged:
        """Judge a suspect with care. Nothing that it says raises: it is kept, rejected or broken."""
        try:
            if suspect.plain:
                messages = plain_messages(suspect.row)
            else:
                messages = messages_of(decode(line) if suspect.row is None else suspect.row)
            return _judged(self._matcher, where, line, messages, suspect.found)
        except Broken as broken:
            return Judged(where, line, 0, (), str(broken))


def sort_lines(rules: RuleSet, lines: Iterable[tuple[int, bytes]]) -> Iterator[Judged]:
    """Judge (where, line) pairs, in order. Nothing a line says raises: it is kept, rejected or broken."""
    sorter = Sorter(rules)
    for where, line in lines:
        if (length := sorter.quick(line)) >= 0:
            yield Judged(where, line, length, (), None)
        else:
            yield sorter.judge(where, line, sorter.suspects.pop())


def judge(rules: RuleSet, row: Any) -> tuple[Reason, ...]:
    """Why a decoded row of any layout is rejected; empty for a good one. Raises ValueError for no conversation."""
    try:
        return _reasons(compiled(rules), messages_of(row))
    except Broken as broken:
        raise ValueError(str(broken)) from None


def _quick(matcher: Matcher, suspected: Callable[[Suspect], None]) -> Callable[[bytes], int]:
    loads, good, unread = orjson.loads, matcher.good, Suspect(None, plain=False, found=None)

    def quick(line: bytes) -> int:
        try:
            row = loads(line)
        except orjson.JSONDecodeError:
            suspected(unread)
            return -1
        answers = plain_answers(row)
        if answers is None:
            suspected(Suspect(row, plain=False, found=None))
            return -1
        found = good(answers)
        if isinstance(found, int):
            return found
        suspected(Suspect(row, plain=True, found=found))
        return -1

    def unreadable(line: bytes) -> int:
        suspected(unread)
        return -1

    return quick if matcher.plain else unreadable


def _judged(matcher: Matcher, where: int, line: bytes, messages: list[Message], found: list[int] | None) -> Judged:
    """Judge the messages of a row with care. Raises Broken for no conversation."""
    lengths = [len(message.text) for message in messages if message.role == "assistant"]
    length = sum(lengths) + (max(0, len(lengths) - 1) if matcher.joined else 0)
    return Judged(where, line, length, _reasons(matcher, messages, found), None, messages)


def _reasons(matcher: Matcher, messages: list[Message], found: list[int] | None = None) -> tuple[Reason, ...]:
    """Every reason against the messages of a row; `found` as in a Suspect."""
    reasons: list[Reason] = []
    row = Row(messages)
    for rule, check in matcher.row_checks if found is None else ():
        reasons += [Reason(rule.name, turn, why) for turn, why in check(row)]
    for group in matcher.groups:
        heard = [(turn, m.text) for turn, m in enumerate(messages) if group.everyone or m.role == "assistant"]
        if matcher.joined and len(heard) > 1:
            _add_reasons(group, "\n".join(text for _, text in heard), heard, found, reasons)
        else:
            for turn in heard:
                _add_reasons(group, turn[1], [turn], found, reasons)
    return tuple(reasons)


def _add_reasons(
    group: Group, text: str, heard: list[tuple[int, str]], found: list[int] | None, reasons: list[Reason]
) -> None:
    """Add the reasons of a group of rules against a text, which is that of the turns `heard`."""
    for rule, spans in group.against(text, found):
        try:
            for start, end in islice(spans, MOST_SPANS):
                turn, first, last = _place(heard, start, end)
                reasons.append(Reason(rule.name, turn, rule.why, first, last, text[start : min(end, start + EXCERPT)]))
        except TimedOut as late:
            reasons.append(Reason(f"{rule.name}:timeout", heard[0][0], str(late)))


def _place(heard: list[tuple[int, str]], start: int, end: int) -> tuple[int, int, int]:
    """The turn where a span of the joined turns begins, and its place there: it ends there at most."""
    for turn, text in heard[:-1]:
        if start <= len(text):
            return turn, start, min(end, len(text))
        start, end = start - len(text) - 1, end - len(text) - 1
    return heard[-1][0], start, end
