"""The full suite's gate: what each conjunct says, which one wins, and how often it errs over simulated models."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
from scipy import stats as oracle

from samosa.chat import grammar
from samosa.chat.grammar import Verdict
from samosa.config import load
from samosa.errors import BadInput
from samosa.eval import conjuncts, full_gate, record, tries
from samosa.eval.checks import Judgement, Sample
from samosa.eval.gate import Outcome
from samosa.eval.settings import Evaluation, FullEvaluation
from tests.eval.turns import plane_probe
from tests.eval.worlds import World

SETTINGS = load(FullEvaluation, "full").full
CATEGORIES = ("think_tool", "identity", "dates")


@functools.cache
def probe_at(index):
    category = CATEGORIES[index % 3]
    return dataclasses.replace(plane_probe(f"{category}-{index}"), category=category, template=f"t{index % 20}")


def sample(index, k, passed, *, violation=None, answer="x", crashed=False):
    """One try; `passed` None: the harness failed."""
    probe = probe_at(index)
    verdict = Verdict(violation=violation, think="hm", calls=(), results=(), answer=answer)
    judged = None if passed is None else Judgement(passed, None if passed else "wrong", verdict)
    error = "search failed" if passed is None else None
    return Sample(probe, 5, (1,), (0,), "said", "end", judged, error=error, crashed=crashed, k=k)


def suite(wrong=(), *, n=420, samples=4, **special):
    """Tries at n instances, all right but the (index, k) in `wrong`, or every k of an index."""
    made = [
        sample(i, k, (i, k) not in wrong and i not in wrong) for i, k in itertools.product(range(n), range(samples + 1))
    ]
    for place, what in special.items():
        made[int(place.removeprefix("at"))] = what
    return tries.of_samples(made)


def settings(**changes):
    return SETTINGS.model_copy(update=changes)


def test_a_model_that_is_right_passes():
    result = full_gate.decide(suite(), SETTINGS, looks=1)
    assert (result.outcome, result.exit_code, result.passed) == (Outcome.PASSED, 0, True)
    assert {one.conjunct for one in result.parts} == {"absolute", "zero tolerance", "evidence"}


@pytest.mark.parametrize(
    ("done", "outcome", "code", "conjunct"),
    [
        (suite(wrong=range(0, 420, 3)), Outcome.FAILED, 10, "absolute"),  # all of think_tool
        (suite(at7=sample(1, 2, False, answer="<b>x</b>")), Outcome.FAILED, 10, "zero tolerance"),
        (suite(at7=sample(1, 2, False, violation=grammar.CALL_IN_THINK)), Outcome.FAILED, 10, "zero tolerance"),
        (suite(n=250), Outcome.INCONCLUSIVE, 20, "evidence"),
        (suite(samples=3), Outcome.INCONCLUSIVE, 20, "evidence"),
        (suite(n=60), Outcome.INCONCLUSIVE, 20, "absolute"),
        (suite(at7=sample(1, 2, None, crashed=True)), Outcome.BROKEN, 30, "evidence"),
        ([], Outcome.INCONCLUSIVE, 20, "absolute"),
    ],
)
def test_one_conjunct_decides_against_a_model(done, outcome, code, conjunct):
    result = full_gate.decide(done, SETTINGS, looks=1)
    assert (result.outcome, result.exit_code) == (outcome, code)
    assert conjunct in {one.conjunct for one in result.parts if one.outcome is outcome}


def test_what_the_harness_failed_at_is_never_the_models():
    few = [dataclasses.replace(one, passed=None) if i % 25 == 0 else one for i, one in enumerate(suite())]
    assert full_gate.decide(few, SETTINGS, looks=1).exit_code == 0
    many = [dataclasses.replace(one, passed=None) if i % 18 == 0 else one for i, one in enumerate(suite())]
    broken = full_gate.decide(many, SETTINGS, looks=1)
    assert broken.exit_code == 30 and broken.scores[0].rate == 1.0


def test_a_broken_measurement_is_no_failure_even_of_a_bad_model():
    bad = [dataclasses.replace(one, passed=None if i % 3 else False) for i, one in enumerate(suite())]
    assert full_gate.decide(bad, SETTINGS, looks=1).exit_code == 30


def test_a_model_that_lost_a_category_against_the_champion_fails():
    lost = range(1, 420, 9)  # a third of identity
    result = full_gate.decide(suite(wrong=lost), settings(champion="r6"), looks=1, champion=suite())
    parts = {one.name: one for one in result.parts if one.conjunct == "non-inferior"}
    assert result.exit_code == 10
    assert parts["identity"].outcome is parts["overall"].outcome is Outcome.FAILED
    assert parts["dates"].outcome is Outcome.PASSED
    assert parts["identity"].numbers["difference"] == pytest.approx(-47 / 140)
    assert len(result.broke) == 47 and all(name.startswith("identity-") for name in result.broke)


def test_a_loss_in_a_few_templates_alone_leaves_it_open():
    lost = [i for i in range(1, 420, 3) if i % 20 in (1, 5, 9)]
    result = full_gate.decide(suite(wrong=lost), settings(champion="r6"), looks=1, champion=suite())
    assert result.exit_code == 20 and result.broke


def test_a_gain_is_no_regression_and_a_loss_within_the_margin_is_none():
    wrong = {(i, 0) for i in range(0, 420, 40)}
    gained = full_gate.decide(suite(), settings(champion="r6"), looks=1, champion=suite(wrong=wrong))
    lost = full_gate.decide(suite(wrong=wrong), settings(champion="r6"), looks=1, champion=suite())
    assert (gained.exit_code, lost.exit_code) == (0, 0)


def test_a_champion_that_was_not_asked_the_same_is_no_evidence():
    other = [dataclasses.replace(one, id=f"other-{one.id}") for one in suite()]
    for champion in (None, [], other, suite(n=200)):
        result = full_gate.decide(suite(), settings(champion="r6"), looks=1, champion=champion)
        assert result.exit_code == 20
        assert "samosa eval --tag r6" in next(one.needed for one in result.parts if one.name == "champion")


def test_more_is_asked_until_the_gate_decides_or_the_budget_is_spent():
    asked = []

    def ask(tries_of_round):
        asked.clear()
        return lambda look: (asked.append(look) or tries_of_round(look), None)

    clear = full_gate.until_decided(ask(lambda _: suite()), SETTINGS)
    assert (clear.exit_code, clear.round, asked) == (0, 1, [1])
    slow = full_gate.until_decided(ask(lambda _: suite(n=160)), SETTINGS)  # the anchors' ids are the same in each round
    assert (slow.exit_code, slow.round, asked) == (0, 2, [1, 2]) and slow.scores[0].instances == 320
    worse = full_gate.until_decided(ask(lambda look: suite(n=160, wrong=range(160) if look == 2 else ())), SETTINGS)
    assert (worse.exit_code, asked) == (10, [1, 2])
    seen = []
    never = full_gate.until_decided(ask(lambda _: suite(n=30)), SETTINGS, seen=seen.append)
    assert (never.exit_code, asked) == (20, [1, 2, 3, 4]) and [one.exit_code for one in seen] == [20] * 4


def test_the_champion_is_asked_in_every_round_as_well():
    weak = {(i, k) for i in range(0, 160, 13) for k in range(5)}
    result = full_gate.until_decided(lambda _: (suite(n=160), suite(n=160, wrong=weak)), settings(champion="r6"))
    differences = [one for one in result.parts if one.name == "overall" and one.conjunct == "non-inferior"]
    assert result.exit_code == 0 and differences[0].numbers["difference"] == pytest.approx(13 / 160)


def test_pass_hat_k_counts_instances_whose_sampled_tries_all_pass():
    result = full_gate.decide(suite(wrong={(0, 1), (3, 2), (6, 0)}), SETTINGS, looks=1)
    assert result.scores[0].all_pass == pytest.approx(418 / 420)  # the greedy one of instance 6 is not sampled
    assert result.scores[0].rate == pytest.approx(1 - 3 / 2100)


def test_artefacts_of_right_answers_are_none_and_those_of_wrong_ones_count_once_an_instance():
    asked_for = suite(at7=sample(1, 2, True, answer="<b>x</b>"))
    assert full_gate.decide(asked_for, SETTINGS, looks=1).exit_code == 0
    twice = suite(at5=sample(1, 0, False, answer="<b>"), at6=sample(1, 1, False, answer="<i>x</i>"))
    part = next(one for one in full_gate.decide(twice, SETTINGS, looks=1).parts if one.conjunct == "zero tolerance")
    assert part.numbers["hits"] == 1
    expected = oracle.binomtest(1, 420).proportion_ci(0.9, method="exact").high
    assert part.numbers["bound"] == pytest.approx(expected, abs=1e-9) and f"{expected:.2%}" in part.shown


def test_the_absolute_bound_is_the_joint_gates_plan_where_each_instance_is_a_template_of_its_own():
    floors = {"overall": SETTINGS.floors["overall"]}
    for passes, outcome in ((98, Outcome.PASSED), (97, Outcome.INCONCLUSIVE), (90, Outcome.FAILED)):
        rates = np.array([1] * passes + [0] * (103 - passes))
        each, nothing = np.arange(103), np.zeros(103, dtype=np.int64)
        counts = tries.Counts(each, np.full(103, "a"), each, rates, nothing + 1, nothing, nothing, nothing)
        (part,) = conjuncts.absolute(counts, floors, level=0.05)
        assert part.outcome is outcome


def test_samples_kept_on_disk_count_as_those_just_judged(samosa_home):
    made = [sample(i, k, (i + k) % 5 > 0, answer="<b>") for i in range(6) for k in range(3)] + [sample(7, 0, None)]
    path = record.write_samples("tiny", "full-1", made)
    assert tries.read(path) == tries.of_samples(made)
    path.write_text(path.read_text().replace('"template"', '"templates"'))
    with pytest.raises(BadInput, match="not a file of samples"):
        tries.read(path)


def test_the_tables_and_the_record_say_what_was_seen():
    result = full_gate.decide(suite(wrong={0}), SETTINGS, looks=1)
    assert all(len(row) == len(full_gate.COLUMNS) for row in full_gate.rows(result))
    assert full_gate.score_rows(result)[0][:3] == ("overall", "420", "99.8%")
    kept = full_gate.as_record(result)
    assert kept["scores"]["overall"]["rate"] == pytest.approx(419 / 420, abs=1e-6)
    assert {one["conjunct"] for one in kept["conjuncts"]} == {"absolute", "zero tolerance", "evidence"}


@pytest.mark.parametrize(
    "wrong", ["full.margin=0", "full.confidence=0.4", "full.leak=1.0", "full.floors.overall.bad=0.98", "full.rounds=0"]
)
def test_a_senseless_gate_is_refused(wrong):
    with pytest.raises(BadInput):
        load(FullEvaluation, "full", sets=[wrong])


@pytest.mark.parametrize("recipe", [None, "tiny"])
def test_both_suites_ask_the_model_alike(recipe):
    full, joint = load(FullEvaluation, "full", recipe=recipe).gate, load(Evaluation, "eval", recipe=recipe).gate
    assert full.model_copy(update={"rows": joint.rows}) == joint  # how many at once changes the speed alone


def simulate(seed, gates, model, **world):
    """Of `gates` gates: the share of each outcome, and of each (name, outcome) of the absolute conjunct."""
    rng = np.random.default_rng(seed)
    same = world.pop("same", False)
    champion = world.pop("champion", None)
    seen = []
    for _ in range(gates):
        outcome, parts, _ = World(SETTINGS, rng, **world).gate(model, champion, same=same)
        seen.append({"gate": outcome} | {one.name: one.outcome for one in parts if one.conjunct == "absolute"})
    return lambda name, outcome: sum(one[name] is outcome for one in seen)


def check(count, gates, *, least=0.0, most=1.0):
    """Whether a simulated rate is within its promise; few gates may miss it by what chance does once in 100,000."""
    slack = 0 if gates >= 2_000 else 1e-5
    if slack:
        assert oracle.binom.cdf(count, gates, least) > slack and oracle.binom.sf(count - 1, gates, most) > slack
    else:
        assert least <= count / gates <= most, count / gates


GATES = [pytest.param(200, id="200"), pytest.param(2_000, id="2000", marks=pytest.mark.soak)]


@pytest.mark.parametrize("gates", GATES)
def test_a_good_model_passes_and_a_bad_one_does_not(gates, soak_seed):
    good, bad = (simulate(soak_seed, gates, rate) for rate in (0.97, 0.90))
    for name in ("overall", "think_tool"):
        check(good(name, Outcome.PASSED), gates, least=0.90)
        check(bad(name, Outcome.PASSED), gates, most=0.05)
    one_bad = np.array([0.90] + [0.985] * 13)  # so that overall does not end the gate at the first look
    check(simulate(soak_seed, gates, one_bad)("think_tool", Outcome.PASSED), gates, most=0.05)


@pytest.mark.parametrize("gates", GATES)
def test_a_model_as_good_as_its_champion_passes_and_is_not_called_worse(gates, soak_seed):
    seen = simulate(soak_seed, gates, 0.985, same=True)
    check(seen("gate", Outcome.PASSED), gates, least=0.85)
    check(seen("gate", Outcome.FAILED), gates, most=0.05)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("model", "world"),
    [
        (0.985, {"champion": 0.985, "between_templates": 0, "between_instances": 0}),
        (0.985, {"same": True, "templates": 10}),
    ],
)
def test_a_good_model_passes_in_other_worlds_too(model, world, soak_seed):
    seen = simulate(soak_seed, 2_000, model, **world)
    check(seen("gate", Outcome.PASSED), 2_000, least=0.85)
    check(seen("gate", Outcome.FAILED), 2_000, most=0.05)


@pytest.mark.soak
def test_a_model_is_not_called_worse_than_itself_where_it_is_only_fair(soak_seed):
    fair = SETTINGS.floors["overall"].model_copy(update={"bad": 0.5, "good": 0.6})
    rng = np.random.default_rng(soak_seed)
    world = SETTINGS.model_copy(update={"floors": {"overall": fair, "think_tool": fair}})
    outcomes = [World(world, rng).gate(0.8, same=True)[0] for _ in range(2_000)]
    assert outcomes.count(Outcome.FAILED) <= 0.05 * 2_000


@pytest.mark.soak
def test_a_model_that_lost_ten_points_in_one_category_hardly_ever_passes(soak_seed):
    rng = np.random.default_rng(soak_seed)
    rates = np.full(14, 0.985)
    rates[5] = 0.885
    champion = np.full(14, 0.985)
    outcomes = [World(SETTINGS, rng).gate(rates, champion)[0] for _ in range(500)]
    assert outcomes.count(Outcome.PASSED) <= 0.05 * 500
