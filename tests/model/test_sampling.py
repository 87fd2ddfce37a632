import math
from collections import Counter

import numpy as np
import pytest
import torch

from samosa.errors import SamosaError
from samosa.model.sampling import GAMMA, _mix, sample, uniforms


def draw(logits, n, *, temperature=1.0, top_k=None, seed=0):
    rows = torch.tensor([logits], dtype=torch.float32).expand(n, -1)
    return sample(rows, temperatures=[temperature] * n, top_ks=[top_k] * n, seeds=[seed] * n, places=range(n)).tokens


def test_the_generator_is_splitmix64():
    stream = _mix(np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * GAMMA)
    # The numbers every implementation is checked with (rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64).
    assert stream.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("pairs", [[(7, i) for i in range(20_000)], [(i, 0) for i in range(20_000)]])
def test_draws_are_uniform_along_a_row_and_across_seeds(pairs):
    values = uniforms(*zip(*pairs, strict=True))
    assert values.min() >= 0 and values.max() < 1
    counts = np.histogram(values, bins=100, range=(0, 1))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 161  # chi-square, 99 degrees of freedom, p = 0.0001
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03


def test_seeds_of_any_size_are_taken():
    assert uniforms([-1, 2**64 - 1, 2**64 + 5, 5], [0, 0, 3, 3]).reshape(2, 2).std(axis=1).max() == 0


def test_tokens_come_as_often_as_the_softmax_says():
    logits, n = [0.0, 1.0, 2.0, -3.0, 2.0], 20_000
    counts = Counter(draw(logits, n, temperature=0.7))
    weights = [math.exp(x / 0.7) for x in logits]
    expected = [n * w / sum(weights) for w in weights]
    assert sum((counts[i] - e) ** 2 / e for i, e in enumerate(expected)) < 23.5  # 4 degrees of freedom, p = 0.0001


def test_temperature_0_is_greedy_whatever_the_seed():
    assert set(draw([0.0, 3.0, 2.9], 50, temperature=0.0)) == {1}


@pytest.mark.parametrize("temperature", [1e-9, 1e-308, 5e-324])
@pytest.mark.parametrize("shift", [0.0, -9.0])
def test_a_tiny_temperature_is_as_good_as_greedy(temperature, shift):
    assert set(draw([shift, 3.0 + shift, 2.9 + shift], 50, temperature=temperature)) == {1}


@pytest.mark.parametrize("temperature", [1e308, math.inf])
def test_a_huge_temperature_draws_from_all_that_is_not_masked(temperature):
    assert set(draw([0.0, 9.0, -math.inf, -9.0], 200, temperature=temperature)) == {0, 1, 3}


def test_a_tiny_temperature_does_not_change_the_rows_beside_it():
    logits = torch.randn(64, 40, generator=torch.Generator().manual_seed(0))
    usual = {"top_ks": [None] * 64, "seeds": range(64), "places": [0] * 64}
    alone = sample(logits, temperatures=[0.8] * 64, **usual).tokens
    mixed = sample(logits, temperatures=[1e-308, *[0.8] * 63], **usual).tokens
    assert mixed == [int(logits[0].argmax()), *alone[1:]]


@pytest.mark.parametrize("logits", [[0.0, math.nan, 1.0], [math.inf, 0.0], [-math.inf] * 3])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_numbers_are_an_error_and_no_token(logits, temperature):
    with pytest.raises(SamosaError, match="not finite") as error:
        draw(logits, 2, temperature=temperature)
    assert error.value.hint


@pytest.mark.parametrize(("top_k", "support"), [(1, {2}), (2, {2, 4}), (0, {0, 1, 2, 3, 4}), (99, {0, 1, 2, 3, 4})])
def test_top_k_keeps_the_largest(top_k, support):
    assert set(draw([0.0, 1.0, 3.0, -0.5, 2.0], 2000, top_k=top_k)) == support


def test_a_masked_token_is_never_drawn():
    assert 0 not in draw([-math.inf, 0.0, -math.inf], 500) and 2 not in draw([-math.inf, 0.0, -math.inf], 500)


def test_a_rows_draw_does_not_depend_on_its_company():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(6, 40, generator=generator)
    settings = {
        "temperatures": [0.0, 1.0, 0.5, 2.0, 1.0, 1.0],
        "top_ks": [None, 5, 0, 3, None, 40],
        "seeds": [1, 2, 3, 4, 5, 5],
        "places": [0, 9, 1, 4, 7, 7],
    }
    together = sample(logits.clone(), **settings).tokens
    for order in ([3], [5, 0], [2, 1, 4]):
        chosen = {name: [values[i] for i in order] for name, values in settings.items()}
        assert sample(logits[order], **chosen).tokens == [together[i] for i in order]


@pytest.mark.parametrize(("gap", "close"), [(0.0, True), (1e-6, True), (1e-3, False)])
def test_a_largest_logit_that_is_hardly_larger_is_close(gap, close):
    usual = {"temperatures": [0.0], "top_ks": [None], "seeds": [0], "places": [0]}
    for size in (3, 64, 200):  # in one block, in a full one, in several
        for place in range(1, size, 7):
            logits = torch.full((1, size), -1.0)
            logits[0, 0], logits[0, place] = 2.0, 2.0 + gap
            assert sample(logits, **usual) == ([place if gap else 0], [close])


@pytest.mark.parametrize(("off", "close"), [(1e-7, True), (-1e-7, True), (1e-3, False), (-1e-3, False)])
def test_a_draw_next_to_another_token_is_close(off, close):
    seeds = range(50)
    logits = torch.zeros(50, 2)
    for row, drawn in enumerate(uniforms(seeds, [0] * 50)):
        logits[row, 0] = math.log((drawn + off) / (1 - drawn - off))  # the first token's probability ends beside it
    found = sample(logits, temperatures=[1.0] * 50, top_ks=[None] * 50, seeds=seeds, places=[0] * 50)
    assert found.tokens == [int(off < 0)] * 50 and found.close == [close] * 50


def test_rows_that_differ_by_rounding_alone_draw_alike_or_are_close():
    logits = 3 * torch.randn(4000, 100, generator=torch.Generator().manual_seed(0))
    other = logits * (1 + 2e-7 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1)))
    usual = {"temperatures": [0.8] * 4000, "top_ks": [30] * 4000, "seeds": range(4000), "places": [0] * 4000}
    one, two = sample(logits, **usual), sample(other, **usual)
    differ = [i for i in range(4000) if one.tokens[i] != two.tokens[i]]
    assert all(one.close[i] and two.close[i] for i in differ)
    assert 0 < sum(one.close) < 80  # and it is rare
