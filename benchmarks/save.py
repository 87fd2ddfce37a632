"""How long training stands still for a save of more than 1 GB, and how much slower the steps behind it are.

`python -m benchmarks.save` trains a model on the processor (or a GPU where there is one) and saves three times, with
steps going on meanwhile; the first save is not counted, because its files and memory are new.
"""

import json
import statistics
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import torch

from samosa.model.config import ModelConfig
from samosa.model.gpt import GPT
from samosa.model.tensors import size_of
from samosa.train.distributed import World
from samosa.train.job import Job
from samosa.train.loop import TrainState
from samosa.train.optim import MuonAdamW
from samosa.train.saving import Checkpoints
from samosa.train.schedule import StepHyper
from samosa.train.session import Start

LENGTH = 64  # tokens a step: few, so that many steps fall into a save
SAVES = 3
RATES = {"matrix_lr": 0.02, "embedding_lr": 0.3, "unembedding_lr": 0.004, "scalar_lr": 0.5}
STEPS = {"length": LENGTH, "tokens_per_step": LENGTH, "micro_batch": 1, "steps": 1000, "weight_decay": 0.0, "keep": 1}


def measure() -> dict[str, float]:
    """Of the later saves: bytes, seconds in the call and of the whole save, their quotient, and the steps' slowdown.

    save_stall_share is the first by the second; later_step_slowdown is the median step during a save by the median
    step without one.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        checkpoints, step = _set_up(Path(folder), device)
        step()
        alone = [step() for _ in range(5)]
        calls, saves, during = [], [], []
        for number in range(1, SAVES + 1):
            call, save, steps = _save(checkpoints, number, step)
            if number > 1:
                calls.append(call)
                saves.append(save)
                during += steps
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.pt"))
    return {
        "bytes": float(size),
        "call_seconds": statistics.median(calls),
        "save_seconds": statistics.median(saves),
        "save_stall_share": sum(calls) / sum(saves),
        "step_seconds": statistics.median(alone),
        "later_step_slowdown": statistics.median(during) / statistics.median(alone),
    }


def _save(checkpoints: Checkpoints, number: int, step: Any) -> tuple[float, float, list[float]]:
    """Seconds in the call, seconds until the manifest is on disk, and those of the steps meanwhile."""
    began = time.perf_counter()
    checkpoints.save(number)
    call, steps = time.perf_counter() - began, []
    while not checkpoints.done():
        steps.append(step())
    checkpoints.wait()
    return call, time.perf_counter() - began - (steps[-1] / 2 if steps else 0.0), steps


def _set_up(folder: Path, device: torch.device) -> tuple[Checkpoints, Any]:
    torch.manual_seed(0)
    config = ModelConfig(
        sequence_len=LENGTH, vocab_size=65536, n_layer=1, n_head=4, n_kv_head=4, n_embd=512, window_pattern="L"
    )
    model = GPT(config)
    model.init_weights(torch.Generator().manual_seed(0))
    model.to(device)
    optimizer = MuonAdamW(model.named_parameters(), **RATES, n_embd=512)
    ids = torch.randint(0, 65536, (1, LENGTH), device=device)
    hyper = StepHyper(lr=0.1, momentum=0.95, weight_decay=0.0)
    recipe = tomllib.loads((Path(__file__).parents[1] / "configs" / "pretrain.toml").read_text())
    out = folder / "base_checkpoints" / "bench"
    job = Job(
        tag="bench", kind="base", stage="pretrain", run_dir=str(folder), out_dir=str(out), init=None, model_config={},
        rows_dir="", val_dir=None, tokenizer_dir="", train={**recipe["train"], **RATES, **STEPS}, fingerprint="bench",
    )  # fmt: skip
    state = TrainState(model, optimizer)
    checkpoints = Checkpoints(
        job, state, Start(model, "fresh weights", 0, None), 1000, torch.float32, World(0, 1, device)
    )
    assert size_of(optimizer.live_state()) + size_of(dict(model.state_dict())) >= 1e9

    def step() -> float:
        began = time.perf_counter()
        model(ids).float().logsumexp(-1).sum().backward()
        optimizer.step(hyper)
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return checkpoints, step


if __name__ == "__main__":
    print(json.dumps({name: round(value, 4) for name, value in measure().items()}, indent=1))
