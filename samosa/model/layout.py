"""Where the documents of a packed batch lie, and how their attention is cut into dense calls.

A layout is made once a batch from the positions and shared by all layers. For SDPA on a CPU, documents of ordinary
length have a call each, on views. Where documents are short (or calls are dear, on a GPU) those of similar length are
laid side by side as rows of one padded causal call. A document longer than the window is cut into blocks of the
window's length, each of which sees itself and the block before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CALL_COST = 60_000  # cost of one more SDPA call in units of one query-key pair of one head, measured on two cores
OWN_CALL = 80  # mean tokens from which a call each beats padded calls on a CPU: 20 % faster at 175, 20 % slower at 60
TOKEN_COST = 150  # cost of carrying one padded token in the same unit


@dataclass(frozen=True)
class Bucket:
    """One dense call: `rows` sequences of `length` queries; banded ones also see the `length` keys before."""

    rows: int
    length: int
    banded: bool


@dataclass(frozen=True)
class Plan:
    """Attention of one window size over B * T tokens as a few dense calls.

    index [M] is the token at each query place (padding repeats the sequence's own last token), inverse [B * T] the
    place of each token, previous [P] the tokens of the blocks before the banded ones; mask is theirs.
    """

    buckets: tuple[Bucket, ...]
    index: Tensor
    inverse: Tensor
    previous: Tensor | None
    mask: Tensor | None


@dataclass(frozen=True)
class Separate:
    """Attention of each document by itself: their lengths in reading order, B * T in all."""

    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """What attention must know about a batch of B rows of T tokens.

    plans: by window, for SDPA; None stands for one causal call over whole rows.
    cu_seqlens [documents + 1] int32 and max_length: for varlen.
    """

    plans: dict[int, Plan | Separate | None]
    cu_seqlens: Tensor | None = None
    max_length: int = 0


def sdpa_layout(
    positions: Tensor | None, batch: int, length: int, windows: tuple[int, ...], device: torch.device
) -> Layout:
    """Plan every distinct window: positions [B, T] (0 starts a document), or None for one document a row."""
    if positions is None:
        starts = np.arange(batch, dtype=np.int64) * length
    else:
        starts = document_starts(positions)
    lengths = np.diff(starts, append=batch * length)
    whole = len(starts) == batch
    plans: dict[int, Plan | Separate | None] = {}
    shared: Plan | Separate | None = None
    longest = int(lengths.max())
    for window in set(windows):
        if window + 1 >= longest:
            if shared is None and not whole:
                own_calls = device.type == "cpu" and lengths.mean() >= OWN_CALL
                shared = Separate(tuple(lengths.tolist())) if own_calls else _plan(starts, lengths, longest, device)
            plans[window] = shared
        else:
            plans[window] = _plan(starts, lengths, window, device)
    return Layout(plans)


def document_starts(positions: Tensor) -> np.ndarray:
    """Flat index of every document's first token; a row's first token always starts one."""
    fresh = positions.detach().cpu().numpy() == 0
    fresh[:, 0] = True
    return np.flatnonzero(fresh.reshape(-1))


def varlen_layout(positions: Tensor | None, batch: int, length: int, device: torch.device) -> Layout:
    """cu_seqlens for the varlen kernel, padded to a power of two so that torch.compile sees few shapes.

    Entries past the last document repeat the token count: documents of no length. Counting the documents waits for
    the device once a batch, unless positions are still on the CPU.
    """
    tokens = batch * length
    if positions is None:
        cu_seqlens = torch.arange(0, tokens + 1, length, dtype=torch.int32, device=device)
        return Layout({}, cu_seqlens, length)
    starts = torch.from_numpy(document_starts(positions)).to(torch.int32)
    places = 1 << max(6, int(len(starts) - 1).bit_length())
    cu_seqlens = torch.full((places + 1,), tokens, dtype=torch.int32)
    cu_seqlens[: len(starts)] = starts
    return Layout({}, cu_seqlens.to(device, non_blocking=True), length)


def _plan(starts: np.ndarray, lengths: np.ndarray, window: int, device: torch.device) -> Plan:
    """Cut documents into sequences of at most window + 1 or blocks of window tokens, and fill the buckets."""
    short = lengths <= window + 1
    first = [starts[short], starts[~short]]
    size = [lengths[short], np.full((~short).sum(), window)]
    later_first, later_size = _later_blocks(starts[~short], lengths[~short], window)
    heads, tails = np.concatenate(first), np.concatenate(size)
    order = np.argsort(-tails, kind="stable")
    heads, tails = heads[order], tails[order]
    buckets: list[Bucket] = []
    index: list[np.ndarray] = []
    real: list[np.ndarray] = []
    for lo, hi in _cut(tails):
        _fill(heads[lo:hi], tails[lo:hi], int(tails[lo]), index, real)
        buckets.append(Bucket(hi - lo, int(tails[lo]), False))
    previous = mask = None
    if len(later_first):
        _fill(later_first, later_size, window, index, real)
        buckets.append(Bucket(len(later_first), window, True))
        previous = torch.from_numpy((later_first[:, None] - window + np.arange(window)).reshape(-1)).to(device)
        query, key = torch.arange(window)[:, None], torch.arange(2 * window)[None, :]
        mask = ((key >= query) & (key <= query + window)).to(device)
    flat, kept = np.concatenate(index), np.concatenate(real)
    inverse = np.empty(int(lengths.sum()), dtype=np.int64)
    inverse[flat[kept]] = np.flatnonzero(kept)
    return Plan(tuple(buckets), torch.from_numpy(flat).to(device), torch.from_numpy(inverse).to(device), previous, mask)


def _later_blocks(starts: np.ndarray, lengths: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of the second and later blocks of documents longer than the window."""
    first, size = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        offsets = np.arange(window, length, window)
        first.append(start + offsets)
        size.append(np.minimum(window, length - offsets))
    return np.concatenate(first), np.concatenate(size)


def _fill(first: np.ndarray, size: np.ndarray, width: int, index: list[np.ndarray], real: list[np.ndarray]) -> None:
    """Append the tokens of one bucket, padded to width by repeating each sequence's last token.

    Padding sits behind the causal mask. It is the sequence's own token so that nothing of another document, not
    even an infinity, is in the call.
    """
    place = np.arange(width)
    index.append((first[:, None] + np.minimum(place[None, :], size[:, None] - 1)).reshape(-1))
    real.append((place[None, :] < size[:, None]).reshape(-1))


def _cut(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Cut descending lengths into runs that are padded to their longest, at the least estimated cost.

    Exact dynamic programme over distinct lengths; a bucket of n rows padded to L costs n * L * (L / 2 + carrying)
    plus one call.
    """
    sizes, counts = np.unique(-lengths, return_counts=True)
    sizes, ends = -sizes, np.concatenate([[0], np.cumsum(counts)])
    best = np.full(len(sizes) + 1, np.inf)
    best[0] = 0.0
    cut = np.zeros(len(sizes) + 1, dtype=np.int64)
    row_cost = sizes * (sizes / 2 + TOKEN_COST)
    for stop in range(1, len(sizes) + 1):
        costs = best[:stop] + (ends[stop] - ends[:stop]) * row_cost[:stop] + CALL_COST
        cut[stop] = int(np.argmin(costs))
        best[stop] = costs[cut[stop]]
    runs, stop = [], len(sizes)
    while stop:
        runs.append((int(ends[cut[stop]]), int(ends[stop])))
        stop = int(cut[stop])
    return runs[::-1]
