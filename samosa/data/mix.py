"""Blends sources into one training set: so many copies of each, in an order that only the recipe decides."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samosa import home
from samosa.chat.conversation import Conversation, parse_row, read_jsonl, to_row

VERSION = "1"  # part of a mix's fingerprint


@dataclass(frozen=True)
class MixSource:
    """A file of conversations and how often each of its rows is seen in an epoch."""

    name: str
    path: Path
    repeat: int
    rows: int | None = None
    """Take a seeded uniform sample of this many rows, or all."""


@dataclass(frozen=True)
class Share:
    """What a source gave: distinct rows read, sampled, held out for validation, and rows after repetition."""

    source: str
    read: int
    taken: int
    validation: int
    repeat: int
    training: int


@dataclass(frozen=True)
class Mixed:
    """A blended set. `validation` holds no conversation of `training`: the split is by content, before repetition."""

    training: list[Conversation]
    validation: list[Conversation]
    shares: list[Share]


def blend(sources: Sequence[MixSource], *, seed: int, validation_share: float) -> Mixed:
    """Read, sample, split and repeat each source, then shuffle: the same files and numbers give the same order.

    `validation_share` in [0, 1) is the part of distinct conversations held out. Raises BadInput for broken rows.
    """
    training: list[Conversation] = []
    validation: list[Conversation] = []
    shares = []
    for source in sources:
        rows = list(read_jsonl(source.path, source=source.name))
        taken = rows if source.rows is None or source.rows >= len(rows) else _sample(rows, source, seed)
        held_out = [row for row in taken if _is_held_out(row, validation_share)]
        kept = [row for row in taken if not _is_held_out(row, validation_share)]
        training += kept * source.repeat
        validation += held_out
        shares.append(
            Share(source.name, len(rows), len(taken), len(held_out), source.repeat, len(kept) * source.repeat)
        )
    random.Random(f"mix:{seed}").shuffle(training)
    return Mixed(training, validation, shares)


def _sample(rows: list[Conversation], source: MixSource, seed: int) -> list[Conversation]:
    """Take a uniform sample in file order, so that another count of another source does not change it."""
    chosen = random.Random(f"mix:{seed}:{source.name}").sample(range(len(rows)), source.rows or 0)
    return [rows[index] for index in sorted(chosen)]


def _is_held_out(row: Conversation, share: float) -> bool:
    text = json.dumps(to_row(row), sort_keys=True, ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < share * 2**32


def write_rows(path: Path, rows: Iterable[Conversation]) -> None:
    """Write conversations with the name of their source, a line each; the file appears whole or not at all."""
    lines = (json.dumps({"source": row.source, **to_row(row)}, ensure_ascii=False) for row in rows)
    home.write_atomic(path, "".join(line + "\n" for line in lines))


def read_rows(path: Path) -> Iterator[Conversation]:
    """Read back what `write_rows` wrote."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield parse_row(row, source=row["source"])
