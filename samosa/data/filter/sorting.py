"""The loop: lines in, lines and why they are rejected out."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from samosa.data.filter.layouts import Broken, Message, decode, messages_of, plain_answers
from samosa.data.filter.matcher import Group, Matcher, compiled
from samosa.data.filter.patterns import TimedOut
from samosa.data.filter.rules import RuleSet
from samosa.data.filter.structure import row_of

MOST_SPANS = 32
"""Spans told of one rule in one row: an adversarial row has as many as characters."""
EXCERPT = 160  # characters of a match that are told


class Reason(NamedTuple):
    """Why a row is rejected. `turn` counts messages from 0; `start` and `end` are characters of that message's text
    (see `layouts.Message`), None where the whole of it is meant.
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
    """Characters of the answers."""
    reasons: tuple[Reason, ...]
    broken: str | None
    """Why it is no conversation."""


def sort_lines(rules: RuleSet, lines: Iterable[tuple[int, bytes]]) -> Iterator[Judged]:
    """Judge (where, line) pairs, in order. Nothing a line says raises: it is kept, rejected or broken."""
    matcher = compiled(rules)
    made = tuple.__new__
    for where, line in lines:
        try:
            row = orjson.loads(line)
            answers = None if matcher.row_checks or b"\\u0000" in line else plain_answers(row)
            if answers is None:
                length, reasons = _judge(matcher, messages_of(row))
                yield made(Judged, (where, line, length, reasons, None))
                continue
        except orjson.JSONDecodeError:
            yield _odd(matcher, where, line)
            continue
        except Broken as broken:
            yield made(Judged, (where, line, 0, (), str(broken)))
            continue
        length, bad = _bad(matcher, answers)
        reasons = _judge(matcher, messages_of(row))[1] if bad else ()
        yield made(Judged, (where, line, length, reasons, None))


def judge(rules: RuleSet, row: Any) -> tuple[Reason, ...]:
    """Why a decoded row of any layout is rejected; empty for a good one. Raises ValueError for no conversation."""
    try:
        return _judge(compiled(rules), messages_of(row))[1]
    except Broken as broken:
        raise ValueError(str(broken)) from None


def _odd(matcher: Matcher, where: int, line: bytes) -> Judged:
    """A line that is no plain JSON: perhaps with a byte order mark, most likely broken."""
    try:
        length, reasons = _judge(matcher, messages_of(decode(line)))
    except Broken as broken:
        return Judged(where, line, 0, (), str(broken))
    return Judged(where, line, length, reasons, None)


def _bad(matcher: Matcher, answers: list[str]) -> tuple[int, bool]:
    """The characters of the answers, and whether any rule rejects them."""
    if matcher.joined and len(answers) != 1:
        answers = ["\n".join(answers)]
    length = sum(map(len, answers))
    if length < matcher.shortest:
        return length, True
    for group in matcher.groups:
        if group.everyone:
            return length, True
        for text in answers:
            if group.hits(text) is not None:
                return length, True
    return length, False


def _judge(matcher: Matcher, messages: list[Message]) -> tuple[int, tuple[Reason, ...]]:
    """The characters of the answers, and every reason against them."""
    reasons: list[Reason] = []
    said = [(turn, m.text) for turn, m in enumerate(messages) if m.role == "assistant"]
    length = sum(len(text) for _, text in said) + (max(0, len(said) - 1) if matcher.joined else 0)
    for rule in matcher.length_rules:
        if length < int((rule.args or {})["at_least"]):
            reasons.append(Reason(rule.name, said[-1][0] if said else len(messages) - 1, f"{length} characters"))
    for group in matcher.groups:
        heard = [(turn, m.text) for turn, m in enumerate(messages)] if group.everyone else said
        if matcher.joined:
            joined = "\n".join(text for _, text in heard)
            for slot in group.hits(joined) or ():
                for start, end in _first(group.spans(slot, joined)):
                    turn, shift = _turn_at(heard, start)
                    reasons.append(_reason(group, slot, turn, start - shift, end - shift, joined[start:end]))
            continue
        for turn, text in heard:
            try:
                for slot in group.hits(text) or ():
                    for start, end in _first(group.spans(slot, text)):
                        reasons.append(_reason(group, slot, turn, start, end, text[start:end]))
            except TimedOut as late:
                reasons.append(Reason("timeout", turn, str(late)))
    if matcher.row_checks:
        row = row_of(messages)
        for rule, check in matcher.row_checks:
            reasons += [Reason(rule.name, turn, why) for turn, why in check(row)]
    return length, tuple(reasons)


def _first(spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for _, span in zip(range(MOST_SPANS), spans, strict=False):
        yield span


def _reason(group: Group, slot: int, turn: int, start: int, end: int, words: str) -> Reason:
    rule = group.rules[slot]
    return Reason(rule.name, turn, rule.why, start, end, words[:EXCERPT])


def _turn_at(heard: list[tuple[int, str]], place: int) -> tuple[int, int]:
    """The turn that a place of the joined text lies in, and where that turn begins in it."""
    shift = 0
    for turn, text in heard:
        if place <= shift + len(text):
            return turn, shift
        shift += len(text) + 1
    raise AssertionError("a match lies behind the end")
