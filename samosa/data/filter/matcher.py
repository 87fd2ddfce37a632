"""Rules compiled: one RE2 set for all patterns of a scope, so that a text is read once whatever the number of rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from samosa.data.filter.answers import COUNTS, RowCheck, visible
from samosa.data.filter.builtins import TEXT_BUILTINS, TextCheck
from samosa.data.filter.folding import FOLDED, Places, fold
from samosa.data.filter.masks import hide
from samosa.data.filter.patterns import Finder, Span, finder, inline, options, searcher
from samosa.data.filter.rules import Rule, RuleSet
from samosa.errors import BadInput

Good = Callable[[list[str]], int | list[int] | None]
"""The answers of a row -> their characters. Where some rule may reject it: the patterns found in its only text, if that
is long enough and has no other group of rules to pass, else None."""


@dataclass(frozen=True)
class Group:
    """The text rules of one scope. `slots` says of each pattern of the set which rule it belongs to, -1 for the first
    one of prose, which finds what has to be folded; `always` are rules that no pattern can rule out.
    """

    everyone: bool
    prose: bool
    rules: tuple[Rule, ...]
    checks: tuple[TextCheck, ...]
    finders: tuple[Any, ...]
    search: Callable[[bytes], list[int] | None]
    slots: tuple[int, ...]
    always: tuple[int, ...]

    def against(self, text: str, ids: list[int] | None = None) -> Iterator[tuple[Rule, Iterator[Span]]]:
        """The rules that may reject a text, each with the spans that say whether it does, in the order of the rules.
        `ids` are the patterns found in it, if that is known.

        Taking a span raises TimedOut where a rule may not take longer.
        """
        words = hide(text) if self.prose else text
        seen, places = words, None
        data = words.encode()
        ids = (self.search(data) or []) if ids is None else ids
        if self.prose and 0 in ids:
            seen, places = fold(words)
            ids = self.search(seen.encode()) or []
        matched = [slot for index in ids if (slot := self.slots[index]) >= 0]
        suspected = [slot for slot in self.always if self.checks[slot].suspect(data)]
        for slot in sorted(matched + suspected) if suspected else matched:
            if slot in suspected:
                yield self.rules[slot], self.finders[slot](words, text)
            else:
                spans = self.finders[slot](seen, text)
                yield self.rules[slot], spans if places is None else _placed(spans, places)


def _placed(spans: Iterator[Span], places: Places) -> Iterator[Span]:
    """Spans of a folded text as spans of the text itself."""
    for start, end in spans:
        yield int(places[start]), int(places[end])


def _quick(groups: Sequence[Group], joined: bool, shortest: int, shortest_answer: int) -> Good:
    """What judges most rows. Most of a filter's time is here, so there is no look-up in it that can be done before."""
    looks = [(group.prose, group.search, _suspect(group)) for group in groups]

    def good(answers: list[str]) -> int | list[int] | None:
        if joined and len(answers) != 1:
            answers = ["\n".join(answers)]
        length = 0
        for text in answers:
            length += len(text)
            if shortest_answer and len(visible(text)) < shortest_answer:
                return None
            for prose, search, suspect in looks:
                words = hide(text) if prose and ("`" in text or "|" in text or "~" in text) else text
                data = words.encode()
                found = search(data)
                if found is not None or suspect(data):
                    alone = len(answers) == len(looks) == 1 and length >= shortest
                    return (found or []) if alone else None
        return length if length >= shortest else None

    return good


def _suspect(group: Group) -> Callable[[bytes], bool]:
    """Whether a rule that no pattern can rule out may reject a text."""
    suspects = [group.checks[slot].suspect for slot in group.always]

    def suspect(words: bytes) -> bool:
        for one in suspects:  # noqa: SIM110 - any() costs a generator for every text
            if one(words):
                return True
        return False

    return suspects[0] if len(suspects) == 1 else suspect


@dataclass(frozen=True)
class Matcher:
    """A compiled rule set."""

    joined: bool
    groups: tuple[Group, ...]
    row_checks: tuple[tuple[Rule, RowCheck], ...]
    good: Good
    plain: bool
    """Whether strings alone can decide: no rule reads other speakers or the parts of an answer."""


