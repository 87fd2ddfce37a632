import random

import pytest
import torch

from samosa.model.gpt import GPT
from samosa.model.scoring import Score, score, scores
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
def test_scores_are_those_of_one_plain_pass_an_item(soak_seed, dtype, tolerance):
    draw = random.Random(soak_seed)
    model = tiny_model(tiny_config(windows=(16, 5, 300)), dtype=dtype)
    few_shot, items = words(draw, 40, 60), []
    for question in range(12):
        context = [*(few_shot if question % 3 else []), *words(draw, 1, 30)]
        items += [(context, words(draw, 1, 6 if question % 4 else 1)) for _ in range(4)]
    draw.shuffle(items)
    expected = one_by_one(model, items)
    same(score(model, NoText, items), expected, tolerance)
    same(score(model, NoText, items, batch_tokens=70), expected, tolerance)


def test_greedy_continuations_are_told_from_others():
    model, context = tiny_model(), words(random.Random(1), 20, 20)
    ids = list(context)
    with torch.no_grad():
        for _ in range(5):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    said = ids[20:]
    items = [(context, said), (context, said[:1]), (context, [*said[:4], (said[4] + 1) % 61])]
    found = score(model, NoText, items)
    assert [one.greedy for one in found] == [True, True, False]
    same(found, one_by_one(model, items), 1e-10)


def test_continuations_may_be_long_and_many():
    draw = random.Random(2)
    model = tiny_model(tiny_config(windows=(16, 5, 300)))
    items = [([7], words(draw, 150, 200)) for _ in range(3)] + [([7], words(draw, 1, 9)) for _ in range(40)]
    same(score(model, NoText, items, batch_tokens=300), one_by_one(model, items), 1e-9)


class Reading(GPT):
    """Counts the places it reads and the rows of its head, padding included."""

    places = rows = 0

    def read(self, ids, step):
        self.places += ids.numel()
        return super().read(ids, step)

    def logits(self, x):
        self.rows += x[..., 0].numel()
        return super().logits(x)


def test_nothing_is_read_twice_and_the_head_sees_what_is_asked_for():
    draw = random.Random(3)
    model = Reading(tiny_config())
    model.load_state_dict(tiny_model(dtype=torch.float32).state_dict())
    few_shot = words(draw, 100, 100)
    contexts = [[*few_shot, number, *words(draw, 20, 20)] for number in range(3)]
    score(model, NoText, [(context, [letter]) for context in contexts for letter in range(4)])
    assert (model.places, model.rows) == (100 + 3 * 21, 3)  # one token a choice: nothing of it is read
    model.places = model.rows = 0
    score(model, NoText, [(contexts[0], words(draw, 5, 5)) for _ in range(4)])
    assert (model.places, model.rows) == (121 + 4 * 4, 1 + 4 * 4)


def test_scores_come_as_they_are_known_and_in_any_order_asked():
    model = tiny_model(dtype=torch.float32)
    items = [([1, 2, 3], [4]), ([5, 6], [7, 8]), ([1, 2, 3], [9, 9, 9])]
    found = dict(scores(model, NoText, items))
    assert [found[i] for i in range(3)] == score(model, NoText, items)
    assert score(model, NoText, []) == []


@pytest.mark.parametrize("item", [([], [1]), ([1], [])])
def test_nothing_has_no_score(item):
    with pytest.raises(ValueError, match="item 1: a context and a continuation"):
        score(tiny_model(), NoText, [([1], [2]), item])
