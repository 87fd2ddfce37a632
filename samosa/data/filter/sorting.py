"""The loop: lines in, lines and why they are rejected out."""

from collections.abc import Iterable, Iterator
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


def sort_lines(rules: RuleSet, lines: Iterable[tuple[int, bytes]]) -> Iterator[Judged]:
    """Judge (where, line) pairs, in order. Nothing a line says raises: it is kept, rejected or broken."""
    matcher = compiled(rules)
    loads, made, good, plain = orjson.loads, tuple.__new__, matcher.good, matcher.plain
    for where, line in lines:
        try:
            row = loads(line)
        except orjson.JSONDecodeError:
            yield _odd(matcher, where, line)
            continue
        answers = plain_answers(row) if plain else None
        if answers is not None and (length := good(answers)) >= 0:
            yield made(Judged, (where, line, length, (), None))
        else:
            yield _judged(matcher, where, line, row)


def judge(rules: RuleSet, row: Any) -> tuple[Reason, ...]:
    """Why a decoded row of any layout is rejected; empty for a good one. Raises ValueError for no conversation."""
    try:
        return _reasons(compiled(rules), messages_of(row))
    except Broken as broken:
        raise ValueError(str(broken)) from None


def _odd(matcher: Matcher, where: int, line: bytes) -> Judged:
    """Judge a line that is no JSON as it stands; it may begin with a byte order mark."""
    try:
        return _judged(matcher, where, line, decode(line))
    except Broken as broken:
        return Judged(where, line, 0, (), str(broken))


def _judged(matcher: Matcher, where: int, line: bytes, row: Any) -> Judged:
    """Judge a row with care: it is rejected, broken or of an unusual layout."""
    try:
        messages = messages_of(row)
        lengths = [len(message.text) for message in messages if message.role == "assistant"]
        length = sum(lengths) + (max(0, len(lengths) - 1) if matcher.joined else 0)
        return Judged(where, line, length, _reasons(matcher, messages), None)
    except Broken as broken:
        return Judged(where, line, 0, (), str(broken))


def _reasons(matcher: Matcher, messages: list[Message]) -> tuple[Reason, ...]:
    """Every reason against the messages of a row."""
    reasons: list[Reason] = []
    row = Row(messages)
    for rule, check in matcher.row_checks:
        reasons += [Reason(rule.name, turn, why) for turn, why in check(row)]
    for group in matcher.groups:
        heard = [(turn, m.text) for turn, m in enumerate(messages) if group.everyone or m.role == "assistant"]
        if matcher.joined:
            reasons += _of_joined(group, heard)
        else:
            reasons += [reason for turn, text in heard for reason in _of_text(group, turn, text)]
    return tuple(reasons)


def _of_text(group: Group, turn: int, text: str) -> Iterator[Reason]:
    """The reasons of a group of rules against one text."""
    for rule, spans in group.against(text):
        try:
            for start, end in islice(spans, MOST_SPANS):
                yield Reason(rule.name, turn, rule.why, start, end, text[start:end][:EXCERPT])
        except TimedOut as late:
            yield Reason(f"{rule.name}:timeout", turn, str(late))


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
