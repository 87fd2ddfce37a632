"""Optimizer work that is shared between ranks against the same work on one, and how evenly it is shared."""

import math
import random

import pytest
import torch
from torch.nn import Parameter
from torch.utils.flop_counter import FlopCounterMode

from samosa.errors import NotReady
from samosa.train import sharding
from samosa.train.muon import orthogonalize
from samosa.train.optim import MuonAdamW
from samosa.train.schedule import StepHyper
from samosa.train.sharding import adam_cost, muon_cost, owners
from tests.train.simulated import simulate

LRS = {"matrix_lr": 0.02, "embedding_lr": 0.2, "unembedding_lr": 0.004, "scalar_lr": 0.5}
HYPERS = [StepHyper(lr=1.0, momentum=0.9, weight_decay=0.1), StepHyper(lr=0.5, momentum=0.95, weight_decay=0.05)]


def shapes_of(depth, width, *, vocab=16, gates=4):
    """A model's parameters, as far as an optimizer sees them."""
    shapes = {"resid_lambdas": (depth,), "x0_lambdas": (depth,), "smear_lambda": (1,), "smear_gate.weight": (1, 24)}
    shapes |= {"transformer.wte.weight": (vocab, width), "lm_head.weight": (vocab, width)}
    for layer in range(depth):
        block = f"transformer.h.{layer}"
        shapes |= {f"{block}.attn.{name}.weight": (width, width) for name in ("c_q", "c_k", "c_v", "c_proj")}
        shapes |= {f"{block}.mlp.c_fc.weight": (4 * width, width), f"{block}.mlp.c_proj.weight": (width, 4 * width)}
        if layer % 2 == depth % 2:
            shapes |= {f"{block}.attn.ve_gate.weight": (gates, 12), f"value_embeds.{layer}.weight": (vocab, width)}
    return shapes


def drawn(shapes, seed, dtype):
    g = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=g, dtype=torch.float64).to(dtype) * 0.3 for name, shape in shapes.items()
    }


def steps(shapes, seed, dtype, where=None, *, numbers=(0, 1), values=None, state=None):
    """(parameters, optimizer) after these steps from the gradients that `seed` gives, one of them missing."""
    params = {name: Parameter(value.clone()) for name, value in (values or drawn(shapes, seed, dtype)).items()}
    optimizer = MuonAdamW(params.items(), **LRS, n_embd=8, where=where)
    if state is not None:
        optimizer.load_state_dict(state)
    for number in numbers:
        for name, grad in drawn(shapes, 1000 * seed + number, dtype).items():
            params[name].grad = None if (number, name) == (1, "smear_lambda") else grad
        optimizer.step(HYPERS[number])
    return {name: param.detach() for name, param in params.items()}, optimizer


def furthest(ours, theirs):
    assert ours.keys() == theirs.keys()
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)


@pytest.mark.parametrize("cut", ["one round", "many rounds"])
def test_eight_ranks_that_share_the_work_get_what_one_gets(monkeypatch, cut):
    shapes = shapes_of(3, 24)
    single, alone = steps(shapes, 1, torch.float32)
    if cut == "many rounds":
        monkeypatch.setattr(sharding, "ROUND_BYTES", 1)
        monkeypatch.setattr(sharding, "WHOLE_BYTES", 4 * 24 * 24)
    results, wire = simulate(8, lambda where: steps(shapes, 1, torch.float32, where), monkeypatch)
    assert all(furthest(params, single) <= 1e-6 for params, _ in results)
    assert all(furthest(params, results[0][0]) == 0 for params, _ in results)
    assert sum(wire.sent) == len(HYPERS) * sum(4 * math.prod(shape) for shape in shapes.values())
    owned = [name for _, optimizer in results for name in optimizer.owned_names]
    assert sorted(owned) == sorted(shapes)
    state = {name: fields for _, optimizer in results for name, fields in optimizer.state_dict().items()}
    for name, fields in alone.state_dict().items():
        for key, value in fields.items():
            torch.testing.assert_close(state[name][key], value, atol=1e-6, rtol=1e-5)


def test_a_state_saved_by_some_ranks_is_continued_by_any_other_number(monkeypatch):
    shapes = shapes_of(2, 16)
    straight, _ = steps(shapes, 2, torch.float64)
    three, _ = simulate(3, lambda where: steps(shapes, 2, torch.float64, where, numbers=(0,)), monkeypatch)
    saved = {name: fields for _, optimizer in three for name, fields in optimizer.state_dict().items()}
    middle = three[0][0]

    def go_on(where):
        return steps(shapes, 2, torch.float64, where, numbers=(1,), values=middle, state=saved)[0]

    for size in (1, 5):
        results, _ = simulate(size, go_on, monkeypatch)
        assert all(furthest(params, straight) < 1e-6 for params in results)


def test_a_rank_needs_the_state_of_what_it_owns_and_of_nothing_else(monkeypatch):
    shapes = shapes_of(2, 16)
    results, _ = simulate(2, lambda where: steps(shapes, 1, torch.float32, where)[1], monkeypatch)
    first, second = (optimizer.state_dict() for optimizer in results)
    results[0].load_state_dict(first)
    results[0].load_state_dict({**first, **second})
    with pytest.raises(NotReady, match="missing"):
        results[0].load_state_dict(second)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16])
def test_the_work_of_d24_is_shared_evenly(size):
    shapes = {n: s for n, s in shapes_of(24, 1536, vocab=32768, gates=12).items() if math.prod(s) > 1000}
    costs = {n: muon_cost(s) if n.startswith("transformer.h.") else adam_cost(s) for n, s in shapes.items()}
    owner = owners(costs, size)
    load = [sum(costs[n] for n in costs if owner[n] == rank) for rank in range(size)]
    assert max(load) < 1.05 * sum(load) / size
    assert owner == owners(dict(reversed(costs.items())), size)


def test_newton_schulz_costs_what_its_products_cost():
    rows, cols = 24, 40
    with FlopCounterMode(display=False) as counted:
        orthogonalize(torch.randn(1, rows, cols), variant="upstream", ns_dtype=torch.float32)
    assert muon_cost((rows, cols)) == muon_cost((cols, rows)) == counted.get_total_flops()


@pytest.mark.soak
def test_any_shapes_on_any_number_of_ranks_get_what_one_gets(monkeypatch, soak_seed):
    rng = random.Random(soak_seed)
    for _ in range(40):
        shapes = shapes_of(
            rng.randint(1, 5), 12 * rng.randint(1, 5), vocab=rng.randint(2, 70), gates=rng.randint(1, 13)
        )
        shapes = {name: shapes[name] for name in rng.sample(list(shapes), rng.randint(1, len(shapes)))}
        size, seed = rng.randint(2, 16), rng.randrange(1000)
        single, _ = steps(shapes, seed, torch.float64)
        with monkeypatch.context() as patch:
            patch.setattr(sharding, "ROUND_BYTES", rng.choice([1, 5000, 1 << 26]))
            patch.setattr(sharding, "WHOLE_BYTES", rng.choice([1, 3000, 1 << 23]))
            results, _ = simulate(size, lambda where: steps(shapes, seed, torch.float64, where), patch)  # noqa: B023
        assert all(furthest(params, single) < 1e-6 for params, _ in results), (size, seed, shapes)
