"""The mix itself: decides every number before a byte of it is written, then writes rows in shuffled order.

Memory: some tens of bytes for every row that is taken and for every training row; the rows themselves stay on disk.
Disk: beside the output, the rows that are taken, once.
"""

import contextlib
import hashlib
import os
import random
import shutil
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samosa import home
from samosa.chat.conversation import Conversation, parse_line
from samosa.chat.tokenizer import load_tokenizer
from samosa.data.lines import open_lines
from samosa.data.mix.pools import Pool, Progress, chunk_bytes, read_pool
from samosa.data.mix.shares import MixSource, training_rows
from samosa.errors import SamosaError

AT_ONCE = 1 << 16  # rows whose places are looked up together


@dataclass(frozen=True)
class Share:
    """What one source gives. read >= taken = validation + rows that are trained on."""

    source: str
    read: int
    """Rows of its file."""
    taken: int
    """Of them, the sample; all where none was asked for."""
    validation: int
    """Of those, held out."""
    training: int
    """Rows trained on, every copy counted; tokens and supervised tokens are of these."""
    tokens: int
    supervised: int
    epochs: float
    """How often a row that is not held out is seen, on average."""
    supervised_share: float
    """Of all supervised tokens of the mix."""
    repeated: int
    """Rows of `taken` that say what an earlier row of the mix says."""


