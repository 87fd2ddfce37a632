"""The full suite: fresh by seed, its anchors right, its pairs together, its data checked."""

import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from samosa.errors import BadInput
from samosa.eval import tries
from samosa.eval.probe_types import Gold, user_turns
from samosa.eval.suite import draw
from samosa.eval.suite.anchors import anchors, read_anchors
from samosa.eval.suite.draw import CATEGORIES, full_suite, suite_hash
from samosa.eval.suite.types import Drawn, Template

ANCHOR = """
[[anchor]]
name = "sum"
category = "basic_math"
turns = ["What is 2 + 2?"]
gold = { value = "4" }
"""


def numbered(name, category="dates", most=1000):
    """A template with so many different questions."""
    return Template(
        name, category, lambda rng: Drawn((f"{name} {rng.randrange(most)}?",), Gold(None, answer_is=("7",)))
    )


@pytest.fixture
def only(monkeypatch):
    """Makes some templates all that the suite has."""

    def put(*templates):
        monkeypatch.setattr(draw, "TEMPLATES", templates)
        monkeypatch.setattr(draw, "CATEGORIES", ("dates",))

    return put


def test_a_seed_gives_one_suite_and_another_seed_another(only):
    only(numbered("a"), numbered("b"))
    one, again, other = (full_suite(seed=seed, per_category=20, counts={}) for seed in (5, 5, 6))
    assert one == again and suite_hash(one) == suite_hash(again) != suite_hash(other)
    assert len({probe.id for probe in one}) == len({user_turns(probe) for probe in one}) == len(one) == 20
    drawn = Counter(probe.template for probe in one if not probe.template.startswith("anchor"))
    assert set(drawn) == {"dates/a", "dates/b"} and max(drawn.values()) - min(drawn.values()) <= 1


def test_the_hash_sees_whatever_a_probe_asks_finds_and_expects(only):
    only(numbered("a"))
    suite = full_suite(seed=1, per_category=4, counts={})
    changes = [
        replace(suite[0], gold=replace(suite[0].gold, rivals=("Sunday!",))),
        replace(suite[0], hits={"": ()}),
        replace(suite[0], max_calls=3),
        replace(suite[0], pair="x"),
    ]
    hashes = {suite_hash([changed, *suite[1:]]) for changed in changes} | {suite_hash(suite)}
    assert len(hashes) == 1 + len(changes)


def test_a_category_that_cannot_ask_enough_is_told_how_many_it_can(only):
    only(numbered("a", most=5))
    with pytest.raises(BadInput, match=r"dates has \d+ different questions, not 40"):
        full_suite(seed=1, per_category=40, counts={})
    with pytest.raises(BadInput, match="no category"):
        full_suite(seed=1, per_category=1, counts={"dato": 3})


def test_the_two_of_a_pair_stand_together_and_neither_may_name_the_other(only):
    def make(rng):
        one, other = (str(rng.randrange(10**9)) for _ in range(2))
        gold = Gold(None, answer_any=(("city",),))
        return Drawn((f"of {one}",), gold, names=(one,), twin=Drawn((f"of {other}",), gold, names=(other,)))

    only(Template("pairs", "dates", make))
    drawn = [probe for probe in full_suite(seed=2, per_category=12, counts={}) if probe.pair.startswith("dates")]
    assert all(size == 2 for size in Counter(probe.pair for probe in drawn).values())
    for one, other in zip(drawn[::2], drawn[1::2], strict=True):
        assert (one.pair, one.template) == (other.pair, other.template) and one.id != other.id
        assert one.gold.answer_must_not == (user_turns(other)[0].removeprefix("of "),)


@pytest.mark.parametrize(
    ("own", "twin", "settled"),
    [(True, True, True), (True, False, False), (False, True, False), (True, None, None), (False, None, False)],
)
def test_one_of_a_pair_passes_only_with_its_twin(own, twin, settled):
    one = tries.Try("xa", 0, "multi_turn", "t", own, None if own else "wrong", None, "", "", pair="x")
    other = replace(one, id="xb", passed=twin, reason="named him")
    at_another_temperature = replace(one, id="xb", k=1, passed=not twin)
    assert tries.settled([one, at_another_temperature, other])[0].passed is settled