_compiled: dict[tuple[str, ...], Matcher] = {}


def compiled(rules: RuleSet) -> Matcher:
    """The rule set compiled, once a process. Raises BadInput for a pattern or built-in that cannot be."""
    key = (rules.key, *(rule.why for rule in rules.rules))  # reasons carry the sentence
    if key not in _compiled:
        _compiled[key] = _compile(rules)
    return _compiled[key]


def _compile(rules: RuleSet) -> Matcher:
    groups, rows, texts = [], [], []
    for rule in rules.rules:
        if rule.builtin is None or rule.builtin in TEXT_BUILTINS:
            texts.append((rule, _text_check(rule)))
        else:
            rows.append((rule, _row_check(rule, rule.builtin)))
    for everyone in (False, True):
        for prose in (True, False):
            scope = f"{'any' if everyone else 'assistant'} {'prose' if prose else 'all'}"
            inside = [(rule, check) for rule, check in texts if rule.scope == scope]
            if inside:
                groups.append(_group(everyone, prose, inside))
    counted = [(rule.builtin, int((rule.args or {})["at_least"])) for rule, _ in rows if rule.builtin in COUNTS]
    shortest, shortest_answer = (
        max((least for name, least in counted if name == kind), default=0) for kind in ("length", "answer_length")
    )
    plain = len(counted) == len(rows) and not any(group.everyone for group in groups)
    good = _quick(groups, rules.joined, shortest, shortest_answer)
    return Matcher(rules.joined, tuple(groups), tuple(rows), good, plain)


def _group(everyone: bool, prose: bool, inside: list[tuple[Rule, TextCheck]]) -> Group:
    patterns = [FOLDED] if prose else []
    slots = [-1] if prose else []
    for slot, (_, check) in enumerate(inside):
        if check.pattern is not None:
            patterns.append(check.pattern)
            slots.append(slot)
    rules = tuple(rule for rule, _ in inside)
    checks = tuple(check for _, check in inside)
    finders = tuple(check.find or Finder(re2.compile(check.pattern, options()), None) for _, check in inside)
    always = tuple(slot for slot, (_, check) in enumerate(inside) if check.pattern is None)
    return Group(everyone, prose, rules, checks, finders, searcher(patterns), tuple(slots), always)


def _text_check(rule: Rule) -> TextCheck:
    if rule.builtin is not None:
        return _built(rule, TEXT_BUILTINS[rule.builtin])
    find = finder(rule)
    if rule.engine == "regex":
        return TextCheck(None, find)
    assert rule.pattern is not None
    return TextCheck(inline(rule.pattern, rule.flags or ""), find if rule.unless else None)


def _row_check(rule: Rule, builtin: str) -> RowCheck:
    """A check of whole rows. Raises BadInput where no built-in has the name."""
    if builtin in COUNTS:
        return _built(rule, COUNTS[builtin])
    from samosa.data.filter.structure import ROW_BUILTINS  # takes longer than filtering a small file

    if builtin not in ROW_BUILTINS:
        names = ", ".join(sorted([*TEXT_BUILTINS, *COUNTS, *ROW_BUILTINS]))
        raise BadInput(f"rule {rule.name}: there is no builtin {builtin}", hint=f"one of: {names}")
    return _built(rule, ROW_BUILTINS[builtin])


def _built(rule: Rule, factory: Callable[..., Any]) -> Any:
    """The built-in, told its args. Raises BadInput for one too many, one too few and one of the wrong type."""
    args, takes = rule.args or {}, inspect.signature(factory).parameters
    wanted = ", ".join(f"{name} ({parameter.annotation.__name__})" for name, parameter in takes.items())
    fits = args.keys() == takes.keys() and all(
        type(value) is takes[name].annotation or (type(value) is int and takes[name].annotation is float)
        for name, value in args.items()
    )
    if not fits:
        raise BadInput(
            f"rule {rule.name}: {rule.builtin} is told {args or 'nothing'}", hint=f"args: {wanted or 'none'}"
        )
    return factory(**args)
