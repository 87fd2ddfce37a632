"""Rows that are kept but nearly were not: what a looser rule would have rejected, and in what way it is looser."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from samosa.data.filter.layouts import Broken, decode
from samosa.data.filter.rules import Rule, RuleSet
from samosa.data.filter.sorting import Reason, judge

LOOSER: dict[str, dict[str, Callable[[Any], Any]]] = {
    "answer_length": {"at_least": lambda least: least + least // 2},
    "length": {"at_least": lambda least: least + least // 2},
    "looped_text": {"times": lambda times: max(2, times - 2)},
    "repeated_line": {"times": lambda times: max(2, times - 1)},
    "emoji_run": {"times": lambda times: max(2, times - 1)},
}
"""Of a built-in's args, those that a little less or more of nearly is a hit."""


def _in_code(rule: Rule) -> Rule | None:
    if not rule.scope.endswith("prose") or rule.builtin == "unclosed_fence":
        return None
    return rule.model_copy(update={"scope": rule.scope.replace("prose", "all")})


def _by_others(rule: Rule) -> Rule | None:
    if not rule.scope.startswith("assistant") or rule.pattern is None:
        return None
    return rule.model_copy(update={"scope": rule.scope.replace("assistant", "any")})


def _excused(rule: Rule) -> Rule | None:
    return None if rule.unless is None else rule.model_copy(update={"unless": None})


def _by_degree(rule: Rule) -> Rule | None:
    looser = LOOSER.get(rule.builtin or "", {})
    args = dict(rule.args or {})
    if not looser.keys() & args.keys():
        return None
    changed = {name: looser[name](value) if name in looser else value for name, value in args.items()}
    return rule.model_copy(update={"args": changed})


WAYS: dict[str, Callable[[Rule], Rule | None]] = {
    "only in code": _in_code,
    "not the assistant's words": _by_others,
    "excused by the rule's exception": _excused,
    "not quite enough of it": _by_degree,
}


def _by_any_way(rule: Rule) -> Rule | None:
    looser: Rule = rule
    for loosen in WAYS.values():
        looser = loosen(looser) or looser
    return None if looser is rule else looser


def _loosened(rules: RuleSet, loosen: Callable[[Rule], Rule | None]) -> RuleSet:
    """Those rules that this makes looser."""
    return replace(rules, rules=tuple(looser for rule in rules.rules if (looser := loosen(rule)) is not None))


class NearMisses:
    """Finds them for one rule set. Most rows are asked once: no looser rule has anything against them."""

    def __init__(self, rules: RuleSet) -> None:
        self.ways = {way: _loosened(rules, loosen) for way, loosen in WAYS.items()}
        self.all = _loosened(rules, _by_any_way)

    def of(self, line: bytes) -> list[Reason]:
        """What looser rules say of a kept line: a Reason of each rule, whose `why` says how it was missed."""
        try:
            row = decode(line)
        except Broken:
            return []
        if not judge(self.all, row):
            return []
        found: dict[str, Reason] = {}
        for way, rules in self.ways.items():
            if rules.rules:
                for reason in judge(rules, row):
                    found.setdefault(reason.rule, reason._replace(why=way))
        return list(found.values())
