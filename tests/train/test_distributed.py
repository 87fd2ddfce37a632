"""Two real ranks over gloo: shared optimizer work against one rank's, and what DDP sends for a step."""

import multiprocessing
import os

import pytest
import torch
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from samosa.data.loader import Plan
from samosa.train import sharding
from samosa.train.distributed import world, wrap
from samosa.train.loop import TrainState, train
from samosa.train.objectives import NextToken
from samosa.train.optim import MuonAdamW
from tests.train.test_sharding import furthest, shapes_of, steps
from tests.train.tiny import CONFIG, LENGTH, LRS, SCHEDULE, tiny_model, uneven_rows

SHAPES = shapes_of(3, 24)
STEPS = 2
ACCUMULATION = {4: 1, 2: 2, 1: 4}
"""Rows of a micro-batch -> micro-batches of a step of 8 rows on two ranks."""

# Two tables and two value embeddings, the blocks' matrices, two value gates, the scalars and the smear gate: 45,136.
PARAMETERS = 4 * 64 * 32 + 3 * 12 * 32 * 32 + 2 * 2 * 12 + (3 + 3 + 1 + 1) + 24


def reductions(where, micro_batch):
    """Bytes of every reduction of gradients, one list a step."""
    model = wrap(tiny_model(), where)
    seen = [[]]

    def counted(group, bucket):
        seen[-1].append(bucket.buffer().nbytes)
        return allreduce_hook(group, bucket)

    model.register_comm_hook(None, counted)
    optimizer = MuonAdamW(model.module.named_parameters(), **LRS, n_embd=CONFIG.n_embd, where=where)
    plan = Plan(
        uneven_rows(),
        tokens_per_step=8 * LENGTH,
        micro_batch=micro_batch,
        seed=3,
        steps=STEPS,
        world_size=where.size,
        rank=where.rank,
    )
    train(TrainState(model, optimizer), NextToken(), plan, SCHEDULE, where, after_step=lambda _: seen.append([]))
    return seen[:-1]


def rank_main(rank, port, out):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # the store is the test's
    torch.set_num_threads(1)
    with world() as where:
        found = {"one round": steps(SHAPES, 1, torch.float32, where)[0]}
        sharding.ROUND_BYTES, sharding.WHOLE_BYTES = 1, 4 * 24 * 24
        found["many rounds"] = steps(SHAPES, 1, torch.float32, where)[0]
        found["reductions"] = {rows: reductions(where, rows) for rows in ACCUMULATION}
        torch.save(found, f"{out}.{rank}")


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("ranks") / "found.pt")
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    processes = multiprocessing.get_context("forkserver")  # torch is imported once, not by each rank
    processes.set_forkserver_preload([__name__])
    ranks = [processes.Process(target=rank_main, args=(rank, store.port, out)) for rank in (0, 1)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    return [torch.load(f"{out}.{rank}", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("cut", ["one round", "many rounds"])
def test_two_ranks_that_share_the_work_get_what_one_gets(two_ranks, cut):
    single, _ = steps(SHAPES, 1, torch.float32)
    first, second = (rank[cut] for rank in two_ranks)
    assert furthest(first, single) <= 1e-6
    assert furthest(first, second) == 0


@pytest.mark.parametrize("rows", ACCUMULATION)
def test_gradients_are_reduced_once_a_step_at_any_accumulation(two_ranks, rows):
    for rank in two_ranks:
        assert rank["reductions"][rows] == [[4 * PARAMETERS]] * STEPS
