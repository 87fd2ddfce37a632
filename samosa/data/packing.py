"""Packing: documents of any length into rows of one length, so that hardly a place in a batch is padding."""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from samosa.data.rows import Account, PackedRows
from samosa.errors import BadInput

NO_TARGET = -1
Overlong = Literal["error", "drop", "split"]
RowCounts = Callable[[NDArray[np.int32]], Mapping[str, NDArray[np.int64]]]


@dataclass(frozen=True)
class Doc:
    """One tokenized document. mask[i] = 1: token i is learnt, as the target of token i - 1.

    `end_target` is what the last token predicts (pretraining: bos), None for nothing. `source` and `row` (from 1) say
    where it came from, for errors and accounts.
    """

    ids: Sequence[int] | NDArray[np.integer[Any]]
    mask: Sequence[int] | NDArray[np.integer[Any]]
    end_target: int | None = None
    source: str = ""
    row: int = 0

    @property
    def place(self) -> str:
        return f"{self.source or 'document'}:{self.row}"


class _Piece(NamedTuple):
    """What is placed in a row: a document, or a part of an overlong one. ids and mask are [n]."""

    ids: NDArray[np.int32]
    mask: NDArray[np.bool_]
    end_target: int

    @property
    def supervised(self) -> int:
        return int(np.count_nonzero(self.mask[1:])) + (self.end_target != NO_TARGET)


