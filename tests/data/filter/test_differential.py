"""The filter against an oracle that decides the same rules slowly and shares no code with it."""

import pytest
from hypothesis import HealthCheck, given, settings

from samosa.data.filter import load_rules, sort_lines
from tests.data.filter import oracle, rows


def decisions(name: str, lines: list[bytes], *, screened: bool) -> list[frozenset[str] | None]:
    """What the filter says of every line: the rules that reject it, or None where it is no conversation."""
    found = []
    for judged, line in zip(sort_lines(load_rules(name), enumerate(lines), screened=screened), lines, strict=True):
        assert (judged.where, judged.line) == (len(found), line)
        found.append(None if judged.broken is not None else frozenset(reason.rule for reason in judged.reasons))
    return found


def compare(count: int, seed: int) -> None:
    """Raise where the two differ in a decision or in a rule's name."""
    lines = rows.lines(count, seed)
    for name in ("roadmap", "default", "strict"):
        seen: set[str] = set()
        found, screened = (decisions(name, lines, screened=screened) for screened in (False, True))
        for line, said, too in zip(lines, found, screened, strict=True):
            right = oracle.broken_rules(name, line)
            assert said == too == right, f"{name}: {line.decode(errors='replace')}"
            seen |= right or set()
        assert seen == {rule.name for rule in load_rules(name).rules}, "no row breaks some of the rules"


def test_the_filter_decides_as_the_oracle_does(soak_seed):
    compare(1_500, soak_seed)


@pytest.mark.soak
def test_the_filter_decides_fifty_thousand_rows_as_the_oracle_does(soak_seed):
    compare(50_000, soak_seed)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(rows.rows())
def test_the_filter_decides_whatever_hypothesis_thinks_of_as_the_oracle_does(row):
    line = rows.line_of(row, escaped=False)
    for name in ("roadmap", "default", "strict"):
        for screened in (False, True):
            assert decisions(name, [line], screened=screened) == [oracle.broken_rules(name, line)]
