"""The loop: lines in, lines and why they are rejected out."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import orjson

from samosa.data.filter.answers import Row
from samosa.data.filter.layouts import Broken, Message, decode, messages_of, plain_answers
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


class Sorter:
    """Judges lines, one at a time. `quick` reads a line and counts the characters of its answers where no rule can
    reject it; -1 says that it is to be judged with care, which takes several times as long.
    """

    def __init__(self, rules: RuleSet) -> None:
        self._matcher = matcher = compiled(rules)
        self.quick = _quick(matcher)

    def judge(self, where: int, line: bytes) -> Judged:
        """Judge a line with care. Nothing that it says raises: it is kept, rejected or broken."""
        try:
            return _judged(self._matcher, where, line, decode(line))
        except Broken as broken:
            return Judged(where, line, 0, (), str(broken))


def sort_lines(rules: RuleSet, lines: Iterable[tuple[int, bytes]]) -> Iterator[Judged]:
    """Judge (where, line) pairs, in order. Nothing a line says raises: it is kept, rejected or broken."""
    sorter = Sorter(rules)
    for where, line in lines:
        if (length := sorter.quick(line)) >= 0:
            yield Judged(where, line, length, (), None)
        else:
            yield sorter.judge(where, line)


def judge(rules: RuleSet, row: Any) -> tuple[Reason, ...]:
    """Why a decoded row of any layout is rejected; empty for a good one. Raises ValueError for no conversation."""
    try:
        return _reasons(compiled(rules), messages_of(row))
    except Broken as broken:
        raise ValueError(str(broken)) from None


def _quick(matcher: Matcher) -> Callable[[bytes], int]:
    loads, good = orjson.loads, matcher.good

    def quick(line: bytes) -> int:
        try:
            answers = plain_answers(loads(line))
        except orjson.JSONDecodeError:
            return -1
        return -1 if answers is None else good(answers)

    return quick if matcher.plain else lambda line: -1


def _judged(matcher: Matcher, where: int, line: bytes, row: Any) -> Judged:
    """Judge a decoded row with care: it is rejected, or of an unusual layout. Raises Broken for no conversation."""
    messages = messages_of(row)
    lengths = [len(message.text) for message in messages if message.role == "assistant"]
    length = sum(lengths) + (max(0, len(lengths) - 1) if matcher.joined else 0)
    return Judged(where, line, length, _reasons(matcher, messages), None)


def _reasons(matcher: Matcher, messages: list[Message]) -> tuple[Reason, ...]:
    """Every reason against the messages of a row."""
    reasons: list[Reason] = []
    row = Row(messages)
    for rule, check in matcher.row_checks:
        reasons += [Reason(rule.name, turn, why) for turn, why in check(row)]
    for group in matcher.groups:
        heard = [(turn, m.text) for turn, m in enumerate(messages) if group.everyone or m.role == "assistant"]
        if matcher.joined and len(heard) > 1:
            reasons += _of_joined(group, heard)
        else:
            for turn, text in heard:
                reasons += _of_text(group, turn, text)
    return tuple(reasons)


def _of_text(group: Group, turn: int, text: str) -> list[Reason]:
    """The reasons of a group of rules against one text."""
    reasons = []
    for rule, spans in group.against(text):
        try:
            for start, end in islice(spans, MOST_SPANS):
                reasons.append(Reason(rule.name, turn, rule.why, start, end, text[start:end][:EXCERPT]))
        except TimedOut as late:
            reasons.append(Reason(f"{rule.name}:timeout", turn, str(late)))
    return reasons


def _of_joined(group: Group, heard: list[tuple[int, str]]) -> Iterator[Reason]:
    """The reasons against all texts as one; each span lies in the turn where it begins, and ends there at most."""
    for reason in _of_text(group, 0, "\n".join(text for _, text in heard)):
        shift = 0
        for turn, text in heard:
            if reason.start is not None and reason.end is not None and reason.start <= shift + len(text):
                end = min(reason.end - shift, len(text))
                yield reason._replace(turn=turn, start=reason.start - shift, end=end)
                break
            shift += len(text) + 1
        else:
            yield reason
