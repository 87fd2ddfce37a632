import threading
import time

import pytest

from samosa.chat.tools import Observation, Toolbox
from samosa.model.engine import Engine, Request
from samosa.model.tool_calls import ToolCalls
from tests.model.scripted import Scripted, called, observations, speak


class Slow(Toolbox):
    """A toolbox that answers when it is let go, and remembers how many asked it at once."""

    def __init__(self):
        super().__init__(None)
        self.let_go = threading.Event()
        self.now = self.most = 0

    def run(self, payload):
        self.now += 1
        self.most = max(self.most, self.now)
        assert self.let_go.wait(20)
        self.now -= 1
        return Observation(payload.upper(), "slow", True)


def test_a_slow_tool_holds_up_nobody_else(tokenizer):
    slow = Slow()
    call = speak(tokenizer, "<python_start>", "6*7", "<python_end>")
    engine = Engine(Scripted(tokenizer, call, [97] * 30), tokenizer, toolbox=None, rows=3, max_length=100)
    waits, goes_on = engine.add(Request([0], 50, toolbox=slow)), engine.add(Request([1], 30))
    finished = []
    while not finished:
        finished = engine.step()
    assert [one.id for one in finished] == [goes_on] and engine.generated(waits)[0] == call
    slow.let_go.set()
    while not (finished := engine.step()):
        pass
    assert finished[0].ids == called(tokenizer, "6*7", "6*7", "<assistant_end>")


def test_what_is_said_does_not_depend_on_when_a_tool_answers(tokenizer):
    class Late(Toolbox):
        def run(self, payload):
            time.sleep(0.01 * (int(payload) % 3))
            return super().run(payload + "*2")

    scripts = [called(tokenizer, str(10 + i), str(20 + 2 * i), "ok", "<assistant_end>") for i in range(8)]
    model = Scripted(tokenizer, *scripts)
    for rows in (1, 3, 8):
        engine = Engine(model, tokenizer, toolbox=Late(None), rows=rows, max_length=100)
        assert [one.ids for one in engine.run([Request([i], 50) for i in range(8)])] == scripts


def test_a_cancelled_request_no_longer_waits_for_its_tool(tokenizer):
    slow = Slow()
    call = speak(tokenizer, "<python_start>", "6*7", "<python_end>")
    engine = Engine(Scripted(tokenizer, call), tokenizer, toolbox=slow, rows=2, max_length=100)
    first, second = engine.add(Request([0], 50)), engine.add(Request([0], 50))
    while [len(engine.generated(number)[0]) for number in (first, second)] != [len(call)] * 2:
        engine.step()
    assert engine.cancel(first) and engine.cancel(second)
    assert [(one.id, one.reason) for one in engine.step()] == [(first, "cancelled"), (second, "cancelled")]
    slow.let_go.set()
    (finished,) = engine.run([Request([0], 50)])  # the answer that nobody waits for is nobody's
    assert observations(tokenizer, finished) == ["6*7"] and slow.most == 1


def test_a_toolbox_is_asked_one_thing_at_a_time_and_several_at_once():
    calls, boxes = ToolCalls(), [Slow() for _ in range(3)]
    for number in range(9):
        calls.ask(number, boxes[number % 3], f"a{number}")
    assert len(calls) == 9 and calls.answers(wait=False) == []
    found = {}
    for box in boxes:
        box.let_go.set()
    while len(calls):
        found.update(calls.answers(wait=True))
    assert {number: one.payload for number, one in found.items()} == {number: f"A{number}" for number in range(9)}
    assert [box.most for box in boxes] == [1, 1, 1]
    assert calls.answers(wait=True) == []  # nothing to wait for


def test_what_a_toolbox_raises_is_raised_where_it_is_waited_for(tokenizer):
    class Broken(Toolbox):
        def run(self, payload):
            raise ConnectionError("gone")

    script = speak(tokenizer, "<python_start>", "6*7", "<python_end>")
    engine = Engine(Scripted(tokenizer, script), tokenizer, toolbox=Broken(None), rows=1, max_length=100)
    with pytest.raises(ConnectionError, match="gone"):
        engine.run([Request([0], 50)])
