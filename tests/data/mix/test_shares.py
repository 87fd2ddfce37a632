"""Whole numbers of rows: exactly what was asked for, to a row."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.data.mix.shares import MixSource, add_up, apportion, training_rows
from samosa.errors import BadInput
from tests.data.mix.pools import half_up

some = settings(max_examples=40)


def source(name="a", **how) -> MixSource:
    return MixSource(name, Path("nowhere"), **how)


@pytest.mark.parametrize(
    ("repeat", "rows", "expected"),
    [(6, 50, 300), (2.5, 4, 10), (2.5, 5, 13), (0.3, 10, 3), (0.3, 1, 0), (1.1, 10, 11), (0.1, 5, 1), (20, 0, 0)],
)
def test_repeat_is_exact_and_a_half_row_is_rounded_up(repeat, rows, expected):
    assert training_rows([source(repeat=repeat)], [rows]) == [expected]


@given(st.decimals(0, 30, places=3).filter(bool), st.integers(0, 10**7))
@some
def test_repeat_is_the_decimal_number_that_was_written(repeat, rows):
    assert training_rows([source(repeat=float(repeat))], [rows]) == [half_up(str(repeat), rows)]


def test_rows_are_seen_once():
    assert training_rows([source(rows=3000)], [2941]) == [2941]


def test_the_largest_remainder_gets_the_row_that_is_left():
    # Hamilton's method by hand: quotas 4.8, 3.6, 1.6 -> 4, 3, 1 and two left for .8 and (a tie of .6) b before c
    weights = [Fraction(48), Fraction(36), Fraction(16)]
    assert apportion(10, weights, ["a", "c", "b"]) == [5, 3, 2]
    assert apportion(10, weights, ["a", "b", "c"]) == [5, 4, 1]


@given(st.integers(0, 10**6), st.lists(st.integers(1, 1000), min_size=1, max_size=8))
@some
def test_an_apportionment_adds_up_and_is_less_than_a_row_off(whole, weights):
    counts = apportion(whole, list(map(Fraction, weights)), [str(place) for place in range(len(weights))])
    assert sum(counts) == whole
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count * sum(weights) - whole * weight) < sum(weights)


@given(st.permutations(range(4)), st.integers(1, 10**5))
@some
def test_the_order_of_sources_does_not_decide_their_numbers(order, whole):
    weights, names = [Fraction(w) for w in (1, 1, 2, 3)], ["a", "b", "c", "d"]
    straight = dict(zip(names, apportion(whole, weights, names), strict=True))
    shuffled = apportion(whole, [weights[i] for i in order], [names[i] for i in order])
    assert dict(zip([names[i] for i in order], shuffled, strict=True)) == straight


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 10), st.integers(1, 400)), min_size=1, max_size=3),
    st.integers(50, 300),
)
@some
def test_weights_are_shares_of_all_rows_beside_other_sources(weights, others, parts):
    """With weights that leave at least a third of the whole to the others."""
    chosen = [Decimal(weight) / (parts + 2 * sum(weights)) for weight in weights]
    chosen = [weight.quantize(Decimal("0.0001")) + Decimal("0.0001") for weight in chosen]
    sources = [source(f"w{i}", weight=float(weight)) for i, weight in enumerate(chosen)]
    sources += [source(f"o{i}", repeat=repeat) for i, (repeat, _) in enumerate(others)]
    kept = [7] * len(chosen) + [rows for _, rows in others]
    counts = training_rows(sources, kept)
    whole = Decimal(sum(counts))
    assert counts[len(chosen) :] == [repeat * rows for repeat, rows in others]
    # the whole is rounded to a row once (which moves a share by at most half a row) and each share once more
    assert all(abs(count - weight * whole) < 2 for count, weight in zip(counts, chosen, strict=False))


def test_a_mix_of_weights_alone_has_the_rows_its_sources_have_or_the_total():
    sources = [source("a", weight=0.75), source("b", weight=0.25)]
    assert training_rows(sources, [10, 90]) == [75, 25]
    assert training_rows(sources, [10, 90], total=1001) == [751, 250]


def test_a_quarter_beside_a_fixed_source_is_a_third_of_its_rows():
    assert training_rows([source("a", repeat=3), source("b", weight=0.25)], [100, 7]) == [300, 100]


def test_weights_that_cannot_be_are_said():
    with pytest.raises(BadInput, match="b has a weight and no rows"):
        training_rows([source("a", repeat=1), source("b", weight=0.5)], [10, 0])
    with pytest.raises(BadInput, match="weights of 1 leave nothing"):
        training_rows([source("a", repeat=1), source("b", weight=0.4), source("c", weight=0.6)], [10, 5, 5])


def test_weights_add_up_as_they_are_written():
    assert 0.7 + 0.2 + 0.1 != 1 and add_up([0.7, 0.2, 0.1]) == 1
