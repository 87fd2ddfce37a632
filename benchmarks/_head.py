"""One side of the loss head's measurement: `python -m benchmarks._head SIDE SEED`.

Forward and backward at V = 32,768, T = 4,096, 35 % supervised, C = 384 in fp32. Memory is the peak resident size over
that of the same process before the head's first call, when torch is loaded and the inputs are made.
"""

import json
import resource
import sys
import time

import torch
import torch.nn.functional as F

from benchmarks._sides import THREADS
from benchmarks.baselines.sft_step import dense_loss
from samosa.model.head import nll_sum, softcap

VOCAB, TOKENS, WIDTH, SUPERVISED = 32_768, 4096, 384, 0.35
WARM = 16  # tokens


def loss_of(side: str, x: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean loss of x [1, T, C]: of all logits, of the supervised rows' logits, or samosa's."""

    def logits(of: torch.Tensor) -> torch.Tensor:
        return softcap(F.linear(of, weight))

    kept = targets >= 0
    if side == "dense":
        return dense_loss(logits, x, targets)
    if side == "dense_rows":
        return dense_loss(logits, x[kept], targets[kept])
    assert side == "samosa", side
    return nll_sum(x, weight, targets, VOCAB) / kept.sum()


def inputs(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    x, weight = torch.randn(1, TOKENS, WIDTH), torch.randn(VOCAB, WIDTH) * 0.05
    targets = torch.randint(0, VOCAB, (1, TOKENS)).masked_fill(torch.rand(1, TOKENS) > SUPERVISED, -1)
    return x.requires_grad_(), weight.requires_grad_(), targets


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(side: str, seed: int) -> dict[str, float]:
    """Seconds of a forward and backward pass, and the peak memory of it."""
    x, weight, targets = inputs(seed)
    before = megabytes()
    loss_of(side, x[:, :WARM], weight, targets[:, :WARM]).backward()  # what is lazy sets itself up
    x.grad = weight.grad = None
    began = time.perf_counter()
    loss_of(side, x, weight, targets).backward()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "megabytes": megabytes() - before, "process_megabytes": megabytes()}


def difference(seed: int) -> dict[str, float]:
    """How far samosa's loss and gradients are from the dense ones, by the largest of these."""
    found = {}
    for side in ("dense", "samosa"):
        x, weight, targets = inputs(seed)
        loss = loss_of(side, x, weight, targets)
        found[side] = (loss.detach(), *torch.autograd.grad(loss, (x, weight)))
    pairs = zip(("loss", "x", "weight"), found["samosa"], found["dense"], strict=True)
    return {name: float((ours - dense).abs().max() / dense.abs().max()) for name, ours, dense in pairs}


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    side, seed = sys.argv[1], int(sys.argv[2])
    print(json.dumps(difference(seed) if side == "difference" else measure(side, seed)))
