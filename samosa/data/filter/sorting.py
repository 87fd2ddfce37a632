"""The loop: lines in, lines and why they are rejected out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice
from typing import Any, NamedTuple

import orjson

from samosa.data.filter.answers import Row
from samosa.data.filter.layouts import Broken, Message, answers_of, decode, messages_of, plain_messages
from samosa.data.filter.matcher import Group, Matcher, Seen, compiled
from samosa.data.filter.patterns import TimedOut
from samosa.data.filter.rules import RuleSet
from samosa.data.filter.screen import MOST_PATTERN, READ

MOST_SPANS = 32
"""Spans told of one rule in one text: an adversarial row has as many as characters."""
EXCERPT = 160  # characters of a match that are told
TOGETHER = 64  # lines that are looked at together


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
    row: Any = None
    """Decoded, of one that is not broken."""


class Suspect(NamedTuple):
    """A row that a rule may reject, or of an unusual layout: it is to be judged with care."""

    row: Any
    """Decoded; None where it was not looked at, or is no JSON."""
    plain: bool
    """Whether it has `plain_messages`."""
    seen: Seen | None
    """What was seen of its only text by its rules' only group; None where more has to be looked at."""


_new = tuple.__new__  # makes a NamedTuple in a third of the time that its own takes
_UNREAD = Suspect(None, plain=False, seen=None)
_UNSURE = (0).__gt__  # of a length


class Sorter:
    """Judges lines, many at a time. What `look` does not plainly see to be good is to be judged with care, which takes
    several times as long: those are the `suspects`.
    """

    def __init__(self, rules: RuleSet, *, screened: bool = False) -> None:
        """`screened` by Hyperscan, where it can be: see `pays_to_screen`."""
        self._matcher = matcher = compiled(rules)
        self._screen = matcher.screen if screened and matcher.plain else None
        if self._screen is not None and not self._screen.ready():
            self._screen = None
        self.suspects: list[Suspect] = []

    def look(self, lines: Sequence[bytes]) -> list[int]:
        """For each line the characters of its answers, where no rule can reject it; -1 where it is to be judged with
        care, and then it is the next of `suspects`.
        """
        if not self._matcher.plain:
            self.suspects += [_UNREAD] * len(lines)
            return [-1] * len(lines)
        rows = _decoded(lines)
        answers = answers_of(rows)
        lengths, seen = [-1] * len(lines), dict[int, Seen]()
        if self._screen is not None:
            lengths, seen = self._screen.good(answers)
        for place in compress(range(len(lines)), map(_UNSURE, lengths)):
            said, found = answers[place], seen.get(place)
            if said is None:
                self.suspects.append(Suspect(rows[place], plain=False, seen=None))
                continue
            if found is None:
                checked = self._matcher.good(said)
                if isinstance(checked, int):
                    lengths[place] = checked
                    continue
                found = checked
            self.suspects.append(_new(Suspect, (rows[place], True, found)))
        return lengths

    def judge(self, where: int, line: bytes, suspect: Suspect) -> Judged:
        """Judge a suspect with care. Nothing that it says raises: it is kept, rejected or broken."""
        row = suspect.row
        if suspect.seen is not None:
            return self._judge_only_text(where, line, row, suspect.seen)
        try:
            if suspect.plain:
                messages = plain_messages(row)
            else:
                row = decode(line) if row is None else row
                messages = messages_of(row)
            lengths = [len(message.text) for message in messages if message.role == "assistant"]
            length = sum(lengths) + (max(0, len(lengths) - 1) if self._matcher.joined else 0)
            return Judged(where, line, length, _reasons(self._matcher, messages), None, row)
        except Broken as broken:
            return Judged(where, line, 0, (), str(broken))

    def _judge_only_text(self, where: int, line: bytes, row: Any, seen: Seen) -> Judged:
        """Judge a plain row whose answers are one text for one group of rules, and long enough."""
        messages = row["messages"] if row.__class__ is dict else row
        heard = [(turn, said["content"]) for turn, said in enumerate(messages) if said["role"] == "assistant"]
        text = heard[0][1] if len(heard) == 1 else "\n".join([words for _, words in heard])
        reasons: list[Reason] = []
        _add_reasons(self._matcher.groups[0], text, heard, seen, reasons)
        return _new(Judged, (where, line, len(text), tuple(reasons), None, row))


