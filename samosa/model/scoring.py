"""How likely a model finds given continuations of given contexts: what multiple-choice benchmarks ask.

Nothing is read twice. The beginning that many contexts share (a few-shot prompt) is read once and copied; a context is
read once, and all its continuations lie side by side behind it, each blind to the others. A continuation's last token
is never read, so one of a single token costs no reading at all; and the head sees only the places that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from samosa.chat.tokenizer import Tokenizer
from samosa.model.cache import KVCache
from samosa.model.decode import BranchStep, CacheStep
from samosa.model.gpt import GPT
from samosa.model.prefixes import families

# Places that one batch reads, padding included: they bound the activations. On two cores more than about 2,000 no
# longer fit the caches between processor and memory: a tiny model took 30 % longer at 8,000.
BATCH_TOKENS_CPU = 2_048
BATCH_TOKENS_GPU = 32_768
HELD = 4  # times as many may be held in the key-value cache, where rows share a beginning
BRANCH_TOKENS = 512  # of one row's continuations: beyond that, masked work costs more than another row
LOGITS = 1 << 24  # numbers of logits held at a time: 64 MB in fp32

Item = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class Score:
    """How likely a continuation is after its context.

    logprob: the natural logarithm of its probability, the sum over its tokens of log-softmax in fp32 (fp64 for an fp64
    model); greedy: whether each of its tokens is the most likely one there; tokens: how many it has.
    """

    logprob: float
    greedy: bool
    tokens: int


@dataclass
class _Row:
    """A context and those of its continuations that are read together: `asked` are their places among the items."""

    context: Sequence[int]
    asked: list[int] = field(default_factory=list)
    size: int = 0  # tokens of them that are read


def score(model: GPT, tokenizer: Tokenizer, items: Sequence[Item], *, batch_tokens: int | None = None) -> list[Score]:
    """The score of each item (context ids, continuation ids), in their order.

    A context usually begins with bos; neither part may be empty (ValueError). Contexts that are equal, or begin alike,
    are found here: callers need not group anything. batch_tokens bounds memory (None: as suits the device). The model
    should be in eval mode.
    """
    found: list[Score | None] = [None] * len(items)
    for index, one in scores(model, tokenizer, items, batch_tokens=batch_tokens):
        found[index] = one
    return [one for one in found if one is not None]


@torch.inference_mode()
def scores(
    model: GPT, tokenizer: Tokenizer, items: Sequence[Item], *, batch_tokens: int | None = None
) -> Iterator[tuple[int, Score]]:
    """As `score`, each with its item's index and as soon as it is known."""
    for number, (context, continuation) in enumerate(items):
        if not context or not continuation:
            raise ValueError(f"item {number}: a context and a continuation have at least one token each")
    pad = tokenizer.bos
    if batch_tokens is None:
        batch_tokens = BATCH_TOKENS_CPU if model.device.type == "cpu" else BATCH_TOKENS_GPU
    rows = _rows(items)
    for family in families([row.context for row in rows]):
        members = [rows[member] for member in family.members]
        prefix = None
        if family.prefix:
            prefix = KVCache(model.config, 1, family.prefix, dtype=model.dtype, device=model.device)
            _read_rows(model, [members[0].context[: family.prefix]], prefix, pad)
        for batch in _batches(members, family.prefix, batch_tokens):
            yield from _score_batch(model, items, batch, _cache(model, batch, prefix), family.prefix, pad)


def _rows(items: Sequence[Item]) -> list[_Row]:
    """One row a context, or several where its continuations are many."""
    rows: list[_Row] = []
    open_rows: dict[tuple[int, ...], _Row] = {}
    for index, (context, continuation) in enumerate(items):
        key, more = tuple(context), len(continuation) - 1
        row = open_rows.get(key)
        if row is None or row.size + more > BRANCH_TOKENS:
            row = open_rows[key] = _Row(context)
            rows.append(row)
        row.asked.append(index)
        row.size += more
    return rows


def _batches(rows: list[_Row], prefix: int, batch_tokens: int) -> Iterator[list[_Row]]:
    """Rows that are read together behind their prefix, the longest first; at least one."""
    rows = sorted(rows, key=lambda row: (len(row.context), row.size), reverse=True)
    batch: list[_Row] = []
    widest = 0
    for row in rows:
        widest = max(widest, row.size)
        held = len((batch or [row])[0].context) + widest
        if batch and max(held - prefix, held / HELD) * (len(batch) + 1) > batch_tokens:
            yield batch
            batch, widest = [], row.size
        batch.append(row)
    if batch:
        yield batch


