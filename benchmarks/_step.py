"""One side of the fine-tuning step's measurement: `python -m benchmarks._step SIDE SEED`.

One optimizer step, forward to update, of a d6-like model in fp32 on conversations of chat-like length, V = 32,768. All
sides take the same conversations: the baseline padded (batches of 8), the baseline packed in rows of 4,096 (logits of
all positions, the same attention inside documents), and samosa's own loop on a packed row. The step measured is the
second; the first, of a few tokens, sets up what is lazy. Making the batch is outside the clock on the baseline's sides.
"""

import json
import sys
import time

import numpy as np
import torch

from benchmarks._packing import LENGTH, SUPERVISED, lengths_of
from benchmarks._sides import THREADS
from benchmarks.baselines.sft_step import PerTensorMuonAdamW, dense_loss, packed_batches, padded_batches
from samosa.data.loader import Plan
from samosa.data.packing import Doc, pack_documents
from samosa.data.rows import PackedRows
from samosa.model.config import ModelConfig
from samosa.model.gpt import GPT
from samosa.train.distributed import World
from samosa.train.loop import TrainState, train
from samosa.train.objectives import NextToken
from samosa.train.optim import MuonAdamW
from samosa.train.schedule import FinetuneSchedule

VOCAB, CONVERSATIONS, PAD = 32_768, 400, 0
CONFIG = ModelConfig(
    sequence_len=LENGTH, vocab_size=VOCAB, n_layer=6, n_head=3, n_kv_head=3, n_embd=384, window_pattern="SSSL"
)
Row = tuple[list[int], list[int]]


def conversations(seed: int, lengths: np.ndarray) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [(rng.integers(1, VOCAB, n).tolist(), (rng.random(n) < SUPERVISED).astype(int).tolist()) for n in lengths]


def baseline(side: str, rows: list[Row], warm: list[Row]) -> dict[str, float]:
    """The plain step, padded or packed."""
    model, seconds, supervised = new_model(), 0.0, 0
    optimizer = PerTensorMuonAdamW(model)
    for these in (warm, rows):
        if side == "padded":
            x, y = next(padded_batches(these, 8, PAD))
            logits = model
        else:
            x, y, (starts,) = next(packed_batches(these, LENGTH, 1, PAD))
            width = max(1, int(torch.nonzero(y[0] >= 0).max()) + 2) if these is warm else LENGTH
            x, y = x[:, :width], y[:, :width]
            position = torch.arange(width) - torch.tensor([max(s for s in starts if s <= i) for i in range(width)])
            logits = lambda ids, position=position: model(ids, positions=position[None])  # noqa: E731
        began = time.perf_counter()
        dense_loss(logits, x, y).backward()
        optimizer.step()
        seconds, supervised = time.perf_counter() - began, int((y >= 0).sum())
    return {"seconds": seconds, "supervised": supervised, "tokens": x.numel(), "rate": supervised / seconds}


def samosa(rows: list[Row], warm: list[Row], seed: int) -> dict[str, float]:
    """The training loop's step, making the batch and looking for what is not finite included."""
    model = new_model()
    rates = {"matrix_lr": 0.02, "embedding_lr": 0.3, "unembedding_lr": 0.004, "scalar_lr": 0.5}
    state = TrainState(model, MuonAdamW(model.named_parameters(), **rates, n_embd=CONFIG.n_embd))
    schedule = FinetuneSchedule(warmup_ratio=0, warmdown_ratio=0, final_lr_frac=1, weight_decay=0, init_lr_frac=1)
    seconds, plan = 0.0, None
    for these, length in ((warm, 128), (rows, LENGTH)):
        docs = [Doc(ids=ids, mask=mask) for ids, mask in these]
        packed = full_rows(pack_documents(docs, length=length, overlong="error", seed=seed, pad=PAD))
        plan = Plan(packed, tokens_per_step=length, micro_batch=1, seed=seed, steps=1)
        state.step, began = 0, time.perf_counter()
        train(state, NextToken(), plan, schedule, World(0, 1, torch.device("cpu")), after_step=lambda report: None)
        seconds = time.perf_counter() - began
    assert plan is not None and state.skipped == 0
    supervised = plan.counts(0)["nll"]
    return {"seconds": seconds, "supervised": supervised, "tokens": LENGTH, "rate": supervised / seconds}


def full_rows(rows: PackedRows) -> PackedRows:
    """Rows without the few that hold what is left over: of a few dozen rows one such weighs too much."""
    filled = (rows.positions > 0).sum(axis=1)
    keep = filled >= np.median(filled) * 0.9
    counts = {term: count[keep] for term, count in rows.counts.items()}
    return PackedRows(rows.ids[keep], rows.targets[keep], rows.positions[keep], counts, rows.accounts, rows.pad)


def new_model() -> GPT:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    model.init_weights()
    return model


def main(side: str, seed: int) -> dict[str, float]:
    rows = conversations(seed, lengths_of("chat", CONVERSATIONS, np.random.default_rng(seed)))
    warm = conversations(seed, np.full(8, 16))
    return samosa(rows, warm, seed) if side == "samosa" else baseline(side, rows, warm)


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
