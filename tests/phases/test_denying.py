"""The full suite's questions on the deny-list: what copies them is found, what our own teacher writes is not."""

import functools

import pytest

from samosa.config import load
from samosa.data.fence import Fence
from samosa.data.fence.canaries import KNOWN, canaries, plant
from samosa.data.generate import generate
from samosa.eval.probe_types import user_turns
from samosa.eval.suite.draw import full_suite
from samosa.phases.denying import FenceFiles, denied_by, full

SHARES = {"real_share": 0.4, "failed_search_share": 0.1, "think_share": 0.8, "follow_up_share": 0.1}
SEED, EACH = 5, 24


@functools.cache
def fence():
    return Fence([one for seed in range(SEED, SEED + 4) for one in full(seed, EACH)])


def row(question, answer="Let me see."):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def found(*rows):
    return [[match.denied for match in matches] for matches in fence().check(rows)]


def test_the_fence_is_told_of_the_full_suite_by_default():
    settings = load(FenceFiles, "fence").fence
    assert "full" in settings.against
    assert settings.per_category >= EACH


def questions(seed):
    """What the fence looks for: of a dialogue what its user says most in."""
    return [max(user_turns(probe), key=len) for probe in full_suite(seed=seed, per_category=EACH, counts={})]


def test_a_row_that_asks_a_question_of_the_suite_and_answers_it_is_found():
    denied = full(SEED, EACH)
    hits = found(*(row(one.question, f"It is {' and '.join(one.answers)}.") for one in denied))
    missed = [one.question for one, matches in zip(denied, hits, strict=True) if not matches]
    assert [question for question in missed if len(question.split()) > 5] == []  # "tell me more" is nobody's
    assert len(missed) < 0.01 * len(denied)


@pytest.mark.parametrize(
    "question",
    [
        "What is 31 × 58?",
        "If today is Friday, what day was it 12 days ago?",
        "A train leaves at 3 pm and travels 240 miles at 40 mph. What time does it arrive?",
        "Calculate a 22% tip on $61.",
        "please calculate a 17% TIP on $45",
        "What's the weather in Seoul?",
    ],
)
def test_a_probe_with_other_numbers_and_names_is_a_copy(question):
    assert found(row(question))[0]


def test_what_another_seed_will_ask_is_mostly_found_too():
    hits = found(*(row(question) for question in questions(SEED + 100)))
    assert sum(map(bool, hits)) > 0.75 * len(hits)  # what is missed are other words in a list, another name for "is a"


def test_the_copies_that_every_run_plants_are_found():
    denied = denied_by(load(FenceFiles, "fence").fence)
    built = Fence([*denied, KNOWN])
    for seed in range(2):
        assert plant(built, canaries(denied, seed=seed), [row("Which bread goes with soup?")]) == [[]]


@pytest.mark.parametrize("kind", ["joint", "identity", "creator", "desserts", "quality"])
def test_what_our_teacher_writes_stays(kind):
    rows = list(generate(kind, rows=30, seed=3, **SHARES))
    assert [matches for matches in found(*rows) if matches] == []
