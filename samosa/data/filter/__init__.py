"""Sorting rows into kept and rejected by rules that are data; every rejected row says all its reasons.

    rules = load_rules("default")                       # or the path of a TOML file
    for judged in sort_lines(rules, read_lines(chunk)): # (where, line) pairs in, Judged out, in order
        if judged.broken: ...                           # not a conversation: a sentence why
        elif judged.reasons: ...                        # rejected: Reason(rule, turn, why, start, end, excerpt)
        else: out.write(judged.line + b"\\n")            # kept: the original bytes

`judge(rules, row)` judges one decoded row of any layout. A RuleSet pickles; each process compiles it once.
"""

from samosa.data.filter.rules import Rule, RuleSet, load_rules, shipped
from samosa.data.filter.sorting import Judged, Reason, Sorter, judge, pays_to_screen, sort_lines

__all__ = [
    "Judged",
    "Reason",
    "Rule",
    "RuleSet",
    "Sorter",
    "judge",
    "load_rules",
    "pays_to_screen",
    "shipped",
    "sort_lines",
]
