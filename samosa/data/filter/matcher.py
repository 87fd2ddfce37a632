"""Rules compiled: one RE2 set for all patterns of a scope, so that a text is read once whatever the number of rules."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import re2

from samosa.data.filter.answers import COUNTS, RowCheck, visible
from samosa.data.filter.builtins import TEXT_BUILTINS, TextCheck
from samosa.data.filter.folding import FOLDED, Places, fold
from samosa.data.filter.masks import hide
from samosa.data.filter.patterns import Finder, Span, finder, inline, options, searcher
from samosa.data.filter.rules import Rule, RuleSet
from samosa.data.filter.screen import Look, Screen, Seen
from samosa.errors import BadInput

Good = Callable[[list[str]], int | Seen | None]
"""The answers of a row -> their characters. Where some rule may reject it: what was seen of its only text, if that is
long enough and has no other group of rules to pass, else None."""


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
    patterns: tuple[str, ...]
    search: Callable[[bytes], list[int] | None]
    slots: tuple[int, ...]
    always: tuple[int, ...]

    def see(self, text: str) -> Seen:
        """Look for all that the rules forbid in a text."""
        words = hide(text) if self.prose else text
        data = words.encode()
        suspected = [slot for slot in self.always if self.checks[slot].suspect(data)] if self.always else ()
        return Seen(words, self.search(data) or (), suspected)

    def against(self, text: str, seen: Seen) -> list[tuple[Rule, Iterable[Span]]]:
        """The rules that may reject a text, each with the spans that say whether it does, in the order of the rules.

        Taking a span raises TimedOut where a rule may not take longer.
        """
        words, ids, suspected, until = seen
        folded, places = words, None
        if self.prose and 0 in ids:
            folded, places = fold(words)
            ids, until = self.search(folded.encode()) or (), ()
        ends = until or [sys.maxsize] * len(ids)
        matched = {slot: end for index, end in zip(ids, ends, strict=True) if (slot := self.slots[index]) >= 0}
        found: list[tuple[Rule, Iterable[Span]]] = []
        for slot in sorted([*matched, *suspected]):
            finder = self.finders[slot]
            if slot in suspected:
                spans = finder(words, text)
            elif isinstance(finder, Finder):
                spans = finder.within(folded, matched[slot])
            else:
                spans = finder(folded, text)
            if places is not None and slot not in suspected:
                spans = _placed(spans, places)
            found.append((self.rules[slot], spans))
        return found


def _placed(spans: Iterable[Span], places: Places) -> Iterator[Span]:
    """Spans of a folded text as spans of the text itself."""
    for start, end in spans:
        yield int(places[start]), int(places[end])


def _good(groups: Sequence[Group], joined: bool, shortest: int, shortest_answer: int) -> Good:
    def good(answers: list[str]) -> int | Seen | None:
        if shortest_answer and any(len(visible(text)) < shortest_answer for text in answers):
            return None
        if joined and len(answers) != 1:
            answers = ["\n".join(answers)]
        length = sum(map(len, answers))
        if length < shortest:
            return None
        for text in answers:
            for group in groups:
                seen = group.see(text)
                if seen.ids or seen.suspected:
                    return seen if len(answers) == len(groups) == 1 else None
        return length

    return good


@dataclass(frozen=True)
class Matcher:
    """A compiled rule set."""

    joined: bool
    groups: tuple[Group, ...]
    row_checks: tuple[tuple[Rule, RowCheck], ...]
    shortest: int
    shortest_answer: int
    plain: bool
    """Whether strings alone can decide: no rule reads other speakers or the parts of an answer."""

    @cached_property
    def good(self) -> Good:
        """What tells of one row whether it is good."""
        return _good(self.groups, self.joined, self.shortest, self.shortest_answer)

    @cached_property
    def screen(self) -> Screen | None:
        """What tells of many rows at once which are good; None where some rule has to read each."""
        looks = []
        for group in self.groups:
            others = [(slot, ends) for slot in group.always if (ends := group.checks[slot].ends) is not None]
            if len(others) < len(group.always):
                return None
            looks.append(Look(group.prose, group.patterns, tuple(others)))
        return Screen(looks, joined=self.joined, shortest=self.shortest, shortest_answer=self.shortest_answer)


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
    return Matcher(rules.joined, tuple(groups), tuple(rows), shortest, shortest_answer, plain)


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
    search = searcher(patterns)
    return Group(everyone, prose, rules, checks, finders, tuple(patterns), search, tuple(slots), always)


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
