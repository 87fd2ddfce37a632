"""Runs that go on with another number of ranks: real gloo processes, in float64, against the uninterrupted run."""

import json
import os

import torch

from samosa.model.checkpoint import load_model, load_train_state
from samosa.train import worker
from samosa.train.distributed import world
from samosa.train.job import complete_checkpoints, read_job, write_job
from samosa.train.stop import StopFlag
from tests.train.jobs import make_job
from tests.train.tiny import ALONE

STEPS, HALF = 6, 3
SETTINGS = {"steps": STEPS, "save_every": 0, "eval_every": 0, "dtype": "float64"}


class AskedAfter(StopFlag):
    """Asked to stop within a step; the first look is before the first step."""

    def __init__(self, steps):
        super().__init__("SIGTERM")
        self.looks = steps

    def asked(self):
        self.looks -= 1
        return self.looks < 0


def rank_main(rank, port, first, second):
    """One of two ranks: the first half of one run, the second half of another."""
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_RANK": str(rank),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    with world() as where:
        worker.run(read_job(first), where, AskedAfter(HALF))
        worker.run(read_job(second), where, StopFlag())


def here(job, stop=None):
    worker.run(job, ALONE, stop or StopFlag())
    return complete_checkpoints(job)[-1]


def furthest(ours, theirs):
    """The largest distance of any number in nested mappings of tensors."""
    if isinstance(theirs, torch.Tensor | int):
        return torch.as_tensor(ours - theirs).abs().max().item()
    assert ours.keys() == theirs.keys()
    return max(furthest(ours[name], theirs[name]) for name in theirs)


def test_a_run_goes_on_with_half_and_with_twice_the_ranks(samosa_home):
    torch.set_num_threads(1)
    whole = here(make_job("whole", **SETTINGS))
    fewer, more = make_job("fewer", **SETTINGS), make_job("more", **SETTINGS)
    here(more, AskedAfter(HALF))
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    torch.multiprocessing.spawn(rank_main, args=(store.port, write_job(fewer), write_job(more)), nprocs=2)
    halves = [complete_checkpoints(fewer)[-1], complete_checkpoints(more)[0]]
    assert [ref.step for ref in halves] == [HALF, HALF]
    parts = [json.loads((ref.train_dir / "index.json").read_text())["parts"] for ref in halves]
    assert [len(index) for index in parts] == [2, 1] and all(part["names"] for part in parts[0])
    for ref in (here(fewer), complete_checkpoints(more)[-1]):
        assert ref.step == STEPS
        assert furthest(load_model(ref)[0].state_dict(), load_model(whole)[0].state_dict()) < 1e-6
        assert furthest(load_train_state(ref)["optimizer"], load_train_state(whole)["optimizer"]) < 1e-6
