"""What a model said is kept in whole batches, and read back only where it answers what is asked."""

import json

import pytest

from samosa.config import load
from samosa.eval import turns
from samosa.eval.probes import joint_suite
from samosa.eval.settings import Evaluation
from samosa.eval.turns import Plan, Turn

GATE = load(Evaluation, "eval", sets=["gate.rows=4"]).gate
PROBES = joint_suite(seed=3, per_pattern=1)
PLAN = Plan("joint", "hash", PROBES, GATE, 3, samples=2, temperature=0.8)
ABOUT = {"weights_sha256": "w", "seed": 3}


def said(number, **changes):
    return [Turn(one.probe.id, one.k, 9, (1, 2, number), (0, 1, 0), "end", **changes) for one in PLAN.batches[number]]


@pytest.fixture
def path(samosa_home):
    return turns.path_of(ABOUT)


def test_every_try_is_asked_once_those_of_a_probe_side_by_side():
    asks = [(one.probe.id, one.k) for batch in PLAN.batches for one in batch]
    assert asks == [(probe.id, k) for probe in PROBES for k in (0, 1, 2)]
    assert [len(batch) for batch in PLAN.batches] == [4, 4, 4, 4, 2]


def test_kept_batches_come_back_and_the_others_are_missing(path):
    assert turns.read(path, PLAN) == {} and turns.missing(PLAN, {}) == [0, 1, 2, 3, 4]
    for number in (3, 0):
        turns.keep(path, ABOUT, number, said(number))
    assert turns.read(path, PLAN) == {0: said(0), 3: said(3)}
    assert turns.missing(PLAN, turns.read(path, PLAN)) == [1, 2, 4]
    assert json.loads(path.read_text().splitlines()[0]) == {"about": ABOUT}


def test_a_batch_that_was_torn_is_missing_and_does_not_swallow_the_next(path):
    turns.keep(path, ABOUT, 0, said(0))
    whole = path.read_bytes()
    turns.keep(path, ABOUT, 1, said(1))
    path.write_bytes(path.read_bytes()[: len(whole) + 40])
    turns.keep(path, ABOUT, 2, said(2))
    assert turns.read(path, PLAN) == {0: said(0), 2: said(2)}


def test_a_batch_in_which_the_harness_failed_is_asked_again_and_its_last_answer_counts(path):
    turns.keep(path, ABOUT, 0, said(0, error="search failed: no network"))
    assert 0 in turns.missing(PLAN, turns.read(path, PLAN))
    turns.keep(path, ABOUT, 0, said(0))
    assert turns.missing(PLAN, turns.read(path, PLAN)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "line",
    ['{"batch": 9, "turns": []}', '{"batch": 0, "turns": [{"id": "x"}]}', "[]", "0", "\xff", "[" * 100_000],
)
def test_what_answers_something_else_is_passed_over(path, line):
    turns.keep(path, ABOUT, 1, said(1))
    with path.open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    turns.keep(path, ABOUT, 0, said(1))  # the turns of another batch
    assert turns.read(path, PLAN) == {1: said(1)}


@pytest.mark.parametrize(
    "changes",
    [{"ids": "abc"}, {"ids": [None, 1, 2]}, {"ids": [-1, 1, 2]}, {"forced": []}, {"finish": 3}, {"prompt": "9"}],
    ids=str,
)
def test_what_is_no_turn_is_passed_over(path, changes):
    turns.keep(path, ABOUT, 1, said(1))
    row = json.loads(path.read_text().splitlines()[1])
    row["turns"][0] |= changes
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
    assert turns.read(path, PLAN) == {1: said(1)}


def test_everything_that_decides_what_is_said_has_a_file_of_its_own(samosa_home):
    others = [ABOUT | {"weights_sha256": "v"}, ABOUT | {"seed": 4}, ABOUT | {"dtype": "bfloat16"}]
    assert len({turns.path_of(one) for one in (ABOUT, *others)}) == 4
    warm = GATE.model_copy(update={"max_tokens": 7})
    assert Plan("joint", "hash", PROBES, warm, 3).asked() != Plan("joint", "hash", PROBES, GATE, 3).asked()
