"""A suite through the real engine: what the model does is judged, what the harness does is not."""

import functools

import pytest

from samosa.chat.search import SearchError
from samosa.chat.tokenizer import load_tokenizer
from samosa.config import load
from samosa.errors import BadInput
from samosa.eval.fixture import ProbeSearch
from samosa.eval.gate import Outcome, decide
from samosa.eval.probes import joint_suite
from samosa.eval.runner import run_suite
from samosa.eval.settings import Evaluation
from tests.eval.puppet import puppet
from tests.eval.turns import CALL, CALLED, END, THINK, calculate, look_up

SETS = ["gate.n=4", "gate.c=3", "gate.rows=5", "gate.max_tokens=900"]
GATE = load(Evaluation, "eval", sets=SETS).gate


@pytest.fixture
def tokenizer(golden):
    return _tokenizer(golden / "tokenizer")


@functools.cache
def _tokenizer(directory):
    return load_tokenizer(directory)


@pytest.fixture
def probes():
    return joint_suite(seed=7, per_pattern=4)


def right(probe, result):
    """What a perfect model says: nothing here but the probe's own gold answer."""
    gold = probe.gold
    any_of = [group[0] for group in gold.answer_any]
    answer = ", ".join([*gold.answer_must, *any_of, *([str(gold.value)] if gold.value is not None else [])])
    answer = f"Here you are: {answer}, and that is all there is to say."
    if gold.tool is None:
        return [THINK, answer, END]
    call = calculate(f"{gold.value}*1") if gold.tool == "calculator" else look_up(" ".join(gold.query_must))
    return [THINK, CALL, call, CALLED, result(call), answer, END]


def from_memory(probe, result):
    """Right answers without any call."""
    pieces = right(probe, result)
    return [pieces[0], *pieces[-2:]]


def run(model, tokenizer, probes, gate=GATE, **options):
    return run_suite(model, tokenizer, probes, gate, seed=7, **options)


def test_a_perfect_model_passes_every_probe(tokenizer, probes):
    samples = run(puppet(probes, right, tokenizer), tokenizer, probes)
    assert [sample.probe for sample in samples] == probes
    assert [sample.judgement.reason for sample in samples] == [None] * len(probes)
    assert decide(samples, GATE).outcome is Outcome.PASSED
    called = next(sample for sample in samples if sample.probe.gold.tool == "calculator")
    assert 0 < sum(called.forced) < len(called.ids) == len(called.forced)
    assert called.text.startswith("<think>") and called.finish == "end"


def test_a_model_that_never_calls_fails_where_a_call_is_due(tokenizer, probes):
    samples = run(puppet(probes, from_memory, tokenizer), tokenizer, probes)
    assert {sample.probe.pattern for sample in samples if not sample.judgement.passed} == {"search", "calculator"}
    assert decide(samples, GATE).exit_code == 10


def test_a_second_call_is_seen_and_not_prevented(tokenizer, probes):
    def twice(probe, result):
        pieces = right(probe, result)
        return pieces if probe.gold.tool is None else [*pieces[:5], *pieces[1:]]

    samples = run(puppet(probes, twice, tokenizer), tokenizer, probes)
    reasons = {sample.judgement.reason for sample in samples if sample.probe.gold.tool}
    assert reasons == {"grammar: too many calls"}


def test_a_model_that_never_ends_fails(tokenizer, probes):
    model = puppet(probes, lambda *_: [THINK, "and so on " * 100], tokenizer)
    samples = run(model, tokenizer, probes, GATE.model_copy(update={"max_tokens": 60}))
    assert {(sample.finish, sample.judgement.reason) for sample in samples} == {("length", "grammar: missing end")}


class Broken:
    name = "broken"

    def __init__(self, probe):
        pass

    def search(self, query, top_k):
        raise SearchError("the network is down")


def test_a_search_that_breaks_is_not_the_models_error(tokenizer, probes):
    # The script holds the result of a search that works, so only its length matters here: no answer is judged.
    model = puppet(probes, right, tokenizer)
    samples = run(model, tokenizer, probes, search_for=Broken)
    searched = [sample for sample in samples if sample.probe.pattern == "search"]
    blamed = [sample for sample in searched if sample.judgement is not None]
    broke = [sample.error for sample in searched if sample.judgement is None]
    assert broke and all(error.startswith("search failed: the network is down") for error in broke)
    assert all(isinstance(hits, SearchError) for sample in blamed for hits in sample.probe.hits.values())
    assert all(sample.judgement.passed for sample in samples if sample.probe.pattern != "search")
    assert decide(samples, GATE).exit_code == 30


def test_one_broken_search_leaves_the_gate_without_a_verdict(tokenizer, probes):
    unlucky = next(p for p in probes if p.pattern == "search" and not p.roadmap and p.gold.answer_must)
    samples = run(
        puppet(probes, right, tokenizer),
        tokenizer,
        probes,
        search_for=lambda probe: Broken(probe) if probe is unlucky else ProbeSearch(probe),
    )
    assert [sample.probe.id for sample in samples if sample.judgement is None] == [unlucky.id]
    assert decide(samples, GATE).exit_code == 20


def test_an_engine_that_crashes_breaks_the_measurement(tokenizer, probes, capsys):
    model = puppet(probes, right, tokenizer)
    model.turns = [[] for _ in model.turns]
    samples = run(model, tokenizer, probes)
    assert len(samples) == len(probes) and all(sample.crashed for sample in samples)
    assert decide(samples, GATE).exit_code == 30
    assert "IndexError" in capsys.readouterr().err


def test_neither_rows_nor_order_changes_a_sampled_turn(tokenizer, probes):
    warm = GATE.model_copy(update={"temperature": 1.0, "max_tokens": 40})

    def turns(rows, order):
        model = puppet(probes, lambda *_: ["word " * 60], tokenizer)
        samples = run(model, tokenizer, order, warm.model_copy(update={"rows": rows}))
        return {sample.probe.id: sample.ids for sample in samples}

    first = turns(1, probes)
    assert turns(7, probes[::-1]) == first
    assert len(set(first.values())) == len(first)  # every probe has a seed of its own


def test_turns_that_cannot_fit_the_model_are_refused_at_once(tokenizer, probes):
    with pytest.raises(BadInput, match=r"gate\.max_tokens") as error:
        run(puppet(probes, right, tokenizer, sequence_len=256), tokenizer, probes)
    assert "--set gate.max_tokens=" in error.value.hint
