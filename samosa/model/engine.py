"""Generation: many conversations in one batch, each with its own seed, limits and tools, over one KV cache.

A row that finishes makes room for the next request at once. Tool calls are recognised by token id, never by text. Their
results are forced into the row as ordinary tokens, so nothing a tool returns can open or close a turn. Tools run
between two steps, one after the other: while one waits for the network, so does the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from samosa.chat.tokenizer import Tokenizer
from samosa.chat.tools import Observation, Toolbox, failure
from samosa.model.cache import KVCache
from samosa.model.gpt import GPT
from samosa.model.sampling import sample

Reason = Literal["end", "length", "context", "cancelled"]

PREFILL_TOKENS = 16_384  # places of one prefill, padding included: bounds its activations
PREFILL_SHARE = 8  # rows wait to be prefilled together until they are 1 in this many of the running ones
TOO_MANY_CALLS = "too many calls in this turn"
TOO_LONG_CALL = "the call is too long"
BROKEN_CALL = "the call contains a marker"


@dataclass(frozen=True)
class Request:
    """One turn to generate: `ids` end with assistant_start.

    max_tokens counts forced tokens too. temperature 0 is greedy; top_k None or 0 is all. max_calls: a further call is
    not executed and its observation says so. call_budget: tokens a call may have; one more, and it is closed with an
    error. seed: what is sampled depends on it and on the logits alone. key: handed back. toolbox: instead of the
    engine's.
    """

    ids: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_k: int | None = None
    seed: int = 0
    max_calls: int = 1
    call_budget: int = 256
    key: Hashable = None
    toolbox: Toolbox | None = None


@dataclass(frozen=True)
class Finished:
    """A generated turn.

    ids: everything after the prompt, forced tokens and the closing token included; forced: which of them the model did
    not choose. reason: "end" (assistant_end, or bos), "length" (max_tokens), "context" (the cache is full) or
    "cancelled". A tool result that does not fit what is left ends the turn: half a result is never forced.
    """

    id: int
    ids: list[int]
    forced: list[bool]
    reason: Reason
    key: Hashable = None


@dataclass(eq=False)
class _Row:
    id: int
    request: Request
    toolbox: Toolbox | None
    slot: int
    feed: list[int]  # tokens the cache does not hold yet
    ids: list[int] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    call: list[int] | None = None  # tokens of the open call
    calls: int = 0

    def finished(self, reason: Reason) -> Finished:
        return Finished(self.id, self.ids, self.forced, reason, self.request.key)


class Engine:
    """Generates turns for requests; the order of requests and the number of rows change the speed, not the samples.

    toolbox None: no tool is run, and python_end is a token like any other. rows: conversations at once; max_length:
    tokens one may have, prompt included. The model should be in eval mode.
    """

    def __init__(
        self, model: GPT, tokenizer: Tokenizer, *, toolbox: Toolbox | None, rows: int, max_length: int
    ) -> None:
        if rows < 1 or max_length < 1:
            raise ValueError(f"an engine needs rows and length, not {rows} and {max_length}")
        self._model = model
        self._tokenizer = tokenizer
        self._toolbox = toolbox
        self._max_rows = rows
        self._max_length = max_length
        self._ends = {tokenizer.special("assistant_end"), tokenizer.bos}
        self._call_start = tokenizer.special("python_start")
        self._call_end = tokenizer.special("python_end")
        self._result_start = tokenizer.special("output_start")
        self._result_end = tokenizer.special("output_end")
        self._specials = set(tokenizer.specials.values())
        self._next_id = 0
        self._waiting: deque[_Row] = deque()
        self._rows: list[_Row] = []
        self._free: list[int] = []  # slots of the cache, the next one to use last
        self._done: list[Finished] = []
        self._cache: KVCache | None = None

    def add(self, request: Request) -> int:
        """Queue a request; returns its id. Raises ValueError for an empty prompt or limits below 1."""
        if not request.ids or request.max_tokens < 1 or request.call_budget < 1:
            raise ValueError("a request needs a prompt, and max_tokens and call_budget of at least 1")
        row = _Row(self._next_id, request, request.toolbox or self._toolbox, -1, list(request.ids))
        self._next_id += 1
        if len(row.feed) >= self._max_length:
            self._done.append(row.finished("context"))
        else:
            self._waiting.append(row)
        return row.id

    @torch.inference_mode()
    def cancel(self, request_id: int) -> bool:
        """Stop a request; the next step returns it as "cancelled". False if it is not under way."""
        for row in (*self._waiting, *self._rows):
            if row.id == request_id:
                if row in self._waiting:
                    self._waiting.remove(row)
                    self._done.append(row.finished("cancelled"))
                else:
                    self._finish(row, "cancelled")
                return True
        return False

    def generated(self, request_id: int) -> tuple[list[int], list[bool]]:
        """The ids of a running request so far and which were forced; empty while it waits. KeyError otherwise."""
        for row in (*self._rows, *self._waiting):
            if row.id == request_id:
                return list(row.ids), list(row.forced)
        raise KeyError(request_id)

    def run(self, requests: Iterable[Request]) -> list[Finished]:
        """Generate them all, in their order. Whatever else finishes meanwhile is returned by the next step."""
        ids = [self.add(request) for request in requests]
        wanted = set(ids)
        mine: dict[int, Finished] = {}
        others: list[Finished] = []
        while len(mine) < len(wanted):
            for finished in self.step():
                if finished.id in wanted:
                    mine[finished.id] = finished
                else:
                    others.append(finished)
        self._done += others
        return [mine[request_id] for request_id in ids]

    @torch.inference_mode()
    def step(self) -> list[Finished]:
        """Take in waiting requests, then give every running row one more token; returns what finished."""
        self._take_in()
        running = [row for row in self._rows if len(row.feed) == 1]
        unread = [row for row in self._rows if len(row.feed) > 1]
        if unread and len(unread) * PREFILL_SHARE >= len(running):
            for group in _batches(unread):
                self._prefill(group)
        if running:
            self._decode(running)
        done, self._done = self._done, []
        return done

    def _take_in(self) -> None:
        """Give free slots to waiting requests; make the cache larger or smaller where that pays."""
        wanted = min(self._max_rows, len(self._rows) + len(self._waiting))
        held = 0 if self._cache is None else self._cache.rows
        if wanted > held:
            self._resize(min(self._max_rows, max(wanted, 2 * held)))
        elif not self._waiting and 3 * wanted <= held:
            self._resize(wanted)
        while self._waiting and self._free:
            row = self._waiting.popleft()
            row.slot = self._free.pop()
            self._rows.append(row)

    def _resize(self, size: int) -> None:
        """A cache of `size` rows with the running rows first."""
        old, self._cache = self._cache, None
        kept = len(self._rows)
        if old is not None and size == kept > 0:
            old.compact(self._index(self._rows))
            self._cache = old
        elif size > 0:
            new = KVCache(
                self._model.config, size, self._max_length, dtype=self._model.dtype, device=self._model.device
            )
            if old is not None and kept > 0:
                index = self._index(self._rows)
                new.k[:, :kept], new.v[:, :kept] = old.k[:, index], old.v[:, index]
                new.lengths[:kept], new.prev_embedding[:kept] = old.lengths[index], old.prev_embedding[index]
            self._cache = new
        for slot, row in enumerate(self._rows):
            row.slot = slot
        self._free = list(range(size - 1, kept - 1, -1))

    def _index(self, rows: list[_Row]) -> Tensor:
        return torch.tensor([row.slot for row in rows], device=self._model.device)

    def _prefill(self, rows: list[_Row]) -> None:
        """Read many tokens of each row at once: its prompt, or a tool's result."""
        counts = [len(row.feed) for row in rows]
        padded = [row.feed + [self._tokenizer.bos] * (max(counts) - len(row.feed)) for row in rows]
        device = self._model.device
        logits = self._model(
            torch.tensor(padded, device=device),
            cache=self._cache,
            lengths=torch.tensor(counts, device=device),
            rows=self._index(rows),
        )
        self._choose(rows, logits)

    def _decode(self, rows: list[_Row]) -> None:
        """Read one token of each of `rows`; the other slots of the cache stand still."""
        assert self._cache is not None
        ids, lengths = [[self._tokenizer.bos]] * self._cache.rows, [0] * self._cache.rows
        for row in rows:
            ids[row.slot], lengths[row.slot] = row.feed, 1
        device = self._model.device
        logits = self._model(
            torch.tensor(ids, device=device), cache=self._cache, lengths=torch.tensor(lengths, device=device)
        )
        self._choose(rows, logits[self._index(rows)])

    def _choose(self, rows: list[_Row], logits: Tensor) -> None:
        """Sample the next token of each row from logits [n, V] and act on it."""
        logits[:, self._result_start] = float("-inf")  # only a tool speaks there
        tokens = sample(
            logits,
            temperatures=[row.request.temperature for row in rows],
            top_ks=[row.request.top_k for row in rows],
            seeds=[row.request.seed for row in rows],
            places=[len(row.ids) for row in rows],
        )
        for row, token in zip(rows, tokens, strict=True):
            self._accept(row, token)

    def _accept(self, row: _Row, token: int) -> None:
        row.ids.append(token)
        row.forced.append(False)
        row.feed = [token]
        if token in self._ends:
            self._finish(row, "end")
        elif not self._has_room(row, 0):
            return
        elif row.toolbox is None:
            pass
        elif row.call is None:
            if token == self._call_start:
                row.call = []
        elif token == self._call_end:
            self._force(row, [], self._answer(row, row.toolbox))
        else:
            row.call.append(token)
            if len(row.call) > row.request.call_budget:
                row.calls += 1
                self._force(row, [self._call_end], failure(TOO_LONG_CALL))

    def _answer(self, row: _Row, toolbox: Toolbox) -> Observation:
        """The observation for the row's open call, which is run only if it may be."""
        assert row.call is not None
        row.calls += 1
        if row.calls > row.request.max_calls:
            return failure(TOO_MANY_CALLS)
        if not self._specials.isdisjoint(row.call):
            return failure(BROKEN_CALL)
        return toolbox.run(self._tokenizer.decode(row.call))

    def _force(self, row: _Row, before: list[int], observation: Observation) -> None:
        """Put an observation into the row: between markers, as ordinary text."""
        forced = [*before, self._result_start, *self._tokenizer.encode(observation.payload), self._result_end]
        row.call = None
        if self._has_room(row, len(forced)):
            row.ids += forced
            row.forced += [True] * len(forced)
            row.feed += forced

    def _has_room(self, row: _Row, more: int) -> bool:
        """Whether the row may take `more` tokens and then sample another; finishes the row if not."""
        if len(row.ids) + more >= row.request.max_tokens:
            self._finish(row, "length")
        elif len(row.request.ids) + len(row.ids) + more >= self._max_length:
            self._finish(row, "context")
        else:
            return True
        return False

    def _finish(self, row: _Row, reason: Reason) -> None:
        assert self._cache is not None
        self._rows.remove(row)
        self._cache.reset_row(row.slot)
        self._free.append(row.slot)
        self._done.append(row.finished(reason))


def _batches(rows: list[_Row]) -> list[list[_Row]]:
    """Rows that are read together: fresh ones apart from others, similar lengths side by side, none too large."""
    batches: list[list[_Row]] = []
    for fresh in (True, False):
        group: list[_Row] = []
        for row in sorted((row for row in rows if fresh is (not row.ids)), key=lambda row: len(row.feed)):
            if group and (len(group) + 1) * len(row.feed) > PREFILL_TOKENS:
                batches.append(group)
                group = []
            group.append(row)
        if group:
            batches.append(group)
    return batches
