"""A checkpoint and a plan: what it said is read where it is kept, and asked where it is not, by one process or many."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from samosa import __version__, console, home
from samosa.data.parallel import die_with_parent, end_workers
from samosa.errors import NotReady, SamosaError
from samosa.eval import turns
from samosa.eval.checks import Sample
from samosa.eval.settings import Gate
from samosa.eval.turns import Plan

CPU_THREADS = 1
"""Of each process that asks on a CPU. More change the last bits of the logits, and so what is said; and with the small
models that a CPU runs two processes do more: 15,727 tokens took 3.3 s with one thread and 8.0 s with two."""


@dataclass(frozen=True)
class Asked:
    """What came of a plan."""

    samples: list[Sample]
    weights_sha256: str
    tokenizer_hash: str
    facts: dict[str, str]
    """What was decided by the machine: device, dtype and why."""
    tries: int
    """How many were asked just now; the others were kept."""


def checkpoint(ref: home.CheckpointRef, plan: Plan, *, nproc: int | None, redo: bool) -> Asked:
    """The samples of a checkpoint. Raises NotReady for a broken one and where the machine has not `nproc` of anything,
    BadInput where its vocabulary is not the tokenizer's or the turns do not fit it.
    """
    from samosa.chat.tokenizer import load_tokenizer
    from samosa.eval.runner import judged

    tokenizer = load_tokenizer(home.tokenizer_dir())
    sha256, facts = weights_sha256(ref), decided(plan.gate)
    about = about_of(ref, sha256, tokenizer.hash, plan, facts)
    path = turns.path_of(about)
    if redo:
        with home.failure_said(path):
            path.unlink(missing_ok=True)
    kept = turns.read(path, plan)
    left = turns.missing(plan, kept)
    tries = sum(len(plan.batches[number]) for number in left)
    _say(ref, plan, tries, facts)
    if left:
        _ask(_Work(ref, plan, path, about), left, processes(nproc, facts["device"], len(left)))
        kept = turns.read(path, plan)
    return Asked(judged(plan, kept, tokenizer), sha256, tokenizer.hash, facts, tries)


def weights_sha256(ref: home.CheckpointRef) -> str:
    """The SHA-256 of the weights, by which samples are kept: a tag may come to mean others. Raises NotReady for files
    that are not what their manifest says.
    """
    from samosa.model.checkpoint import read_manifest
    from samosa.model.manifest import verify

    if not verify(ref, [ref.model_path, ref.meta_path]):
        return home.sha256_file(ref.model_path)  # others wrote it
    manifest = read_manifest(ref)
    assert manifest is not None
    return str(manifest["files"][ref.model_path.name]["sha256"])


def decided(gate: Gate) -> dict[str, str]:
    """On what and in which numbers the model runs. Raises NotReady where the gate wants what is not here."""
    import torch

    from samosa.model.precision import choose_dtype

    if gate.device == "cuda" and not torch.cuda.is_available():
        raise NotReady("gate.device is cuda and torch finds no GPU here", hint="--set gate.device=auto")
    name = ("cuda" if torch.cuda.is_available() else "cpu") if gate.device == "auto" else gate.device
    dtype, reason = choose_dtype(gate.dtype, torch.device(name))
    return {"device": name, "dtype": str(dtype).removeprefix("torch."), "dtype_reason": reason}


def processes(nproc: int | None, device: str, batches: int) -> int:
    """How many processes ask: what was asked for, else one a GPU; no more than there are batches.

    Raises NotReady for more than one a GPU.
    """
    from samosa.train.hardware import gpus

    cards = len(gpus()) or 1 if device == "cuda" else None
    if nproc is not None and cards is not None and nproc > cards:
        raise NotReady(f"--nproc {nproc} asks for {nproc} GPUs, this machine has {cards}", hint=f"use --nproc {cards}")
    return min(nproc or cards or 1, batches)


def load(ref: home.CheckpointRef, device: str, dtype: str, vocab_size: int) -> Any:
    """The model, ready to be asked. Raises NotReady and BadInput as `checkpoint` does."""
    import torch

    from samosa.model.checkpoint import load_model
    from samosa.model.config import check_vocab
    from samosa.model.precision import DTYPES

    model, _ = load_model(ref, device=torch.device(device), compute_dtype=DTYPES[dtype])
    model.eval()
    check_vocab(model.config, vocab_size, ref.name)
    return model


def about_of(
    ref: home.CheckpointRef, sha256: str, tokenizer_hash: str, plan: Plan, facts: dict[str, str]
) -> dict[str, Any]:
    """All that decides what the model says; the tag is not among it."""
    return {
        "weights_sha256": sha256,
        "meta_sha256": home.sha256_file(ref.meta_path) if ref.meta_path.is_file() else "",
        "tokenizer_hash": tokenizer_hash,
        "suite_hash": plan.suite_hash,
        "seed": plan.seed,
        "settings": plan.asked(),
        "device": facts["device"],
        "dtype": facts["dtype"],
        "samosa": __version__,
        "torch": metadata.version("torch"),
    }


def _say(ref: home.CheckpointRef, plan: Plan, tries: int, facts: dict[str, str]) -> None:
    total = sum(map(len, plan.batches))
    where = f"({facts['device']}, {facts['dtype']})"
    if tries and ref.kind == "base":
        console.warn(f"{ref.name} is a base model: it was taught no conversations, and seldom ends a turn")
    if tries == total:
        console.say(f"asking {ref.name} {total} times: {len(plan.probes)} probes, seed {plan.seed} {where}")
    elif tries:
        console.say(f"asking {ref.name} the {tries} of {total} tries that are not kept yet, seed {plan.seed} {where}")
    else:
        console.say(f"{ref.name} was asked all {total} tries before, seed {plan.seed} (--redo asks again)")


@dataclass(frozen=True)
class _Work:
    """What a process has to know."""

    ref: home.CheckpointRef
    plan: Plan
    path: Path
    about: dict[str, Any]


def _ask(work: _Work, left: Sequence[int], nproc: int) -> None:
    """Ask the batches that are left, each process every nproc-th of them."""
    if nproc == 1:
        _share(work, left)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(nproc, mp_context=context, initializer=die_with_parent)
    try:
        ranks = [pool.submit(_rank, rank, work, left[rank::nproc]) for rank in range(nproc)]
        for rank in ranks:
            rank.result()
    except BrokenProcessPool as error:
        raise died() from error
    finally:
        end_workers(pool)


def died() -> SamosaError:
    """What to say of a process of the pool that is gone."""
    return SamosaError(
        "a process that asked died: out of memory, or somebody killed it",
        hint="run the same command again, with a smaller --nproc: what was said is kept",
    )


def _rank(rank: int, work: _Work, left: Sequence[int]) -> None:
    """One process's share, on a GPU of its own where there are GPUs."""
    os.environ["RANK"] = str(rank)  # only rank 0 talks
    if work.about["device"] == "cuda":
        import torch

        torch.cuda.set_device(rank)
    _share(work, left)


def _share(work: _Work, left: Sequence[int]) -> None:
    from samosa.chat.tokenizer import load_tokenizer
    from samosa.eval.runner import ask

    tokenizer = load_tokenizer(home.tokenizer_dir())
    with threads(CPU_THREADS):
        model = load(work.ref, work.about["device"], work.about["dtype"], tokenizer.vocab_size)
        ask(model, tokenizer, work.plan, left, lambda number, batch: turns.keep(work.path, work.about, number, batch))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with this many threads for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