def best_fit(lengths: NDArray[np.integer[Any]] | Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of `lengths` in groups that fill at most `capacity` each, by best-fit-decreasing (Johnson 1973).

    Deterministic: longest first, ties by index; each goes where the least room is left that takes it, on ties to the
    group that got there last. A bit per size of room makes finding it one shift: O(N) operations on integers of
    `capacity` bits. Raises ValueError for a length outside 1..capacity.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    if sizes.size and (sizes.min() < 1 or sizes.max() > capacity):
        raise ValueError(f"lengths must be 1..{capacity}, not {sizes.min()}..{sizes.max()}")
    order = np.argsort(-sizes, kind="stable")
    bins: list[list[int]] = []
    by_room: list[list[int]] = [[] for _ in range(capacity + 1)]  # room left -> open bins
    open_rooms = 0  # bit r is set when by_room[r] is not empty
    for index, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        fitting = open_rooms >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            candidates = by_room[room]
            target = candidates.pop()
            if not candidates:
                open_rooms ^= 1 << room
            bins[target].append(index)
        else:
            room, target = capacity, len(bins)
            bins.append([index])
        room -= size
        if room:
            by_room[room].append(target)
            open_rooms |= 1 << room
    return bins


def count_targets(targets: NDArray[np.int32]) -> dict[str, NDArray[np.int64]]:
    """The counts next-token prediction divides by: each row's supervised targets. targets [N, T] -> {"nll": [N]}."""
    return {"nll": (targets >= 0).sum(axis=1, dtype=np.int64)}


def pack_documents(
    docs: Iterable[Doc],
    *,
    length: int,
    overlong: Overlong,
    seed: int,
    pad: int,
    row_counts: RowCounts = count_targets,
    dtype: DTypeLike = np.int32,
) -> PackedRows:
    """Pack documents into rows of `length`, shuffled by `seed`.

    A document of n tokens takes n places. What is left of a row is one document of `pad` (bos) without targets. One
    longer than a row raises BadInput naming it ("error"), is counted and left out ("drop"), or becomes pieces that
    overlap by one token, so that every target is still learnt once ("split"). `row_counts` maps targets [N, T] to each
    loss term's count by row. `dtype` is that of the stored ids; an id that does not fit it raises ValueError.
    """
    if length < 2:
        raise BadInput(f"a row of {length} tokens has no room for a target", hint="set train.length to 2 or more")
    accounts: dict[str, Account] = {}
    pieces: list[_Piece] = []
    for doc in docs:
        pieces.extend(_placed(doc, length, overlong, accounts.setdefault(doc.source, Account())))
    _check_fit(pieces, pad, np.dtype(dtype))
    bins = best_fit([len(piece.ids) for piece in pieces], length)
    ids = np.full((len(bins), length), pad, dtype=dtype)
    targets = np.full((len(bins), length), NO_TARGET, dtype=np.int32)
    positions = np.empty((len(bins), length), dtype=np.int32)
    steps = np.arange(length, dtype=np.int32)
    for row, bin_index in enumerate(shuffled(len(bins), seed)):
        start = 0
        for index in bins[bin_index]:
            piece = pieces[index]
            end = start + len(piece.ids)
            ids[row, start:end] = piece.ids
            np.copyto(targets[row, start : end - 1], piece.ids[1:], where=piece.mask[1:])
            targets[row, end - 1] = piece.end_target
            positions[row, start:end] = steps[: end - start]
            start = end
        positions[row, start:] = steps[: length - start]
    counts = {term: np.asarray(count, dtype=np.int64) for term, count in row_counts(targets).items()}
    return PackedRows(ids=ids, targets=targets, positions=positions, counts=counts, accounts=accounts, pad=pad)


def shuffled(n: int, seed: int, stream: int = 0) -> NDArray[np.int64]:
    """A permutation of range(n) from (seed, stream). Philox's bits are fixed by its paper, so any numpy gives it."""
    key = np.array([seed % 2**64, stream % 2**64], dtype=np.uint64)
    return np.argsort(np.random.Philox(key=key).random_raw(n), kind="stable")


def _placed(doc: Doc, length: int, overlong: Overlong, account: Account) -> Iterator[_Piece]:
    """The pieces of one document, entered in its source's account."""
    ids, mask = _ids(doc.ids), _mask(doc.mask)
    if ids.ndim != 1 or ids.shape != mask.shape or not ids.size:
        raise ValueError(f"{doc.place}: ids {ids.shape} and mask {mask.shape} must be one non-empty length")
    account.documents += 1
    if ids.size <= length:
        account.kept += 1
    elif overlong == "split":
        account.split += 1
    elif overlong == "drop":
        account.dropped += 1
        account.dropped_tokens += ids.size
        return
    else:
        raise BadInput(
            f"{doc.place}: {ids.size} tokens do not fit a row of {length}",
            hint='raise train.length, or set train.overlong to "drop" or "split" (both are counted)',
        )
    end_target = NO_TARGET if doc.end_target is None else doc.end_target
    for piece in _cut(_Piece(ids, mask, end_target), length):
        account.pieces += 1
        account.tokens += piece.ids.size
        account.supervised += piece.supervised
        yield piece


def _ids(values: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Token ids as an array. From a list, struct takes a third of numpy's time, and that is most of packing."""
    if isinstance(values, np.ndarray):
        if not np.can_cast(values.dtype, np.int32) and values.size:
            _check_range(int(values.min()), int(values.max()), np.dtype(np.int32))
        return values.astype(np.int32, copy=False)
    return np.frombuffer(struct.pack(f"={len(values)}i", *values), dtype=np.int32)


def _check_fit(pieces: Sequence[_Piece], pad: int, dtype: np.dtype[Any]) -> None:
    _check_range(pad, pad, dtype)
    if np.can_cast(np.int32, dtype):
        return
    for piece in pieces:
        _check_range(int(piece.ids.min()), int(piece.ids.max()), dtype)


def _check_range(low: int, high: int, dtype: np.dtype[Any]) -> None:
    limits = np.iinfo(dtype)
    if low < limits.min or high > limits.max:
        raise ValueError(f"token id {low if low < limits.min else high} does not fit {dtype}")


def _mask(values: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    return (values if isinstance(values, np.ndarray) else np.frombuffer(bytearray(values), dtype=np.uint8)) != 0


def _cut(whole: _Piece, length: int) -> Iterator[_Piece]:
    """Pieces of up to `length` tokens. The token two pieces share predicts in the second, where what follows it is."""
    ids, mask, end_target = whole
    if ids.size <= length:
        yield whole
        return
    for start in range(0, ids.size - 1, length - 1):
        end = min(start + length, ids.size)
        yield _Piece(ids[start:end], mask[start:end], end_target if end == ids.size else NO_TARGET)
