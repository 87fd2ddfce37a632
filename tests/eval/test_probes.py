"""The joint suite: fresh by seed, apart from training, and passed by its own right answers."""

import random
from collections import Counter

import pytest

from samosa.chat.conversation import parse_row
from samosa.chat.render import render
from samosa.chat.tokenizer import load_tokenizer
from samosa.data.fence import overlaps
from samosa.data.generate import generate
from samosa.data.generate.exchange import PATTERNS, Taste, draw_exchange
from samosa.data.generate.rows import assistant_turn, user_turn
from samosa.data.generate.sides import side_of
from samosa.eval.checks import judge
from samosa.eval.probes import joint_suite, probe_of, question_of, suite_hash

SHARES = {"real_share": 0.4, "failed_search_share": 0.1, "think_share": 0.8, "follow_up_share": 0.1}


def test_a_seed_gives_one_suite_and_the_hash_tells_suites_apart():
    one, again, other = (
        joint_suite(seed=5, per_pattern=20),
        joint_suite(seed=5, per_pattern=20),
        joint_suite(seed=6, per_pattern=20),
    )
    assert suite_hash(one) == suite_hash(again) != suite_hash(other)
    assert Counter(probe.pattern for probe in one if not probe.roadmap) == dict.fromkeys(PATTERNS, 20)
    assert sum(probe.roadmap for probe in one) == 3


def test_about_a_third_of_the_phrasings_are_in_no_training_row():
    probes = [probe for seed in range(5) for probe in joint_suite(seed=seed, per_pattern=103)]
    unseen = sum(probe.template.endswith("/unseen") for probe in probes)
    assert 0.28 < unseen / len(probes) < 0.38


def test_every_entity_and_number_tuple_is_on_the_probe_side():
    assert side_of("Seoul") == side_of("17:45") == side_of("airplanes fly") == "probe"
    rows = [parse_row(row, source="joint") for row in generate("joint", rows=900, seed=1, **SHARES)]
    questions = {probe.id: question_of(probe) for seed in range(4) for probe in joint_suite(seed=seed, per_pattern=103)}
    assert overlaps(rows, questions) == []


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_right_answer_passes_and_a_right_answer_to_another_probe_fails(golden, pattern):
    tokenizer = load_tokenizer(golden / "tokenizer")
    rng = random.Random(3)
    taste = Taste(side="probe", real_share=0.4, failed_search_share=0.1, unseen_phrasing_share=0.3)
    exchanges = [draw_exchange(rng, pattern, taste) for _ in range(60)]
    turns = [_generated(exchange, tokenizer) for exchange in exchanges]
    probes = [probe_of(f"p{n}", exchange) for n, exchange in enumerate(exchanges)]
    for probe, ids in zip(probes, turns, strict=True):
        assert (judgement := judge(probe, ids, tokenizer)).passed, (judgement.reason, tokenizer.decode(ids))
    swapped = sum(judge(probe, ids, tokenizer).passed for probe, ids in zip(probes, turns[1:] + turns[:1], strict=True))
    assert swapped <= 4  # two creative answers may share all the words that are asked for; calls never match


def _generated(exchange, tokenizer) -> list[int]:
    row = {"messages": [user_turn(exchange.question, system=None), assistant_turn(exchange, think=True)]}
    ids = render(parse_row(row, source="t"), tokenizer).ids
    return ids[ids.index(tokenizer.special("assistant_start")) + 1 :]