def _cache(model: GPT, rows: list[_Row], prefix: KVCache | None) -> KVCache:
    """A cache for these rows, each of which begins with what row 0 of `prefix` holds."""
    length = max(len(row.context) for row in rows) + max(row.size for row in rows)
    cache = KVCache(model.config, len(rows), length, dtype=model.dtype, device=model.device)
    if prefix is not None:
        cache.begin_with(prefix, 0, torch.arange(len(rows), device=model.device))
    return cache


def _score_batch(
    model: GPT, items: Sequence[Item], rows: list[_Row], cache: KVCache, prefix: int, pad: int
) -> Iterator[tuple[int, Score]]:
    """Read the contexts behind their prefix, then all continuations; the scores of what the rows ask for."""
    logprobs = {index: 0.0 for row in rows for index in row.asked}
    greedy = dict.fromkeys(logprobs, True)
    last = _read_rows(model, [row.context[prefix:] for row in rows], cache, pad)
    firsts = [(place, index, items[index][1][0]) for place, row in enumerate(rows) for index in row.asked]
    places: list[tuple[int, int, int]] = []
    hidden = _read_continuations(model, items, rows, cache, pad, places) if any(row.size for row in rows) else last
    for x, asked in ((last, firsts), (hidden, places)):
        for index, logprob, best in _log_probs(model, x, asked):
            logprobs[index] += logprob
            greedy[index] &= best
    for index, logprob in logprobs.items():
        yield index, Score(logprob, greedy[index], len(items[index][1]))


def _read_rows(model: GPT, rows: list[Sequence[int]], cache: KVCache, pad: int) -> Tensor:
    """Append tokens to every row of the cache; what the head sees of each row's last one [R, C]."""
    counts = [len(row) for row in rows]
    ids = torch.tensor([[*row, *[pad] * (max(counts) - len(row))] for row in rows], device=model.device)
    step = CacheStep(cache, ids, torch.tensor(counts, device=model.device), None, model.config.layer_windows)
    return model.read(ids, step)[torch.arange(len(rows), device=model.device), step.last]


def _read_continuations(
    model: GPT, items: Sequence[Item], rows: list[_Row], cache: KVCache, pad: int, places: list[tuple[int, int, int]]
) -> Tensor:
    """Read all continuations but their last tokens, each behind its context: what the head sees of them [N, C].

    `places` is filled with (place in that, item, the token that comes next).
    """
    width = max(row.size for row in rows)
    ids: list[list[int]] = []
    offsets: list[list[int]] = []
    flat: list[int] = []  # places of what is read, in the padded batch
    for number, row in enumerate(rows):
        read: list[int] = []
        where: list[int] = []
        for index in row.asked:
            continuation = items[index][1]
            for offset, token in enumerate(continuation[:-1]):
                places.append((len(flat), index, continuation[offset + 1]))
                flat.append(number * width + len(read))
                read.append(token)
                where.append(offset)
        ids.append(read + [pad] * (width - len(read)))
        offsets.append(where + [-1] * (width - len(where)))
    device = model.device
    step = BranchStep(cache, torch.tensor(offsets, device=device), model.config.layer_windows)
    x = model.read(torch.tensor(ids, device=device), step)
    return x.flatten(0, 1)[torch.tensor(flat, device=device)]


def _log_probs(model: GPT, x: Tensor, asked: list[tuple[int, int, int]]) -> Iterator[tuple[int, float, bool]]:
    """(item, log-probability, is it the most likely one) of each (row of x [N, C], item, token); rows in order."""
    size = max(1, LOGITS // model.config.vocab_size)
    for start in range(0, len(asked), size):
        part = asked[start : start + size]
        low = part[0][0]
        logprobs = model.logits(x[low : part[-1][0] + 1]).log_softmax(dim=-1)
        place = torch.tensor([row - low for row, _, _ in part], device=x.device)
        token = torch.tensor([token for _, _, token in part], device=x.device)
        picked = logprobs[place, token]
        best = logprobs.argmax(dim=-1)[place] == token
        for (_, index, _), one, flag in zip(part, picked.tolist(), best.tolist(), strict=True):
            yield index, one, flag