@dataclass(frozen=True)
class Written:
    """A file of the mix."""

    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Mixed:
    """A mix decided and not yet written. `validation` holds no conversation of `training`: the split is by content."""

    shares: list[Share]
    pools: list[Pool]
    training: NDArray[np.int64]
    """[n] rows in the order they are trained on, each as often as it is; numbered over all pools."""
    validation: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Bytes that `write` will write."""
        sizes = np.concatenate([pool.rows["size"] for pool in self.pools])
        return int(sizes[self.training].sum() + sizes[self.validation].sum())

    def write(self, training: Path, validation: Path) -> tuple[Written, Written]:
        """Write both files, a row a line; neither appears, or takes an old one's place, unless both are whole.

        Raises NotReady, at once, where the disk has too little room.
        """
        home.require_space(training, self.size)
        with ExitStack() as stack:
            first, second = (stack.enter_context(home.atomic_path(path)) for path in (training, validation))
            return _write(first, self.lines(self.training)), _write(second, self.lines(self.validation))

    def distinct(self) -> Iterator[Conversation]:
        """The rows that are trained on, each once, in the order of their pools."""
        for line in self.lines(np.unique(self.training)):
            yield parse_line(line, where="mix")

    def lines(self, rows: NDArray[np.int64]) -> Iterator[bytes]:
        """The rows with these numbers, as they are written."""
        firsts = np.cumsum([0, *(len(pool.parts) for pool in self.pools)]).astype(np.uint16)
        part = np.concatenate([pool.part + first for pool, first in zip(self.pools, firsts[:-1], strict=True)])
        start, size = (np.concatenate([pool.rows[column] for pool in self.pools]) for column in ("start", "size"))
        with ExitStack() as stack:
            files = [stack.enter_context(path.open("rb")).fileno() for pool in self.pools for path in pool.parts]
            for first in range(0, len(rows), AT_ONCE):
                some = rows[first : first + AT_ONCE]
                places = (column[some].tolist() for column in (part, size, start))
                for which, length, at in zip(*places, strict=True):
                    yield os.pread(files[which], length, at)  # mapped files would count as memory of this process


@contextlib.contextmanager
def blended(
    sources: Sequence[MixSource],
    *,
    seed: int,
    validation_share: float,
    scratch: Path,
    total: int | None = None,
    tokenizer: Path | None = None,
    workers: int = 1,
    progress: Progress = lambda result: None,
) -> Iterator[Mixed]:
    """Read, sample and split each source, and decide how often and in which order its rows are seen.

    `validation_share` in [0, 1) is the part of distinct conversations held out; `total` is for `training_rows`, whose
    errors this raises, and those of `read_pool`. `tokenizer` is the folder of the one to count with; without it
    tokens are estimated. `scratch` is a folder for the rows while the mix is open; what was killed goes on from it.
    """
    vocabulary = None if tokenizer is None else (tokenizer, load_tokenizer(tokenizer).hash)
    read = partial(
        read_pool,
        seed=seed,
        tokenizer=vocabulary,
        scratch=scratch,
        chunk_bytes=chunk_bytes([source.path for source in sources]),
        workers=workers,
        progress=progress,
    )
    try:
        pools = [read(source) for source in sources]
        yield _decided(pools, seed, validation_share, total)
    except SamosaError:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch, ignore_errors=True)


def read_rows(path: Path) -> Iterator[Conversation]:
    """Read back what was written, sources named as they were. Raises BadInput with the line of a broken row."""
    for number, (_, line) in enumerate(open_lines(path), 1):
        yield parse_line(line, where=f"{path}:{number}")


def _decided(pools: list[Pool], seed: int, validation_share: float, total: int | None) -> Mixed:
    held = [pool.held_out(validation_share) for pool in pools]
    firsts = np.cumsum([0, *(len(pool.rows) for pool in pools)])
    kept = [np.flatnonzero(~out) + first for out, first in zip(held, firsts[:-1], strict=True)]
    counts = training_rows([pool.source for pool in pools], [len(rows) for rows in kept], total=total)
    copies = [
        _copies(rows, count, f"mix:{seed}:{pool.source.name}:part")
        for rows, count, pool in zip(kept, counts, pools, strict=True)
    ]
    order = array("q", np.concatenate(copies).tobytes())
    random.Random(f"mix:{seed}").shuffle(order)  # swaps by position: what it does does not depend on what it shuffles
    validation = np.flatnonzero(np.concatenate(held))
    return Mixed(_shares(pools, held, copies, firsts), pools, np.frombuffer(order, dtype=np.int64), validation)


def _copies(rows: NDArray[np.int64], count: int, seed: str) -> NDArray[np.int64]:
    """`count` rows: all of them as often as goes, and of what is left a uniform sample, in their order."""
    if not len(rows):
        return rows
    whole, part = divmod(count, len(rows))
    drawn = sorted(random.Random(seed).sample(range(len(rows)), part))
    return np.concatenate([np.tile(rows, whole), rows[drawn]])


def _shares(
    pools: Sequence[Pool],
    held: Sequence[NDArray[np.bool_]],
    copies: Sequence[NDArray[np.int64]],
    firsts: NDArray[np.int64],
) -> list[Share]:
    repeated = _repeats(np.concatenate([pool.rows["digest"] for pool in pools]))
    supervised = [
        int(pool.rows["supervised"][rows - first].sum())
        for pool, rows, first in zip(pools, copies, firsts, strict=False)
    ]
    return [
        Share(
            source=pool.source.name,
            read=pool.read,
            taken=len(pool.rows),
            validation=int(out.sum()),
            training=len(rows),
            tokens=int(pool.rows["tokens"][rows - first].sum()),
            supervised=learnt,
            epochs=len(rows) / max(1, int((~out).sum())),
            supervised_share=learnt / max(1, sum(supervised)),
            repeated=int(repeated[first : first + len(pool.rows)].sum()),
        )
        for pool, out, rows, first, learnt in zip(pools, held, copies, firsts, supervised, strict=False)
    ]


def _repeats(digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """[n], which rows have the content of an earlier one."""
    repeated = np.ones(len(digests), dtype=np.bool_)
    repeated[np.unique(digests, return_index=True)[1]] = False
    return repeated


def _write(path: Path, lines: Iterator[bytes]) -> Written:
    rows, digest = 0, hashlib.sha256()
    with path.open("wb", buffering=1 << 20) as file:
        for line in lines:
            file.write(line)
            digest.update(line)
            rows += 1
        return Written(rows, file.tell(), digest.hexdigest())