def test_there_are_anchors_in_every_category_and_what_the_roadmap_names_is_among_them():
    assert len(anchors()) >= 40
    assert {anchor.category for anchor in anchors()} == set(CATEGORIES)
    asked = " ".join(turn for anchor in anchors() for turn in anchor.turns)
    for named in ("Seoul", "17% tip on $45", "How do airplanes fly", "23 × 47", "300 miles at 60 mph", "10 days ago",
                  "Tell me more about him"):  # fmt: skip
        assert named in asked


def test_anchors_are_right_by_another_reckoning():
    gold = {anchor.name: anchor.gold for anchor in anchors()}
    reckoned = {
        "tip-on-45": 45 * 0.17,
        "compound-interest": 1500 * 1.04**7,
        "cagr": 100 * ((460 / 200) ** (1 / 6) - 1),
        "think-long-product": 4387 * 692,
        "fifteen-percent": 80 * 0.15,
        "difference": 1000 - 367,
        "seventeen-times-twenty-three": 17 * 23,
        "twenty-three-times-forty-seven": 23 * 47,
        "brackets-first": (36 + 14) * 6 - 85,
        "two-discounts": 200 * 0.8 * 0.9,
        "pencils": 4 * 12 - 15,
        "ages": 32 / 4,
    }
    for name, value in reckoned.items():
        assert abs(float(Decimal(gold[name].value)) - value) < 0.005, name
    assert {name for name, one in gold.items() if one.value} - {"think-tip-on-45"} == set(reckoned)


def test_what_an_anchor_draws_changes_with_the_seed_and_is_in_what_the_search_finds():
    for anchor in anchors():
        first, *more = (anchor.drawn(seed) for seed in range(6))
        texts = [repr((one.turns, one.gold.answer_is, one.gold, one.hits)) for one in (anchor.drawn(0), first, *more)]
        assert texts[0] == texts[1]  # errors of a search have no equality
        assert bool(anchor.draw) == (len(set(texts)) > 1), anchor.name
        for one in (first, *more):
            texts = [*one.turns, *one.gold.answer_must, *(hit.snippet for hit in (one.hits[""] if anchor.hits else ()))]
            assert not re.search(r"\{[a-z]+\}", " ".join(texts)), anchor.name
            assert one.twin is None or (one.twin.turns != one.turns and set(one.names).isdisjoint(one.twin.names))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("basic_math", "math"), "category"),
        (('name = "sum"', 'name = "Sum It"'), "name"),
        (('turns = ["What is 2 + 2?"]', 'turns = ["a", "b"]'), "2 turns: the last has to be the user's"),
        (('value = "4"', 'value = "four"'), "'four' is not a number"),
        (('value = "4"', "value = 4"), "gold.value"),
        (('value = "4"', 'valve = "4"'), "gold.valve"),
        (('{ value = "4" }', '{ matches = ["("] }'), "is no regular expression"),
        (('{ value = "4" }', "{ }"), "anything would be right"),
        (("2 + 2", "{a} + 2"), "{a} is not drawn"),
        (("gold", 'draw = { a = ["1"] }\ngold'), "{a} is drawn and not used"),
    ],
)
def test_a_wrong_anchor_is_named_with_its_file_and_entry(tmp_path, change, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(ANCHOR.replace("sum", "first") + ANCHOR.replace(*change))
    with pytest.raises(BadInput) as error:
        read_anchors(path)
    assert str(path) in str(error.value) and "anchor 2" in str(error.value) and complaint in str(error.value)


def test_two_anchors_of_one_name_and_a_file_that_is_no_toml_are_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(ANCHOR * 2)
    with pytest.raises(BadInput, match="anchor 2: a second sum"):
        read_anchors(path)
    path.write_text("[[anchor")
    with pytest.raises(BadInput, match=r"mine\.toml"):
        read_anchors(path)
