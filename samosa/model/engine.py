"""Generation: many conversations in one batch, each with its own seed, limits and tools, over one KV cache.

A row that finishes makes room for the next request at once. What prompts begin with in common is read once and copied.
Tools run beside the loop: a row that waits for one stands still while the others go on.

The same request gives the same turn, whatever else is in the batch. A matrix product's last bits depend on how many
rows it has, so where rounding alone could decide the next token, it is decided by one plain pass over the row alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from samosa.chat.tokenizer import Tokenizer
from samosa.chat.tools import Toolbox
from samosa.model.cache import KVCache
from samosa.model.compiled import CompiledDecode
from samosa.model.gpt import GPT
from samosa.model.prefixes import families
from samosa.model.sampling import Drawn, sample
from samosa.model.tool_calls import ToolCalls
from samosa.model.turn import Finished, Marks, Reason, Request, Turn

__all__ = ["Engine", "Finished", "Reason", "Request"]

T = TypeVar("T")

PREFILL_TOKENS = 16_384  # places of one prefill, padding included: bounds its activations
PREFILL_SHARE = 8  # rows wait to be prefilled together until they are 1 in this many of the running ones


@dataclass(eq=False)
class _Prefix:
    """A beginning that several waiting requests share; `cache` holds it in row `row` once it was read."""

    ids: Sequence[int]
    cache: KVCache | None = None
    row: int = 0


class Engine:
    """Generates turns for requests; the order of requests and the number of rows change the speed, not the turns.

    (In bf16 they may: there rounding decides too often for anything else to.)

    toolbox None: no tool is run, and python_end is a token like any other. A toolbox is asked one thing at a time.
    rows: conversations at once; max_length: tokens one may have, prompt included. The model should be in eval mode.
    compiled: decode steps are compiled and, on a GPU, CUDA graphs; compiling takes a minute first.
    """

    def __init__(
        self,
        model: GPT,
        tokenizer: Tokenizer,
        *,
        toolbox: Toolbox | None,
        rows: int,
        max_length: int,
        compiled: bool = False,
    ) -> None:
        if rows < 1 or max_length < 1:
            raise ValueError(f"an engine needs rows and length, not {rows} and {max_length}")
        self._model = model
        self._pad = tokenizer.bos
        self._marks = Marks(tokenizer)
        self._toolbox = toolbox
        self._max_rows = rows
        self._max_length = max_length
        self._next_id = 0
        self._new: list[Turn] = []  # waiting, and not yet compared with each other
        self._waiting: deque[Turn] = deque()
        self._prefixes: dict[int, _Prefix] = {}  # of waiting turns, by their id
        self._rows: list[Turn] = []
        self._free: list[int] = []  # slots of the cache, the next one to use last
        self._done: list[Finished] = []
        self._cache: KVCache | None = None
        self._compiled = compiled
        self._decoder: CompiledDecode | None = None  # of this cache
        self._calls = ToolCalls()

    def add(self, request: Request) -> int:
        """Queue a request; returns its id. Raises ValueError for an empty prompt or limits below 1."""
        if not request.ids or request.max_tokens < 1 or request.call_budget < 1:
            raise ValueError("a request needs a prompt, and max_tokens and call_budget of at least 1")
        toolbox = request.toolbox or self._toolbox
        turn = Turn(self._next_id, request, toolbox, self._marks, self._max_length, list(request.ids))
        self._next_id += 1
        if len(turn.feed) >= self._max_length:
            self._done.append(turn.finished("context"))
        else:
            self._new.append(turn)
        return turn.id

    @torch.inference_mode()
    def cancel(self, request_id: int) -> bool:
        """Stop a request; the next step returns it as "cancelled". False if it is not under way."""
        self._look_at_new()
        for turn in self._waiting:
            if turn.id == request_id:
                self._waiting.remove(turn)
                self._prefixes.pop(turn.id, None)
                self._done.append(turn.finished("cancelled"))
                return True
        for turn in self._rows:
            if turn.id == request_id:
                self._calls.forget(turn.id)
                self._finish(turn, "cancelled")
                return True
        return False

    def generated(self, request_id: int) -> tuple[list[int], list[bool]]:
        """The ids of a running request so far and which were forced; empty while it waits. KeyError otherwise."""
        for turn in (*self._rows, *self._waiting, *self._new):
            if turn.id == request_id:
                return list(turn.ids), list(turn.forced)
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
        """Take in waiting requests, then give every row that may run one more token; returns what finished.

        Where all rows wait for tools it waits with them. Raises what a toolbox raised.
        """
        self._look_at_new()
        self._take_in()
        self._hear(wait=bool(self._rows) and all(turn.asks is not None for turn in self._rows))
        ready = [turn for turn in self._rows if turn.asks is None]
        running = [turn for turn in ready if len(turn.feed) == 1]
        unread = [turn for turn in ready if len(turn.feed) > 1]
        if unread and len(unread) * PREFILL_SHARE >= len(running):
            for group in _batches(unread):
                self._prefill(group)
        if running:
            self._decode(running)
        done, self._done = self._done, []
        return done

    def _look_at_new(self) -> None:
        """Queue what was added, those that begin alike behind the first of them."""
        if not self._new:
            return
        places: list[tuple[int, int, Turn]] = []
        for family in families([turn.feed for turn in self._new]):
            shared = _Prefix(self._new[family.members[0]].feed[: family.prefix])
            for member in family.members:
                turn = self._new[member]
                places.append((family.members[0] if family.prefix else member, member, turn))
                if family.prefix:
                    self._prefixes[turn.id] = shared
        self._waiting.extend(turn for _, _, turn in sorted(places, key=lambda place: place[:2]))
        self._new = []

    def _take_in(self) -> None:
        """Give free slots to waiting requests; make the cache larger or smaller where that pays."""
        wanted = min(self._max_rows, len(self._rows) + len(self._waiting))
        held = 0 if self._cache is None else self._cache.rows
        if wanted > held:
            self._resize(min(self._max_rows, max(wanted, 2 * held)))
        elif not self._waiting and 3 * wanted <= held:
            self._resize(wanted)
        begun: dict[_Prefix, list[Turn]] = {}
        while self._waiting and self._free:
            turn = self._waiting.popleft()
            turn.slot = self._free.pop()
            self._rows.append(turn)
            if turn.id in self._prefixes:
                begun.setdefault(self._prefixes.pop(turn.id), []).append(turn)
        if begun:
            self._begin(begun)

    def _begin(self, begun: dict[_Prefix, list[Turn]]) -> None:
        """Copy into new rows what they begin with, after reading what was not read before."""
        assert self._cache is not None
        for group in _groups([prefix for prefix in begun if prefix.cache is None], lambda prefix: len(prefix.ids)):
            cache = self._new_cache(len(group), len(group[-1].ids))
            self._read([prefix.ids for prefix in group], cache, None)
            for row, prefix in enumerate(group):
                prefix.cache, prefix.row = cache, row
        for prefix, turns in begun.items():
            assert prefix.cache is not None
            self._cache.begin_with(prefix.cache, prefix.row, self._index(turns))
            for turn in turns:
                turn.feed = turn.feed[len(prefix.ids) :]

    def _new_cache(self, rows: int, length: int) -> KVCache:
        return KVCache(self._model.config, rows, length, dtype=self._model.dtype, device=self._model.device)

    def _resize(self, size: int) -> None:
        """A cache of `size` rows with the running rows first."""
        old, self._cache, self._decoder = self._cache, None, None
        kept = len(self._rows)
        if old is not None and size == kept > 0:
            old.compact(self._index(self._rows))
            self._cache = old
        elif size > 0:
            new = self._new_cache(size, self._max_length)
            if old is not None and kept > 0:
                index = self._index(self._rows)
                new.k[:, :kept], new.v[:, :kept] = old.k[:, index], old.v[:, index]
                new.lengths[:kept], new.prev_embedding[:kept] = old.lengths[index], old.prev_embedding[index]
            self._cache = new
        if self._compiled and self._cache is not None:
            self._decoder = CompiledDecode(self._model, self._cache)
        for slot, turn in enumerate(self._rows):
            turn.slot = slot
        self._free = list(range(size - 1, kept - 1, -1))

    def _index(self, turns: list[Turn]) -> Tensor:
        return torch.tensor([turn.slot for turn in turns], device=self._model.device)

    def _read(self, rows: Sequence[Sequence[int]], cache: KVCache, index: Tensor | None) -> Tensor:
        """Append tokens to rows `index` of a cache (None: all); logits [n, V] behind the last of each."""
        counts = [len(row) for row in rows]
        padded = [[*row, *[self._pad] * (max(counts) - len(row))] for row in rows]
        device = self._model.device
        return self._model(
            torch.tensor(padded, device=device), cache=cache, lengths=torch.tensor(counts, device=device), rows=index
        )

    def _prefill(self, turns: list[Turn]) -> None:
        """Read many tokens of each row at once: its prompt, or a tool's result."""
        assert self._cache is not None
        self._choose(turns, self._read([turn.feed for turn in turns], self._cache, self._index(turns)))

    def _decode(self, turns: list[Turn]) -> None:
        """Read one token of each of `turns`; the other slots of the cache stand still."""
        assert self._cache is not None
        ids, active = [[self._pad]] * self._cache.rows, [0] * self._cache.rows
        for turn in turns:
            ids[turn.slot], active[turn.slot] = turn.feed, 1
        if self._decoder is not None:
            logits = self._decoder(ids, active, max(len(turn.request.ids) + len(turn.ids) for turn in turns))
        else:
            device = self._model.device
            lengths = torch.tensor(active, device=device)
            logits = self._model(torch.tensor(ids, device=device), cache=self._cache, lengths=lengths)
        self._choose(turns, logits[self._index(turns)])

    def _choose(self, turns: list[Turn], logits: Tensor) -> None:
        """Sample the next token of each row from logits [n, V] and act on it."""
        drawn = self._draw(turns, logits)
        sure = self._model.dtype in (torch.float32, torch.float64)
        for turn, token, close in zip(turns, drawn.tokens, drawn.close, strict=True):
            if close and sure:
                token = self._decide(turn)
            reason = turn.accept(token)
            if reason is not None:
                self._finish(turn, reason)
            elif turn.asks is not None:
                assert turn.toolbox is not None
                self._calls.ask(turn.id, turn.toolbox, turn.asks)

    def _draw(self, turns: list[Turn], logits: Tensor) -> Drawn:
        logits[:, self._marks.result_start] = float("-inf")  # only a tool speaks there
        return sample(
            logits,
            temperatures=[turn.request.temperature for turn in turns],
            top_ks=[turn.request.top_k for turn in turns],
            seeds=[turn.request.seed for turn in turns],
            places=[len(turn.ids) for turn in turns],
        )

    def _decide(self, turn: Turn) -> int:
        """The next token of a row by itself, from its first token on: the same bits whatever runs beside it."""
        ids = [*turn.request.ids, *turn.ids]
        return self._draw([turn], self._read([ids], self._new_cache(1, len(ids)), None)).tokens[0]

    def _hear(self, *, wait: bool) -> None:
        """Give the rows what their tools answered."""
        waiting = {turn.id: turn for turn in self._rows if turn.asks is not None}
        while waiting and len(self._calls):
            heard = self._calls.answers(wait=wait)
            mine = [(waiting.pop(number), answer) for number, answer in heard if number in waiting]
            for turn, observation in mine:
                reason = turn.observe(observation)
                if reason is not None:
                    self._finish(turn, reason)
            if mine or not wait:
                return

    def _finish(self, turn: Turn, reason: Reason) -> None:
        assert self._cache is not None
        self._rows.remove(turn)
        self._cache.reset_row(turn.slot)
        self._free.append(turn.slot)
        self._done.append(turn.finished(reason))


def _batches(turns: list[Turn]) -> list[list[Turn]]:
    """Rows that are read together: fresh ones apart from others."""
    fresh = [turn for turn in turns if not turn.ids]
    return [*_groups(fresh, _unread), *_groups([turn for turn in turns if turn.ids], _unread)]


def _unread(turn: Turn) -> int:
    return len(turn.feed)


def _groups(things: list[T], length: Callable[[T], int]) -> list[list[T]]:
    """Things of similar length side by side, the longest last, no group larger than PREFILL_TOKENS when padded."""
    groups: list[list[T]] = []
    for thing in sorted(things, key=length):
        if groups and (len(groups[-1]) + 1) * length(thing) <= PREFILL_TOKENS:
            groups[-1].append(thing)
        else:
            groups.append([thing])
    return groups
