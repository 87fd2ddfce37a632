"""Layers that are computed again in the backward pass: the same gradients, in less memory."""

import pytest
import torch
from torch.distributed._tools.mem_tracker import MemTracker

from tests.model.tiny import packed_positions, tiny_config, tiny_model

CONFIG = tiny_config(n_layer=6, n_embd=48, windows=(16, 40) * 3)


def loss_of(model):
    ids = torch.randint(0, 61, (2, 64), generator=torch.Generator().manual_seed(1))
    return model(ids, positions=packed_positions([[30, 34], [64]]), targets=ids.roll(-1, 1))


def made(*, recompute, dtype=torch.float32):
    model = tiny_model(CONFIG, dtype=dtype)
    model.train_with(compiled=False, recompute=recompute, use_fp8=False)
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradients_are_the_same_to_the_bit(dtype):
    found = []
    for recompute in (False, True):
        model = made(recompute=recompute, dtype=dtype)
        loss = loss_of(model)
        loss.backward()
        found.append([loss, *(param.grad for param in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def kept(*, recompute):
    """Bytes that a forward pass leaves behind for the backward pass."""
    model = made(recompute=recompute)
    tracker = MemTracker()
    with tracker:
        loss = loss_of(model)
        (held,) = tracker.get_tracker_snapshot("current").values()
    assert loss.requires_grad
    return next(size for kind, size in held.items() if getattr(kind, "value", "") == "Activation")


def test_six_layers_keep_less_than_a_quarter_of_their_activations():
    assert kept(recompute=True) < kept(recompute=False) / 4
