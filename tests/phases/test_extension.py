"""What an extension by eight is worth: short positions stay as good, and longer documents are read better."""

import numpy as np
import pytest
import torch

from samosa import home
from samosa.cli import main
from samosa.data.loader import Batch
from samosa.data.rows import PackedRows
from samosa.model.checkpoint import load_model, load_token_bytes
from samosa.train.bpb import evaluate
from samosa.train.distributed import World

OLD, NEW = 256, 2048
SHAPE = ("depth=4", "width=96", "heads=3", "head_dim=32", "aspect=24", f"sequence_len={OLD}")
BASE = ("corpus.tokens=1000000", f"train.length={OLD}", "train.micro_batch=16", "tokenizer.chats.rows={}")
# The base's own rates: at a tenth of them so short a run does not make good what opening the windows costs.
LONGER = (
    'init="near"', "corpus.tokens=900000", "corpus.validation_tokens=100000", f"extend.sequence_len={NEW}",
    f"train.length={NEW}", "train.micro_batch=2", "train.tokens_per_step=8192", "train.warmup_steps=10",
    "train.warmdown_ratio=0.8", "train.matrix_lr=0.02", "train.embedding_lr=0.3", "train.unembedding_lr=0.008",
    "train.scalar_lr=0.5",
)  # fmt: skip


def run(verb, tag, *sets, seed):
    common = (
        *(f"shape.{value}" for value in SHAPE),
        f"corpus.seed={seed}",
        f"train.seed={seed}",
        "train.save_every=1000",
    )
    flags = [part for text in (*common, *sets) for part in ("--set", text)]
    assert main([verb, "-r", "tiny", "--nproc", "1", "--tag", tag, *flags]) == 0


def by_position(tag, rows, windows=None):
    model, _ = load_model(home.find_checkpoint(tag), windows=windows)
    arrays = zip(rows.ids, rows.positions, rows.targets, strict=True)
    batches = (Batch(*(torch.as_tensor(np.asarray(a, dtype=np.int64)[None]) for a in row)) for row in arrays)
    return evaluate(
        model, batches, load_token_bytes(home.tokenizer_dir()), World(0, 1, torch.device("cpu"))
    ).by_position


@pytest.mark.soak
def test_eight_times_the_context_costs_short_positions_nothing_and_reads_longer_ones_better(samosa_home, soak_seed):
    seed = soak_seed % 1000
    run("pretrain", "near", *BASE, seed=seed)
    run("extend", "far", *LONGER, seed=seed + 1)
    (rows,) = (r for d in samosa_home.glob("stages/*/validation") if (r := PackedRows.load(d)).length == NEW)
    near, opened, far = by_position("near", rows), by_position("near", rows, (NEW,) * 4), by_position("far", rows)
    print(f"bits per byte from position: unextended {near}, its windows opened {opened}, extended {far}")
    assert sorted(near) == [0, 256, 512, 1024]
    assert far[0] <= 1.01 * near[0]
    assert all(far[start] < min(near[start], opened[start]) for start in (256, 512, 1024))
    assert opened[1024] > near[1024]  # what an extension has to make good
