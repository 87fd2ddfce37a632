import math
import random

import pytest

from samosa.eval import guards

THREE = ["The cat sat. The cat ran!", "The dog sat.", "Why not?"]


def test_distinct_n_is_counted_by_hand():
    # the cat sat the cat ran | the dog sat | why not: 11 words, of which the cat sat ran dog why not differ
    assert guards.distinct_n(THREE, 1) == 7 / 11
    # the-cat cat-sat sat-the the-cat cat-ran | the-dog dog-sat | why-not: 8 pairs, one of them twice
    assert guards.distinct_n(THREE, 2) == 7 / 8
    assert guards.distinct_n(THREE, 1, at_most=4) == 3 / 4
    assert guards.distinct_n(["one"], 2) == 1.0


def test_words_are_whole_in_every_script():
    assert guards.words("Don't say “मिठाई और पानी”, naïve one!") == "don't say मिठाई और पानी naïve one".split()


def test_an_n_gram_does_not_reach_from_one_answer_into_the_next():
    assert guards.distinct_n(["a b", "b a"], 2) == 1.0
    assert guards.distinct_n(["a b b a"], 2) == 1.0
    assert guards.distinct_n(["a", "b", "a", "b"], 2) == 1.0


def test_openers_are_counted_by_hand():
    # "the cat", "the dog", "why not": three that differ
    assert guards.opener_entropy(THREE) == pytest.approx(math.log2(3), abs=1e-12)
    # half "sure here", a quarter each of two others: 1/2 + 2/4 + 2/4
    four = ["Sure, here you are", "sure! here it is", "Well, no", "A boat sails"]
    assert guards.opener_entropy(four) == pytest.approx(1.5, abs=1e-12)
    assert guards.opener_entropy(["Sure, here"] * 9) == 0
    assert guards.opener_entropy(["", "..."]) == 0


def test_opener_entropy_equals_scipys(soak_seed):
    from scipy import stats

    random.seed(soak_seed)
    answers = [f"{random.choice('abcde')} {random.choice('xyz')} and so on" for _ in range(200)]
    counts = [answers.count(answer) for answer in sorted(set(answers))]
    assert guards.opener_entropy(answers) == pytest.approx(float(stats.entropy(counts, base=2)), abs=1e-9)


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ("Shall I go on?", True),
        ('She asked, "Who is there?"', True),
        ("**Ready?** ", True),
        ("तुम कौन हो?", True),
        ("真的吗？", True),
        ("Why? Because.", False),
        ("See https://x.example/?q=1", False),
        ("", False),
    ],
)
def test_an_answer_that_ends_on_a_question_is_told(answer, ends):
    assert guards.ends_on_a_question(answer) is ends


def test_the_manner_of_three_answers_is_counted_by_hand():
    seen = guards.manner(THREE)
    assert (seen.answers, seen.median_words, seen.p90_words) == (3, 3.0, 5.4)  # lengths 6, 3, 2
    assert (seen.commonest_opener, seen.commonest_share) == ("the cat", 1 / 3)  # the first by name of three alike
    assert seen.question_rate == 1 / 3


def test_a_model_that_doubled_its_answers_has_drifted_and_is_not_blamed_for_their_length():
    before = ["red green blue", "one two three"]
    drift = guards.drift(before, [f"{answer} {answer[::-1]}" for answer in before])
    assert (drift.median_ratio, drift.p90_ratio) == (2.0, 2.0)
    assert drift.before.distinct_1 == drift.after.distinct_1 == 1.0

    rambling = guards.drift(before, [f"{answer} {answer}" for answer in before])
    assert rambling.after.distinct_1 == 1 / 2  # the first six words: red green blue twice


def test_against_itself_nothing_drifts():
    drift = guards.drift(THREE, THREE)
    assert drift.before == drift.after and drift.median_ratio == drift.p90_ratio == 1.0


def test_silence_is_as_long_as_silence_and_anything_is_endlessly_longer():
    assert guards.drift([""], [""]).median_ratio == 1.0
    assert guards.drift([""], ["Hello"]).median_ratio == math.inf


def test_no_answers_have_no_manner():
    with pytest.raises(ValueError, match="no answers"):
        guards.manner([])
