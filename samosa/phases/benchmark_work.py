"""Scoring chunks of a benchmark, in this process or in one process a GPU; the samples do not depend on how many."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from samosa import console, home
from samosa.data.parallel import die_with_parent, end_workers
from samosa.eval.benchmarks import parts
from samosa.eval.benchmarks.kept import Line
from samosa.eval.benchmarks.parts import Asked, Lines, Part
from samosa.eval.benchmarks.settings import Benchmarks, Suite
from samosa.phases import asking


@dataclass(frozen=True)
class Work:
    """What a process has to know."""

    ref: home.CheckpointRef
    cfg: Benchmarks
    suite: Suite
    seed: int
    again: str
    """The command that goes on."""
    device: str
    dtype: str


def scored(work: Work, part: Part, chunks: list[range], nproc: int | None, what: str) -> Iterator[list[Line]]:
    """The lines of each chunk, in order. Raises as asking.load and the part's lines do."""
    progress = _Progress(what, part.total, chunks)
    processes = asking.processes(nproc, work.device, len(chunks)) if chunks else 1
    for lines in _here(work, part, chunks, progress) if processes == 1 else _spread(work, part, chunks, processes):
        progress.add(len(lines))
        yield lines


def _here(work: Work, part: Part, chunks: list[range], progress: _Progress) -> Iterator[list[Line]]:
    with asking.threads(asking.CPU_THREADS):
        make = _maker(work, part, progress)
        for chunk in chunks:
            yield list(make(chunk))


def _maker(work: Work, part: Part, progress: _Progress) -> Lines:
    from samosa.chat.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(home.tokenizer_dir())
    model = asking.load(work.ref, work.device, work.dtype, tokenizer.vocab_size)
    return part.lines(Asked(model, tokenizer, work.cfg, work.seed, progress.tokens))


def _spread(work: Work, part: Part, chunks: list[range], processes: int) -> Iterator[list[Line]]:
    context = multiprocessing.get_context("spawn")
    ranks = context.Value("i", 0)
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(work, part.name, ranks))
    try:
        yield from pool.map(_chunk, chunks)
    except BrokenProcessPool as error:
        raise asking.died() from error
    finally:
        end_workers(pool)


_make: Lines | None = None
"""In a worker: what makes the lines."""


def _begin(work: Work, name: str, ranks: Any) -> None:
    """Load questions and model once a process, on a GPU of its own where there are GPUs."""
    global _make
    die_with_parent()
    with ranks.get_lock():
        rank, ranks.value = ranks.value, ranks.value + 1
    os.environ["RANK"] = str(rank + 1)  # the parent talks
    import torch

    if work.device == "cuda":
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(asking.CPU_THREADS)
    loaded = parts.load(work.suite, work.cfg, work.ref.kind, seed=work.seed, again=work.again)
    part = next(one for one in loaded.parts if one.name == name)
    _make = _maker(work, part, _Progress(name, part.total, []))


def _chunk(places: range) -> list[Line]:
    assert _make is not None, "only in a worker"
    return list(_make(places))


class _Progress:
    """A line that says how far a part is."""

    def __init__(self, what: str, total: int, chunks: list[range]) -> None:
        self._what, self._total, self._started = what, total, time.monotonic()
        self._done = self._kept = total - sum(map(len, chunks))
        self._turns = self._tokens = 0

    def add(self, count: int) -> None:
        """So many questions are scored."""
        self._done, self._turns = self._done + count, 0
        seconds = time.monotonic() - self._started
        self._say(f"{(self._done - self._kept) / max(seconds, 1e-9):,.1f} a second")

    def tokens(self, count: int) -> None:
        """A turn of this many tokens has ended."""
        self._turns, self._tokens = self._turns + 1, self._tokens + count
        self._say(f"{self._tokens / max(time.monotonic() - self._started, 1e-9):,.0f} tok/s")

    def _say(self, rate: str) -> None:
        turns = f" + {self._turns} turns" if self._turns else ""
        seconds = time.monotonic() - self._started
        console.live_line(f"{self._what} {self._done:,}/{self._total:,}{turns}   {rate}   {seconds:.0f} s")