def pays_to_screen(rules: RuleSet, size: float) -> bool:
    """Whether a process that has so many bytes of text to judge is through with them sooner when it is screened."""
    matcher = compiled(rules)
    characters = sum(len(pattern) for group in matcher.groups for pattern in group.patterns)
    if not matcher.plain or characters > MOST_PATTERN or size <= READ * characters:
        return False
    return matcher.screen is not None and matcher.screen.readable


def sort_lines(rules: RuleSet, lines: Iterable[tuple[int, bytes]], *, screened: bool = False) -> Iterator[Judged]:
    """Judge (where, line) pairs, in order. Nothing a line says raises: it is kept, rejected or broken."""
    sorter, pairs = Sorter(rules, screened=screened), iter(lines)
    while some := list(islice(pairs, TOGETHER)):
        lengths = sorter.look([line for _, line in some])
        suspects = iter(sorter.suspects)
        for (where, line), length in zip(some, lengths, strict=True):
            yield Judged(where, line, length, (), None) if length >= 0 else sorter.judge(where, line, next(suspects))
        sorter.suspects.clear()


def judge(rules: RuleSet, row: Any) -> tuple[Reason, ...]:
    """Why a decoded row of any layout is rejected; empty for a good one. Raises ValueError for no conversation."""
    try:
        return _reasons(compiled(rules), messages_of(row))
    except Broken as broken:
        raise ValueError(str(broken)) from None


def _decoded(lines: Sequence[bytes]) -> list[Any]:
    """Lines as JSON; None for one that is none."""
    try:
        return list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return [_decoded_or_none(line) for line in lines]


def _decoded_or_none(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _reasons(matcher: Matcher, messages: list[Message]) -> tuple[Reason, ...]:
    """Every reason against the messages of a row."""
    reasons: list[Reason] = []
    row = Row(messages)
    for rule, check in matcher.row_checks:
        reasons += [Reason(rule.name, turn, why) for turn, why in check(row)]
    for group in matcher.groups:
        heard = [(turn, m.text) for turn, m in enumerate(messages) if group.everyone or m.role == "assistant"]
        if matcher.joined and len(heard) > 1:
            _add_reasons(group, "\n".join(text for _, text in heard), heard, None, reasons)
        else:
            for one in heard:
                _add_reasons(group, one[1], [one], None, reasons)
    return tuple(reasons)


def _add_reasons(
    group: Group, text: str, heard: list[tuple[int, str]], seen: Seen | None, reasons: list[Reason]
) -> None:
    """Add the reasons of a group of rules against a text, which is that of the turns `heard`."""
    for rule, spans in group.against(text, seen or group.see(text)):
        try:
            for start, end in islice(spans, MOST_SPANS):
                turn, first, last = _place(heard, start, end)
                excerpt = text[start : min(end, start + EXCERPT)]
                reasons.append(_new(Reason, (rule.name, turn, rule.why, first, last, excerpt)))
        except TimedOut as late:
            reasons.append(Reason(f"{rule.name}:timeout", heard[0][0], str(late)))


def _place(heard: list[tuple[int, str]], start: int, end: int) -> tuple[int, int, int]:
    """The turn where a span of the joined turns begins, and its place there: it ends there at most."""
    if len(heard) > 1:
        for turn, text in heard[:-1]:
            if start <= len(text):
                return turn, start, min(end, len(text))
            start, end = start - len(text) - 1, end - len(text) - 1
    return heard[-1][0], start, end
