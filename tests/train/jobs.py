"""Small real training jobs in a home of their own, and a worker that dies where it is told to."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from samosa import home
from samosa.chat.tokenizer import load_tokenizer
from samosa.data.packing import Doc, pack_documents
from samosa.train.job import Job

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


def make_job(tag: str, *, fingerprint: str = "first", init: str | None = None, **train: Any) -> Job:
    """A job of a dozen steps under $SAMOSA_HOME, its rows written on the way."""
    tokenizer = load_tokenizer(GOLDEN / "tokenizer")
    rng = np.random.default_rng(0)
    for name, documents in (("rows", 60), ("val", 12)):
        if not (home.root() / name).exists():
            lengths = rng.integers(6, LENGTH, documents)
            docs = [Doc(ids=rng.integers(0, 256, n), mask=rng.random(n) < 0.4, source=name) for n in lengths]
            rows = pack_documents(docs, length=LENGTH, overlong="error", seed=0, pad=tokenizer.bos)
            rows.save(home.root() / name)
    return Job(
        tag=tag,
        kind="base",
        stage="pretrain",
        run_dir=str(home.run_dir(tag)),
        out_dir=str(home.checkpoint_dir("base", tag)),
        init=init,
        model_config=None if init else {**SHAPE, "vocab_size": tokenizer.vocab_size},
        rows_dir=str(home.root() / "rows"),
        val_dir=str(home.root() / "val"),
        tokenizer_dir=str(GOLDEN / "tokenizer"),
        train={**SETTINGS, **train},
        fingerprint=fingerprint,
    )


def die_before(event: int) -> None:
    """Kill this process before its n-th durable act: a rename into place or an appended line."""
    left = [event]

    def counted(act: Any) -> Any:
        def wrapper(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*args, **options)

        return wrapper

    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    home._append = counted(home._append)


if __name__ == "__main__":
    import torch

    from samosa.train import worker

    torch.set_num_threads(1)
    die_before(int(sys.argv[2]))
    sys.exit(worker.main([sys.argv[1]]))
