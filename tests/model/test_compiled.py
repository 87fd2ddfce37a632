import random

import pytest
import torch

from samosa.model.cache import KVCache
from samosa.model.compiled import static_step
from samosa.model.engine import Engine, Request
from tests.model.tiny import tiny_config, tiny_model

TOKENS = torch.randint(0, 61, (4, 60), generator=torch.Generator().manual_seed(5))


@torch.inference_mode()
def test_a_step_of_fixed_shapes_is_the_model():
    model = tiny_model(tiny_config(windows=(6, 3, 300)))
    expected = model(TOKENS)
    cache = KVCache(model.config, rows=4, length=60, dtype=torch.float64)
    lengths = [20, 7, 33, 1]
    padded = TOKENS[:, :33].clone()
    model(padded, cache=cache, lengths=torch.tensor(lengths))
    for step in range(20):
        active = [1, 0, 1, int(step > 3)]
        ids = torch.stack([TOKENS[row, lengths[row]] for row in range(4)]).unsqueeze(1)
        logits = static_step(model, cache, ids, torch.tensor(active), 60)
        assert logits.isfinite().all()
        for row in range(4):
            if active[row]:
                torch.testing.assert_close(logits[row], expected[row, lengths[row]], atol=1e-9, rtol=0)
                lengths[row] += 1
        assert cache.lengths.tolist() == lengths


@pytest.mark.soak
def test_a_compiled_engine_says_the_same(tokenizer, soak_seed):
    draw = random.Random(soak_seed)
    model = tiny_model(tiny_config(vocab_size=500, windows=(16, 5, 300)), dtype=torch.float32)
    asked = [
        Request(draw.choices(range(250), k=draw.randint(1, 300)), draw.randint(1, 40), draw.choice([0.0, 0.8]), 20, i)
        for i in range(30)
    ]
    engines = [
        Engine(model, tokenizer, toolbox=None, rows=8, max_length=350, compiled=compiled) for compiled in (False, True)
    ]
    plain, compiled = ([one.ids for one in engine.run(asked)] for engine in engines)
    assert plain == compiled
