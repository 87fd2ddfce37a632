"""A model, rows and runs small enough for tests, importable by the processes that tests start."""

import os
from typing import Any

import numpy as np
import torch

from samosa.data.loader import Plan
from samosa.data.packing import Doc, pack_documents
from samosa.data.rows import PackedRows
from samosa.model.config import ModelConfig
from samosa.model.gpt import GPT
from samosa.train.distributed import World, world, wrap
from samosa.train.loop import StepReport, TrainState, train
from samosa.train.objectives import NextToken
from samosa.train.optim import MuonAdamW
from samosa.train.schedule import FinetuneSchedule, StepHyper

LENGTH, VOCAB = 32, 64
LRS = {"matrix_lr": 0.02, "embedding_lr": 0.3, "unembedding_lr": 0.004, "scalar_lr": 0.5}
SCHEDULE = FinetuneSchedule(warmup_ratio=0.0, warmdown_ratio=0.5, final_lr_frac=0.0, weight_decay=0.1)
CONFIG = ModelConfig(
    sequence_len=LENGTH, vocab_size=VOCAB, n_layer=3, n_head=2, n_kv_head=2, n_embd=32, window_pattern="L"
)
ALONE = World(0, 1, torch.device("cpu"))


def uneven_rows() -> PackedRows:
    """Eight rows of two documents, supervised from hardly to wholly; three rows not at all."""
    rng = np.random.default_rng(0)
    packed = []
    for share in (0.03, 0.0, 1.0, 0.5, 0.0, 0.2, 0.0, 0.9):
        docs = [Doc(ids=rng.integers(0, VOCAB, n), mask=rng.random(n) < share) for n in (20, 12)]
        packed.append(pack_documents(docs, length=LENGTH, overlong="error", seed=0, pad=0))
    ids, targets, positions = (
        np.concatenate([getattr(p, name) for p in packed]) for name in ("ids", "targets", "positions")
    )
    return PackedRows(ids=ids, targets=targets, positions=positions, counts={"nll": (targets >= 0).sum(axis=1)})


def tiny_model(dtype: torch.dtype = torch.float32) -> GPT:
    """Weights with something in every matrix, so that every gradient is alive."""
    generator = torch.Generator().manual_seed(0)
    model = GPT(CONFIG)
    model.init_weights(generator)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(torch.randn(param.shape, generator=generator) * 0.05)
    return model.to(dtype)


class Recording(MuonAdamW):
    """Keeps each step's gradients, by parameter name."""

    grads: list[dict[str, torch.Tensor]]

    def step(self, hyper: StepHyper) -> None:
        self.grads.append({name: p.grad.clone() for name, p in self.params.items() if p.grad is not None})
        super().step(hyper)


class NanOnce(NextToken):
    """A loss that is not finite in one forward pass of one rank."""

    def __init__(self, rank: int) -> None:
        self.rank, self.calls = rank, 0

    def loss(self, model: torch.nn.Module, batch: Any) -> Any:
        sums, stats = super().loss(model, batch)
        self.calls += 1
        return ({"nll": sums["nll"] * float("nan")}, stats) if (self.rank, self.calls) == (1, 2) else (sums, stats)


def run_steps(
    where: World, *, micro_batch: int, dtype: torch.dtype, steps: int = 5, objective: NextToken | None = None
) -> dict[str, Any]:
    """Train a few steps of eight rows. What came of it: weights, gradients, losses, and which steps were skipped."""
    model = tiny_model(dtype)
    optimizer = Recording(model.named_parameters(), **LRS, n_embd=CONFIG.n_embd, where=where)
    optimizer.grads = []
    state = TrainState(wrap(model, where), optimizer)
    reports: list[StepReport] = []
    plan = Plan(
        uneven_rows(),
        tokens_per_step=8 * LENGTH,
        micro_batch=micro_batch,
        seed=3,
        steps=steps,
        world_size=where.size,
        rank=where.rank,
    )
    train(state, objective or NextToken(), plan, SCHEDULE, where, after_step=reports.append)
    return {
        "weights": {name: p.detach().clone() for name, p in model.named_parameters()},
        "grads": optimizer.grads,
        "losses": [report.loss for report in reports],
        "norms": [report.grad_norm for report in reports],
        "skipped": [report.skipped for report in reports],
    }


def rank_main(rank: int, size: int, port: int, out: str) -> None:
    """One of several gloo ranks on the loopback: runs every case and saves what came of it."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # the store is the test's, as it is torchrun's otherwise
    torch.set_num_threads(1)
    with world() as where:
        results = {
            "float64": {m: run_steps(where, micro_batch=m, dtype=torch.float64) for m in (1, 4)},
            "float32": {m: run_steps(where, micro_batch=m, dtype=torch.float32, steps=1) for m in (2,)},
            "nan": run_steps(where, micro_batch=4, dtype=torch.float32, steps=3, objective=NanOnce(rank)),
        }
        torch.save(results, f"{out}.{rank}")
