"""Whatever comes, goes, shares and waits beside it: a request's turn is what it is alone."""

import random
import time

import pytest
import torch

from samosa.chat.tools import Toolbox
from samosa.model.engine import Engine, Request
from tests.model.tiny import tiny_config, tiny_model

LENGTH = 110


class Late(Toolbox):
    """Answers after a while, and may not be asked two things at once."""

    busy = False

    def run(self, payload):
        assert not self.busy
        self.busy = True
        time.sleep(random.random() * 0.004)
        answer = super().run("6*7")
        self.busy = False
        return answer


def some_requests(draw, count):
    """Some begin alike or are alike; some are greedy, some call tools."""
    beginnings = [draw.choices(range(250), k=draw.randint(20, 70)) for _ in range(3)]
    toolboxes = [None, Late(None), Late(None)]
    for seed in range(count):
        ids = draw.choice(beginnings)[: draw.choice([30, 50, LENGTH])] + draw.choices(range(250), k=draw.choice([0, 9]))
        yield Request(
            ids,
            max_tokens=draw.randint(1, 30),
            temperature=draw.choice([0.0, 0.8, 1.5]),
            top_k=draw.choice([None, 20]),
            seed=seed,
            max_calls=draw.randint(1, 3),
            call_budget=draw.choice([3, 50]),
            toolbox=draw.choice(toolboxes),
        )


def in_company(engine, draw, asked):
    """All of them, added in fits and starts, a few cancelled: {place: finished turn}."""
    found, places, waiting = {}, {}, list(enumerate(asked))
    while len(found) < len(asked):
        for _ in range(min(len(waiting), draw.choice([0, 1, 5, 25]))):
            place, request = waiting.pop(0)
            places[engine.add(request)] = place
        if places and draw.random() < 0.03:
            engine.cancel(draw.choice(list(places)))
        found.update({places[one.id]: one for one in engine.step()})
    return found


def compare(tokenizer, seed, count):
    draw = random.Random(seed)
    model = tiny_model(
        tiny_config(vocab_size=500, windows=(16, 5, 300)),
        seed=seed % 1000,
        dtype=draw.choice([torch.float32, torch.float64]),
    )
    with torch.no_grad():  # so that it opens and closes calls
        for mark in ("python_start", "python_end"):
            model.lm_head.weight[tokenizer.special(mark)] *= 9
    asked = list(some_requests(draw, count))
    engine = Engine(model, tokenizer, toolbox=None, rows=draw.randint(2, 9), max_length=LENGTH)
    for place, one in in_company(engine, draw, asked).items():
        alone = Engine(model, tokenizer, toolbox=None, rows=1, max_length=LENGTH).run([asked[place]])[0]
        if one.reason == "cancelled":
            assert one.ids == alone.ids[: len(one.ids)]
        else:
            assert (one.ids, one.forced, one.reason) == (alone.ids, alone.forced, alone.reason)


def test_company_changes_nothing(tokenizer, soak_seed):
    compare(tokenizer, soak_seed, 8)


@pytest.mark.soak
def test_company_changes_nothing_at_length(tokenizer, soak_seed):
    for more in range(60):
        compare(tokenizer, soak_seed + more, 25)
