"""A conversation with a model: what was said so far, and the next turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samosa.chat.conversation import Conversation, Part, Turn
from samosa.chat.render import render_prompt
from samosa.chat.tokenizer import Tokenizer
from samosa.errors import BadInput
from samosa.serve.settings import Chat
from samosa.serve.stream import Piece, Stream, parts_of

if TYPE_CHECKING:
    from samosa.model.engine import Engine, Finished, Request


@dataclass(frozen=True)
class Reply:
    """The model's turn. reason: as in the engine's Finished; dropped: earlier exchanges that no longer fitted."""

    turn: Turn
    reason: str
    dropped: int


class Session:
    """One conversation. length: tokens the model reads at most; system: the text that opens every prompt.

    When the conversation outgrows the model, its oldest exchanges are left out; the system text never is.
    """

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, settings: Chat, *, system: str, length: int, seed: int
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._settings = settings
        self._length = length
        self._seed = seed
        self._system = Turn("system", (Part("text", system),))
        self._asked = 0
        self.turns: list[Turn] = []

    def forget(self) -> None:
        """Start over."""
        self.turns = []

    def ask(self, text: str, show: Callable[[Piece], None]) -> Reply:
        """Answer `text`, showing the turn as it comes. Ctrl-C ends the turn there, and what was said stays said.

        Raises BadInput when `text` alone is longer than the model can read.
        """
        from samosa.model.engine import Request

        question = Turn("user", (Part("text", text),))
        prompt, dropped = self._prompt(question)
        room = self._length - len(prompt)
        request = Request(
            ids=prompt,
            max_tokens=min(self._settings.max_tokens, room),
            temperature=self._settings.temperature,
            top_k=self._settings.top_k,
            seed=self._seed + self._asked,
            max_calls=self._settings.max_calls,
            call_budget=self._settings.call_budget,
        )
        self._asked += 1
        ids, reason = self._generate(request, show)
        answer = Turn("assistant", parts_of(ids, self._tokenizer))
        self.turns = [*self.turns[2 * dropped :], question, answer]
        return Reply(answer, reason, dropped)

    def _prompt(self, question: Turn) -> tuple[list[int], int]:
        """The prompt, and how many of the oldest exchanges it leaves out so that an answer has room."""
        reserve = min(self._settings.max_tokens, self._length // 2)
        for dropped in range(len(self.turns) // 2 + 1):
            turns = (self._system, *self.turns[2 * dropped :], question)
            prompt = render_prompt(Conversation(turns, "chat"), self._tokenizer)
            if len(prompt) + reserve <= self._length:
                return prompt, dropped
        raise BadInput(
            f"this message makes a prompt of {len(prompt)} tokens; the model reads {self._length}, answer included",
            hint="say it in fewer words",
        )

    def _generate(self, request: Request, show: Callable[[Piece], None]) -> tuple[list[int], str]:
        """(ids of the turn, why it ended)."""
        number = self._engine.add(request)
        stream, shown = Stream(self._tokenizer), 0
        finished: list[Finished] = []
        while not finished:
            try:
                finished = self._engine.step()
                ids = finished[0].ids if finished else self._engine.generated(number)[0]
                pieces, shown = stream.feed(ids[shown:]), len(ids)
                for piece in pieces:
                    show(piece)
            except KeyboardInterrupt:
                self._engine.cancel(number)
        for piece in stream.close():
            show(piece)
        return finished[0].ids, finished[0].reason
