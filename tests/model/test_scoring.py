import random

import pytest
import torch

from samosa.model.scoring import Score, score
from tests.model.tiny import tiny_config, tiny_model


class NoText:
    """All that scoring asks of a tokenizer."""

    bos = 0


def one_by_one(model, items):
    """One plain forward pass an item, without a cache: the definition."""
    scores = []
    for context, continuation in items:
        with torch.no_grad():
            logits = model(torch.tensor([[*context, *continuation]]))[0, len(context) - 1 : -1].double()
        logprobs = logits.log_softmax(-1)
        target = torch.tensor(continuation)
        total = logprobs[torch.arange(len(target)), target].sum().item()
        scores.append(Score(total, bool((logits.argmax(-1) == target).all()), len(target)))
    return scores


def same(found, expected, tolerance):
    assert [(one.greedy, one.tokens) for one in found] == [(one.greedy, one.tokens) for one in expected]
    assert [one.logprob for one in found] == pytest.approx([one.logprob for one in expected], abs=tolerance, rel=0)


def words(draw, low, high):
    return [draw.randrange(61) for _ in range(draw.randint(low, high))]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_one_plain_pass_an_item(seed, dtype, tolerance):
    draw = random.Random(seed)
    model = tiny_model(tiny_config(windows=(16, 5, 300)), dtype=dtype, seed=seed)
    few_shot, items = words(draw, 40, 60), []
    for question in range(12):
        context = [*(few_shot if question % 3 else []), *words(draw, 1, 30)]
        items += [(context, words(draw, 1, 6 if question % 4 else 1)) for _ in range(4)]
    draw.shuffle(items)
    expected = one_by_one(model, items)
    same(score(model, NoText, items), expected, tolerance)
    same(score(model, NoText, items, batch_tokens=70), expected, tolerance)
