"""A screen spares RE2 the rows that are plainly good, and changes nothing else."""

import json
import sys
from dataclasses import replace

import pytest

from samosa.data.filter import RuleSet, load_rules, matcher, pays_to_screen, sort_lines
from samosa.data.filter.screen import LONGEST, MOST_MATCHES
from tests.data.filter import rows

PLAIN = ("roadmap", "default")  # rule sets of which strings alone decide
SHORT = replace(
    load_rules("default"), rules=tuple(rule for rule in load_rules("default").rules if len(rule.pattern or "") < 3_000)
)
"""Hyperscan takes no pattern of more than 16,000 characters."""
LONG = " and this sentence makes the row long enough."


def line(*answers: str) -> bytes:
    said = [{"role": role, "content": text} for text in answers for role, text in (("user", "hi"), ("assistant", text))]
    return json.dumps({"messages": said}).encode()


def judged(rules: RuleSet | str, lines: list[bytes], *, screened: bool = True) -> list[tuple]:
    chosen = load_rules(rules) if isinstance(rules, str) else rules
    found = sort_lines(chosen, enumerate(lines), screened=screened)
    return [(one.length, one.reasons, one.broken) for one in found]


@pytest.mark.parametrize("rules", [load_rules("roadmap"), SHORT], ids=["roadmap", "short rules of default"])
def test_rows_are_judged_for_the_same_reasons_with_and_without_it(soak_seed, rules):
    lines = rows.lines(1500, soak_seed)
    without = judged(rules, lines, screened=False)
    assert judged(rules, lines) == without
    assert sum(bool(reasons) for _, reasons, _ in without) > 100


@pytest.mark.parametrize("rules", [load_rules("roadmap"), SHORT], ids=["roadmap", "short rules of default"])
def test_good_rows_are_seen_to_be_good_without_re2(monkeypatch, rules):
    asked = matcher.compiled(rules)
    monkeypatch.setitem(vars(asked), "good", lambda answers: pytest.fail(f"asked about {answers}"))
    lines = [line(f"Number {n} is a “good” answer — naïve{LONG}") for n in range(50)]
    lines.append(line(f"The first of two{LONG}", f"The second{LONG}"))
    assert all(one.length >= 0 for one in sort_lines(rules, enumerate(lines), screened=True))


BAD = ["<b>x</b>", "\nResponse: so it is, and so on", "As an AI language model, I", "\nno\nno\nno\n", "![x]", "😀😀😀"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_wrong_with_one_answer_is_told_of_that_one(bad, place):
    said = [f"one{LONG}", f"two — naïve{LONG}", f"three{LONG}"]
    said[place] += bad
    good = line(f"good{LONG}")
    for name in PLAIN:
        found = judged(name, [good, line(*said), good])
        assert [bool(reasons) for _, reasons, _ in found] == [False, True, False], name
        assert {reason.turn for reason in found[1][1]} == {2 * place + 1}


def test_lines_of_two_rows_are_no_repetition():
    assert not any(reasons for _, reasons, _ in judged("roadmap", [line("x" * 50)] * 9))


def test_rows_of_thousands_of_matches_are_judged_all_the_same():
    many = line("<b>" * (LONGEST // 4))
    assert 3 * (LONGEST // 4) > MOST_MATCHES, "Hyperscan would tell of all of them"
    *rejected, (_, good, _), (_, long, _) = judged(
        "roadmap", [many, many, many, line(f"good{LONG}"), line("<b>" * LONGEST)]
    )
    assert [len(reasons) for _, reasons, _ in rejected] == [32] * 3 and len(long) == 32 and not good


def test_a_machine_without_hyperscan_decides_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    monkeypatch.setattr(matcher, "_compiled", {})
    lines = [line(f"<b>{LONG}"), line(f"good{LONG}")]
    assert [bool(reasons) for _, reasons, _ in judged("roadmap", lines)] == [True, False]
    assert not matcher.compiled(load_rules("roadmap")).screen.ready()


def test_it_is_made_where_there_is_text_enough_and_its_rules_can_be_read():
    few, many = 1_000_000, 1_000_000_000
    assert [pays_to_screen(load_rules(name), few) for name in PLAIN] == [False, False]
    assert pays_to_screen(load_rules("roadmap"), many)
    assert not pays_to_screen(load_rules("default"), many)  # RE2 is quicker with its patterns
    assert not pays_to_screen(load_rules("strict"), many)  # it reads parts and other speakers
