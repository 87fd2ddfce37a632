"""Rules compiled: one RE2 set for all patterns of a scope, so that a text is read once whatever the number of rules."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from samosa.data.filter.builtins import TEXT_BUILTINS, TextCheck
from samosa.data.filter.folding import FOLDED, fold
from samosa.data.filter.masks import hide
from samosa.data.filter.patterns import Finder, Span, TimedOut, finder, inline, options, searcher
from samosa.data.filter.rules import Rule, RuleSet
from samosa.data.filter.structure import ROW_BUILTINS, RowCheck
from samosa.errors import BadInput

LENGTHS = ("length", "answer_length")
"""Built-ins that the loop decides by counting."""


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

    def hits(self, text: str) -> list[int]:
        """The rules that reject a text, by their place in `rules`."""
        words = hide(text) if self.prose else text
        found = []
        seen = words
        ids = self.search(words.encode())
        if ids is not None:
            if self.prose and 0 in ids:
                seen = fold(words)[0]
                ids = self.search(seen.encode()) or []
            found = [slot for i in ids if (slot := self.slots[i]) >= 0 and self._confirms(slot, seen, text)]
        asked = [slot for slot in self.always if self.checks[slot].suspect(words)]
        return found + [slot for slot in asked if self._confirms(slot, words, text)]

    def _confirms(self, slot: int, words: str, text: str) -> bool:
        find = self.checks[slot].find
        try:
            return find is None or next(find(words, text), None) is not None
        except TimedOut:
            return True  # nobody knows, so it is looked at with care

    def spans(self, slot: int, text: str) -> Iterator[Span]:
        """Where in the text a rule that rejects it is broken."""
        words = hide(text) if self.prose else text
        if slot in self.always:
            yield from self.finders[slot](words, text)
            return
        places = None
        if self.prose and not words.isascii():
            words, places = fold(words)
        for start, end in self.finders[slot](words, text):
            yield (start, end) if places is None else (int(places[start]), int(places[end]))


def _suspicion(groups: Sequence[Group]) -> Callable[[str], bool]:
    """Whether a text is to be looked at with care; false for nearly all, and never for one that a rule rejects."""
    sets = [(group.prose, group.search, [group.checks[slot].suspect for slot in group.always]) for group in groups]

    def suspicious(text: str) -> bool:
        for prose, search, suspects in sets:
            words = hide(text) if prose and ("`" in text or "|" in text or "~" in text) else text
            if search(words.encode()) is not None:
                return True
            for suspect in suspects:
                if suspect(words):
                    return True
        return False

    return suspicious


@dataclass(frozen=True)
class Matcher:
    """A compiled rule set."""

    joined: bool
    groups: tuple[Group, ...]
    row_checks: tuple[tuple[Rule, RowCheck], ...]
    shortest: int
    """The least characters that the rules of length ask for."""
    shortest_answer: int
    suspicious: Callable[[str], bool]
    plain: bool
    """Whether strings alone can decide: no rule reads other speakers or the parts of an answer."""


_compiled: dict[str, Matcher] = {}


def compiled(rules: RuleSet) -> Matcher:
    """The rule set compiled, once a process. Raises BadInput for a pattern or built-in that cannot be."""
    if rules.key not in _compiled:
        _compiled[rules.key] = _compile(rules)
    return _compiled[rules.key]


def _compile(rules: RuleSet) -> Matcher:
    groups, rows, texts = [], [], []
    for rule in rules.rules:
        if rule.builtin in ROW_BUILTINS:
            rows.append((rule, _built(rule, ROW_BUILTINS[rule.builtin])))
        else:
            texts.append((rule, _text_check(rule)))
    for everyone in (False, True):
        for prose in (True, False):
            scope = f"{'any' if everyone else 'assistant'} {'prose' if prose else 'all'}"
            inside = [(rule, check) for rule, check in texts if rule.scope == scope]
            if inside:
                groups.append(_group(everyone, prose, inside))
    counted = [(rule.builtin, int((rule.args or {})["at_least"])) for rule, _ in rows if rule.builtin in LENGTHS]
    shortest, shortest_answer = (max((least for name, least in counted if name == kind), default=0) for kind in LENGTHS)
    plain = len(counted) == len(rows) and not any(group.everyone for group in groups)
    return Matcher(rules.joined, tuple(groups), tuple(rows), shortest, shortest_answer, _suspicion(groups), plain)


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
        if rule.builtin not in TEXT_BUILTINS:
            names = ", ".join(sorted([*TEXT_BUILTINS, *ROW_BUILTINS]))
            raise BadInput(f"rule {rule.name}: there is no builtin {rule.builtin}", hint=f"one of: {names}")
        return _built(rule, TEXT_BUILTINS[rule.builtin])
    find = finder(rule)
    if rule.engine == "regex":
        return TextCheck(None, find)
    assert rule.pattern is not None
    return TextCheck(inline(rule.pattern, rule.flags or ""), find if rule.unless else None)


def _built(rule: Rule, factory: Callable[..., Any]) -> Any:
    try:
        inspect.signature(factory).bind(**(rule.args or {}))
    except TypeError as error:
        takes = ", ".join(inspect.signature(factory).parameters) or "nothing"
        raise BadInput(f"rule {rule.name}: {rule.builtin}: {error}", hint=f"args: {takes}") from None
    return factory(**(rule.args or {}))
