"""What requests share changes what is read, never what is said."""

import random
import shutil

import pytest
import torch

from samosa.home import find_checkpoint
from samosa.model.checkpoint import load_model
from samosa.model.engine import Engine, Request
from samosa.model.gpt import GPT
from tests.model.tiny import tiny_config, tiny_model

SHAPE = {"vocab_size": 500, "windows": (16, 5, 300)}


class Counting(GPT):
    """Counts the tokens it reads."""

    read_tokens = 0

    def forward(self, ids, **options):
        self.read_tokens += int(options["lengths"].sum())
        return super().forward(ids, **options)


def counting(dtype):
    plain = tiny_model(tiny_config(**SHAPE), dtype=dtype)
    model = Counting(plain.config).to(dtype)
    model.load_state_dict(plain.state_dict())
    return model


def words(draw, count):
    return draw.choices(range(250), k=count)


def one_by_one(model, tokenizer, asked, length=200):
    return [Engine(model, tokenizer, toolbox=None, rows=1, max_length=length).run([one])[0].ids for one in asked]


@pytest.mark.parametrize("rows", [3, 16])
def test_a_shared_system_text_is_read_once(tokenizer, rows):
    draw = random.Random(rows)
    system = words(draw, 60)
    asked = [Request([*system, *words(draw, draw.randint(1, 20))], 1 + i % 5, seed=i) for i in range(12)]
    asked.insert(5, Request(words(draw, 30), 4))
    model = counting(torch.float64)
    expected = one_by_one(model, tokenizer, asked)
    model.read_tokens = 0
    found = Engine(model, tokenizer, toolbox=None, rows=rows, max_length=200).run(asked)
    assert [one.ids for one in found] == expected
    own = sum(len(one.ids) for one in asked) - 60 * 11  # every prompt, the shared part once
    assert model.read_tokens <= own + sum(map(len, expected))


def test_samples_of_one_prompt_read_it_once(tokenizer):
    prompt = words(random.Random(1), 80)
    asked = [Request(prompt, 3, 1.0, seed=i) for i in range(8)]
    model = counting(torch.float64)
    expected = one_by_one(model, tokenizer, asked)
    assert len(set(map(tuple, expected))) > 1
    model.read_tokens = 0
    found = Engine(model, tokenizer, toolbox=None, rows=8, max_length=200).run(asked)
    assert [one.ids for one in found] == expected
    assert model.read_tokens <= 79 + 8 * 3


def test_a_shared_beginning_may_end_with_cancelled_requests(tokenizer):
    prompt = words(random.Random(1), 80)
    model = counting(torch.float64)
    engine = Engine(model, tokenizer, toolbox=None, rows=1, max_length=200)
    numbers = [engine.add(Request(prompt, 3)) for _ in range(3)]
    assert engine.cancel(numbers[1])
    found = {}
    while len(found) < 3:
        found.update({one.id: one for one in engine.step()})
    assert [found[number].reason for number in numbers] == ["length", "cancelled", "length"]
    assert found[numbers[0]].ids == found[numbers[2]].ids


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_trained_model_says_the_same_in_any_company(golden, samosa_home, tokenizer, soak_seed, temperature):
    shutil.copytree(golden / "base_checkpoints", samosa_home / "base_checkpoints")
    model, _ = load_model(find_checkpoint("base/d2@150"))  # in fp32
    draw = random.Random(soak_seed)
    asked = [Request([tokenizer.bos, *words(draw, draw.randint(1, 40))], 8, temperature, 20, i) for i in range(12)]
    expected = one_by_one(model, tokenizer, asked, length=64)
    found = Engine(model, tokenizer, toolbox=None, rows=7, max_length=64).run(asked)
    assert [one.ids for one in found] == expected


class Rounded(GPT):
    """Says the same as any model, but for rounding: as much as batches of another size bring, or a little more."""

    off = 0.0

    def forward(self, ids, **options):
        logits = super().forward(ids, **options)
        whole_row = len(ids) == 1 and ids.size(1) > 1  # the pass that decides reads the same in every batch
        noise = torch.randn(logits.shape, generator=torch.Generator().manual_seed(int(ids.sum()) + len(ids)))
        return logits if whole_row else logits + self.off * noise


def test_rounding_does_not_decide_what_is_said(tokenizer):
    plain = tiny_model(tiny_config(**SHAPE), dtype=torch.float32)
    with torch.no_grad():  # logits that are often as good as equal: pairs of rows of the head differ by rounding alone
        plain.lm_head.weight[1::2] = plain.lm_head.weight[::2] * (1 + 1e-7)
    model = Rounded(plain.config)
    model.load_state_dict(plain.state_dict())
    model.off = 1e-6
    draw = random.Random(4)
    asked = [Request(words(draw, draw.randint(2, 30)), 6) for i in range(10)]
    expected = one_by_one(model, tokenizer, asked)
    for rows in (4, 10):
        found = Engine(model, tokenizer, toolbox=None, rows=rows, max_length=200).run(asked)
        assert [one.ids for one in found] == expected
