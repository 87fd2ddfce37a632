"""Tools beside the decode loop: a call runs in a thread of its own, so that a slow search holds up only who asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from samosa.chat.tools import Observation, Toolbox

AT_ONCE = 16  # calls under way; more would only be refused by whoever answers searches


@dataclass(frozen=True)
class _Call:
    key: Hashable
    toolbox: Toolbox
    payload: str


class ToolCalls:
    """Calls and their answers. A toolbox has one call at a time: its search may not be made for threads.

    The threads are daemons: one that hangs does not keep the program from ending.
    """

    def __init__(self) -> None:
        self._queued: deque[_Call] = deque()
        self._busy: list[Toolbox] = []
        self._answers: SimpleQueue[tuple[_Call, Observation | BaseException]] = SimpleQueue()

    def __len__(self) -> int:
        """Calls whose answers have not been taken."""
        return len(self._queued) + len(self._busy)

    def ask(self, key: Hashable, toolbox: Toolbox, payload: str) -> None:
        """Have a call answered; `key` comes back with the answer."""
        self._queued.append(_Call(key, toolbox, payload))
        self._start()

    def forget(self, key: Hashable) -> None:
        """Do not begin a call that nobody waits for any more."""
        self._queued = deque(call for call in self._queued if call.key != key)

    def answers(self, *, wait: bool) -> list[tuple[Hashable, Observation]]:
        """What was answered since; with `wait` at least one, if any call is under way. Raises what a toolbox raised."""
        found: list[tuple[Hashable, Observation]] = []
        while self._busy:
            try:
                call, answer = self._answers.get(block=wait and not found)
            except Empty:
                break
            self._busy = [toolbox for toolbox in self._busy if toolbox is not call.toolbox]
            self._start()
            if isinstance(answer, BaseException):
                raise answer
            found.append((call.key, answer))
        return found

    def _start(self) -> None:
        """Begin what may begin, the oldest first."""
        later: deque[_Call] = deque()
        while self._queued:
            call = self._queued.popleft()
            if len(self._busy) < AT_ONCE and all(toolbox is not call.toolbox for toolbox in self._busy):
                self._busy.append(call.toolbox)
                Thread(target=self._run, args=(call,), daemon=True, name="tool call").start()
            else:
                later.append(call)
        self._queued = later

    def _run(self, call: _Call) -> None:
        answer: Observation | BaseException
        try:
            answer = call.toolbox.run(call.payload)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is taken
            answer = error
        self._answers.put((call, answer))
