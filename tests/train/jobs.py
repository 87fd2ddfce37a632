"""Small real training jobs in a home of their own, and processes that die where they are told to."""

import itertools
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from samosa import home
from samosa.chat.tokenizer import load_tokenizer
from samosa.data.packing import Doc, pack_documents
from samosa.model.checkpoint import load_model
from samosa.train import rank, worker
from samosa.train.distributed import World, world
from samosa.train.job import Job, complete_checkpoints, write_job
from samosa.train.stop import StopFlag
from tests.train.tiny import ALONE

GOLDEN = Path(__file__).parents[1] / "golden"
LENGTH = 32
SETTINGS: dict[str, Any] = {
    "length": LENGTH,
    "tokens_per_step": 4 * LENGTH,
    "micro_batch": 2,
    "steps": 12,
    "matrix_lr": 0.02,
    "embedding_lr": 0.3,
    "unembedding_lr": 0.004,
    "scalar_lr": 0.5,
    "init_lr_frac": 1.0,
    "weight_decay": 0.1,
    "muon_variant": "upstream",
    "schedule": "progress",
    "warmup_ratio": 0.0,
    "warmdown_ratio": 0.5,
    "final_lr_frac": 0.0,
    "dtype": "float32",
    "attention": "auto",
    "allow_fallback": True,
    "compile": False,
    "activation_checkpointing": False,
    "fp8": False,
    "eval_every": 4,
    "spike_factor": 0,
    "max_strikes": 0,
    "save_every": 3,
    "keep": 0,
    "keep_every": 0,
    "keep_best": False,
    "seed": 1,
    "overlong": "error",
    "wandb": "off",
}
SHAPE = {"sequence_len": LENGTH, "n_layer": 2, "n_head": 1, "n_kv_head": 1, "n_embd": 32, "window_pattern": "L"}


def make_job(
    tag: str, *, fingerprint: str = "first", init: str | None = None, stage: str = "pretrain", **train: Any
) -> Job:
    """A job of a dozen steps under $SAMOSA_HOME, its rows written on the way.

    cpt, sft and extend need an `init`; extend doubles the row, widens the windows and raises the RoPE base.
    """
    tokenizer = load_tokenizer(GOLDEN / "tokenizer")
    length = 2 * LENGTH if stage == "extend" else LENGTH
    for name, documents in (("rows", 60), ("val", 12)):
        if not (home.root() / f"{name}-{length}").exists():
            rng = np.random.default_rng(0 if name == "rows" else 1)
            lengths = rng.integers(6, length, documents)
            docs = [Doc(ids=rng.integers(0, 256, n), mask=rng.random(n) < 0.4, source=name) for n in lengths]
            rows = pack_documents(docs, length=length, overlong="error", seed=0, pad=tokenizer.bos)
            rows.save(home.root() / f"{name}-{length}")
    kind = "chat" if stage == "sft" else "base"
    return Job(
        tag=tag,
        kind=kind,
        stage=stage,  # type: ignore[arg-type]
        run_dir=str(home.run_dir(tag)),
        out_dir=str(home.checkpoint_dir(kind, tag)),
        init=init,
        model_config=None if init else {**SHAPE, "vocab_size": tokenizer.vocab_size},
        reshape={"windows": [length, length], "rope_base": 200_000.0} if stage == "extend" else None,
        rows_dir=str(home.root() / f"rows-{length}"),
        val_dir=str(home.root() / f"val-{length}"),
        tokenizer_dir=str(GOLDEN / "tokenizer"),
        train={**SETTINGS, "length": length, **train},
        fingerprint=fingerprint,
    )


def on_durable_acts(do: Callable[[int], None]) -> None:
    """Have `do` called with 1, 2, ... before each durable act of this process: a file named, deleted or appended to."""
    numbers = itertools.count(1)

    def counted(act: Any) -> Any:
        def wrapper(*args: Any, **options: Any) -> Any:
            do(next(numbers))
            return act(*args, **options)

        return wrapper

    for name in ("replace", "rename", "unlink"):
        setattr(Path, name, counted(getattr(Path, name)))
    home._append = counted(home._append)


def train_until(job_path: str, event: int, number: int, samosa_home: str) -> None:
    """What a process of its own does: train, and send itself a signal before its n-th durable act."""
    os.environ["SAMOSA_HOME"] = samosa_home
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    torch.set_num_threads(1)
    on_durable_acts(lambda act: os.kill(os.getpid(), number) if act == event else None)
    sys.exit(rank.main([job_path]))


class AskedFor(StopFlag):
    """Asked to stop from the n-th look on: the first is before the first step, then one in each step."""

    def __init__(self, looks: int) -> None:
        super().__init__("SIGINT")
        self.looks = looks

    def asked(self) -> bool:
        self.looks -= 1
        return self.looks < 1


def rank_main(number: int, size: int, port: int, samosa_home: str, work: Callable[[World], None]) -> None:
    """What one of several gloo ranks on the loopback does."""
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(size), "LOCAL_RANK": str(number)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "SAMOSA_HOME": samosa_home}
    torch.set_num_threads(1)
    with world() as where:
        work(where)


def on_two_ranks(work: Callable[[World], None]) -> list[int | None]:
    """The exit codes of two ranks that both do the work."""
    # The store is here, on a port the system gave, so that two tests at once never take the same one.
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    ranks = [
        _processes().Process(target=rank_main, args=(number, 2, store.port, str(home.root()), work))
        for number in (0, 1)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    return [process.exitcode for process in ranks]


def stop_one_and_end_the_other(where: World, stops: Job, ends: Job) -> None:
    """Train `stops` until rank 1 alone is asked to stop, in step 6; then `ends` to its end."""
    worker.run(stops, where, AskedFor(7) if where.rank == 1 else StopFlag())
    worker.run(ends, where, StopFlag())


def signalled(job: Job, event: int, number: signal.Signals) -> int | None:
    """The exit code of a process that trains the job and gets a signal before its n-th durable act."""
    arguments = (str(write_job(job)), event, int(number), str(home.root()))
    process = _processes().Process(target=train_until, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def _processes() -> Any:
    """Makes processes that need not import torch: one did, and they are forked from it."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.train.jobs"])
    return processes


def train_here(job: Job, stop: StopFlag | None = None, where: World = ALONE) -> list[home.CheckpointRef]:
    """Train the job in this process and give its checkpoints."""
    write_job(job)
    job.marker_path.unlink(missing_ok=True)
    worker.run(job, where, stop or StopFlag())
    return complete_checkpoints(job)


def weights(ref: home.CheckpointRef) -> dict[str, torch.Tensor]:
    return load_model(ref)[0].state_dict()


def same_bits(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def metrics(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.metrics_path.read_text().splitlines()]
