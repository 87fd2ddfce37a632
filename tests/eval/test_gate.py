"""The gate: three patterns, the roadmap's probes, four outcomes."""

import dataclasses

import pytest

from samosa.chat.grammar import Verdict
from samosa.config import load
from samosa.errors import BadInput
from samosa.eval import gate as gates
from samosa.eval.checks import Judgement, Sample
from samosa.eval.gate import Outcome, decide
from samosa.eval.probe_types import PATTERNS
from samosa.eval.settings import Evaluation
from tests.eval.turns import plane_probe

SETTINGS = load(Evaluation, "eval").gate
VERDICT = Verdict(violation=None, think="hm", calls=(), results=(), answer="x")


def sample(pattern, number, passed, *, roadmap=False, crashed=False):
    """One sample; `passed` None: the harness failed."""
    name = f"roadmap-{pattern}" if roadmap else f"{pattern}-{number}"
    probe = dataclasses.replace(plane_probe(name), pattern=pattern, roadmap=roadmap)
    judged = None if passed is None else Judgement(passed, None if passed else "wrong", VERDICT)
    error = "search failed" if passed is None else None
    return Sample(probe, 5, (1,), (0,), "x", "end", judged, error=error, crashed=crashed)


def suite(roadmap=(True, True, True), **marks):
    """Samples of all patterns: per pattern (passes, fails, errors), 103 passes unless said otherwise."""
    samples = [sample(name, 0, mark, roadmap=True) for name, mark in zip(PATTERNS, roadmap, strict=False)]
    for name in PATTERNS:
        passes, fails, errors = marks.get(name, (103, 0, 0))
        outcomes = [True] * passes + [False] * fails + [None] * errors
        samples += [sample(name, number, passed) for number, passed in enumerate(outcomes)]
    return samples


@pytest.mark.parametrize(
    ("samples", "outcome", "code"),
    [
        (suite(), Outcome.PASSED, 0),
        (suite(search=(98, 5, 0)), Outcome.PASSED, 0),
        (suite(search=(97, 6, 0)), Outcome.FAILED, 10),
        (suite(no_tool=(0, 103, 0)), Outcome.FAILED, 10),
        (suite(search=(102, 0, 0)), Outcome.INCONCLUSIVE, 20),
        (suite(search=(98, 0, 0)), Outcome.INCONCLUSIVE, 20),
        (suite(search=(102, 0, 1)), Outcome.INCONCLUSIVE, 20),
        (suite(search=(98, 0, 5)), Outcome.INCONCLUSIVE, 20),
        (suite(search=(97, 0, 6)), Outcome.BROKEN, 30),
        (suite(search=(0, 0, 1)), Outcome.BROKEN, 30),
        (suite(search=(103, 0, 2)), Outcome.PASSED, 0),  # two spares were drawn
        (suite(search=(97, 6, 0), calculator=(50, 0, 0)), Outcome.FAILED, 10),
        (suite(search=(97, 6, 0), calculator=(50, 0, 53)), Outcome.BROKEN, 30),
        (suite(roadmap=(True, False, True)), Outcome.FAILED, 10),
        (suite(roadmap=(True, None, True)), Outcome.INCONCLUSIVE, 20),
        (suite(roadmap=(True, True)), Outcome.INCONCLUSIVE, 20),
        ([], Outcome.INCONCLUSIVE, 20),
        ([*suite(), sample("search", 200, None, crashed=True)], Outcome.BROKEN, 30),
    ],
)
def test_the_gate_has_four_outcomes(samples, outcome, code):
    result = decide(samples, SETTINGS)
    assert (result.outcome, result.exit_code) == (outcome, code)


def test_only_the_first_n_completed_instances_count():
    result = decide(suite(calculator=(103, 20, 0)), SETTINGS)
    calculator = result.patterns[PATTERNS.index("calculator")]
    assert (calculator.completed, calculator.passed, calculator.outcome) == (103, 103, Outcome.PASSED)


def test_roadmap_probes_stand_outside_the_counts():
    result = decide(suite(roadmap=(True, False, True), calculator=(98, 5, 0)), SETTINGS)
    assert result.patterns[1].passed == 98
    assert result.roadmap["roadmap-calculator"] is Outcome.FAILED


def test_the_table_says_what_was_needed_and_what_was_seen():
    rows = gates.rows(decide(suite(search=(97, 4, 2)), SETTINGS))
    assert rows[0] == ("search", "97 of 101 (2 not completed)", "98 of 103", "90.2% to 98.9%", "not enough evidence")
    assert rows[1] == ("calculator", "103 of 103", "98 of 103", "96.5% to 100.0%", "passed")
    assert rows[3] == ("roadmap-search", "1 of 1", "1 of 1", "", "passed")
    assert all(len(row) == len(gates.COLUMNS) for row in rows)


def test_the_plan_is_explained_with_its_two_probabilities():
    from scipy.stats import binom

    said = gates.meaning(SETTINGS)
    assert f"{binom.sf(97, 103, 0.97):.3f}" in said and f"{binom.sf(97, 103, 0.90):.3f}" in said


def test_both_recipes_ask_for_the_smallest_plan_that_separates_their_rates():
    from samosa.eval.stats import Plan, acceptance_plan

    for recipe in (None, "tiny"):
        gate = load(Evaluation, "eval", recipe=recipe).gate
        assert Plan(gate.n, gate.c) == acceptance_plan(gate.bad, gate.good) == Plan(103, 98)


@pytest.mark.parametrize("wrong", ["gate.c=104", "gate.good=0.8", "gate.confidence=1.0", "gate.rows=0", "gate.nn=3"])
def test_a_senseless_gate_is_refused(wrong):
    with pytest.raises(BadInput):
        load(Evaluation, "eval", sets=[wrong])
