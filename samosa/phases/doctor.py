"""The doctor: what a command needs from this machine and what it found, before anything is spent."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from samosa import home, secrets
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.model.config import ModelConfig, check_vocab
from samosa.phases.settings import MixSource
from samosa.phases.sizes import memory_bytes
from samosa.train import hardware, switches
from samosa.train.launch import check_nproc
from samosa.train.settings import Train


@dataclass(frozen=True)
class Check:
    """One thing that is needed, and what was found."""

    name: str
    found: str
    error: SamosaError | None = None
    """What running without it would end with."""

    @property
    def mark(self) -> str:
        return "✓" if self.error is None else "✗"


def missing(name: str, error: SamosaError) -> Check:
    """A check that failed, told with its error's own words."""
    return Check(name, f"{error.message}; {error.hint}", error)


def raise_first(checks: Iterable[Check]) -> None:
    """Raise the first error among the checks, if there is one."""
    for check in checks:
        if check.error is not None:
            raise check.error


def processes(asked: int | None) -> int:
    """How many processes train: as many as asked for, else one a GPU, else two where there are two cores.

    Two processes of one thread each stood at 5,900 tokens/s beside other work on two cores where one of two threads
    fell to 1,300: threads that wait for each other in every operator wait for the slower core each time.
    """
    return asked or len(hardware.gpus()) or min(2, hardware.cores())


def check_processes(nproc: int) -> Check:
    """Whether the machine has a GPU, or else a core, for every process."""
    try:
        check_nproc(nproc)
    except NotReady as error:
        return missing("machine", error)
    gpus = hardware.gpus()
    have = f"{len(gpus)} x {gpus[0]}" if gpus else f"{hardware.cores()} cores, no GPU"
    return Check("machine", f"{have}; training in {nproc} process{'es' if nproc > 1 else ''}")


def check_memory(config: ModelConfig, train: Train, nproc: int) -> Check:
    """Whether every process's share of the training fits, about."""
    need = memory_bytes(config, train, nproc)
    total = _gpu_memory() if hardware.gpus() else _memory() // nproc
    found = f"{need / 1e9:.1f} GB a process of {total / 1e9:.1f} GB (estimated)"
    if need <= total:
        return Check("memory", found)
    error = NotReady(
        f"training needs about {need / 1e9:.1f} GB a process and there are {total / 1e9:.1f} GB",
        hint="--set train.micro_batch=1 needs less memory and gives the same result, or take a larger machine",
    )
    return missing("memory", error)


def check_disk(config: ModelConfig, train: Train, steps: int) -> Check:
    """Whether the home can be written and the checkpoints a run leaves behind fit on its disk."""
    saves = -(-steps // train.save_every) if train.save_every else 1
    if train.keep:  # and one: a new one is whole before an old one goes
        kept = train.keep + 1 + train.keep_best + (steps // train.keep_every if train.keep_every else 0)
        saves = min(saves, kept)
    params = config.n_params()
    one = 4 * params["total"] + 4 * params["transformer_matrices"]
    one += 8 * (params["total"] - params["transformer_matrices"])
    try:
        home.require_writable(home.root())
        home.require_space(home.root(), saves * one)
    except NotReady as error:
        return missing("disk", error)
    return Check("disk", f"room for {saves} checkpoint{'s' if saves > 1 else ''} of {one / 1e9:.2f} GB")


def check_backend(train: Train) -> Check:
    """Whether the attention backend asked for can be had."""
    if train.attention == "varlen" and not hardware.gpus() and not train.allow_fallback:
        error = NotReady(
            "train.attention is varlen, which needs a CUDA GPU", hint="--set train.attention=auto takes what is here"
        )
        return missing("attention", error)
    return Check("attention", train.attention)


def check_switches(train: Train) -> list[Check]:
    """Whether this machine has shown that it computes right with the switches that are on; without any, nothing."""
    on = switches.asked(train)
    if not on:
        return []
    try:
        switches.require(train)
    except NotReady as error:
        return [missing("self-test", error)]
    return [Check("self-test", f"passed here for {', '.join(on)}")]


def check_keys(train: Train) -> list[Check]:
    """Whether the keys that the recipe needs are here; without any such need, nothing."""
    if train.wandb != "online":
        return []
    if secrets.get("WANDB_API_KEY"):
        return [Check("keys", "WANDB_API_KEY")]
    error = NotReady("train.wandb is online and WANDB_API_KEY is not set", hint="--set train.wandb=offline, or set it")
    return [missing("keys", error)]


def check_sources(sources: Sequence[MixSource]) -> list[Check]:
    """Whether the files of the mix are here; a missing optional one is said, a missing required one is an error."""
    checks = []
    for source in sources:
        if source.path is None:
            continue
        path = source_path(source)
        if path.is_file():
            checks.append(Check(f"data {source.name}", f"{path} ({path.stat().st_size / 1e6:.1f} MB)"))
        elif source.optional:
            checks.append(Check(f"data {source.name}", f"{path} is not here; optional, so the mix goes without it"))
        else:
            error = BadInput(
                f"{source.name}: {path} does not exist",
                hint="put it there, or say optional = true for it in the recipe's mix.sources",
            )
            checks.append(missing(f"data {source.name}", error))
    return checks


def source_path(source: MixSource) -> Path:
    """Where a pool's file is: its path, relative to $SAMOSA_HOME."""
    assert source.path is not None
    return home.root() / Path(source.path).expanduser()


def check_tokenizer(config: ModelConfig, name: str) -> Check:
    """Whether the tokenizer is here and has the checkpoint's vocabulary."""
    from samosa.chat.tokenizer import load_tokenizer

    try:
        tokenizer = load_tokenizer(home.tokenizer_dir())
        check_vocab(config, tokenizer.vocab_size, name)
    except SamosaError as error:
        return missing("tokenizer", error)
    return Check("tokenizer", f"{tokenizer.vocab_size:,} tokens, as {name} has")


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gpu_memory() -> int:
    """Bytes of the smallest GPU, 0 where nvidia-smi does not say."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    if not shutil.which(command[0]):
        return 0
    listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    sizes = [int(text) for text in listed.stdout.split() if text.isdigit()]
    return min(sizes, default=0) * 2**20
