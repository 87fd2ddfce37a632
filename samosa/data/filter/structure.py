"""Built-ins about whole rows by the grammar of think, call, result and answer."""

import re
from collections.abc import Callable, Iterator

import re2

from samosa.chat import grammar
from samosa.chat.tools import BadCall, parse_call
from samosa.data.filter.answers import Row, RowCheck, visible
from samosa.data.filter.patterns import options


def _one_of(*violations: str) -> RowCheck:
    """Make a check of the grammar's verdicts."""

    def check(row: Row) -> Iterator[tuple[int, str]]:
        for answer in row.answers:
            if answer.verdict.violation in violations:
                yield answer.turn, answer.verdict.violation or ""

    return check


def _answer_outside_think(row: Row) -> Iterator[tuple[int, str]]:
    for answer in row.answers:
        if not answer.verdict.answer:
            yield answer.turn, "no answer outside the think block"


def _one_result(row: Row) -> Iterator[tuple[int, str]]:
    for answer in row.answers:
        calls = sum(part.kind == "tool_call" for part in answer.parts)
        results = sum(part.kind == "tool_result" for part in answer.parts)
        if results > 1 or calls > 1:
            yield answer.turn, f"{calls} calls and {results} results in one turn"
        elif calls != results:
            yield answer.turn, f"{calls} calls but {results} results"


def _call_is_json(row: Row) -> Iterator[tuple[int, str]]:
    for answer in row.answers:
        for part in answer.parts:
            if part.kind == "tool_call" and isinstance(call := parse_call(part.text), BadCall):
                yield answer.turn, f"{call.code}: {call.message}"
                break


_ENDS = _one_of(grammar.MISSING_END, grammar.EMPTY_ANSWER, grammar.AFTER_END)


def _terminated(row: Row) -> Iterator[tuple[int, str]]:
    yield from _ENDS(row)
    if row.messages[-1].role != "assistant":
        yield len(row.messages) - 1, "the conversation ends without an answer"


# ---- how much is said


def reasoning_length(*, at_least: int) -> RowCheck:
    """Every turn thinks for at least so many characters."""

    def check(row: Row) -> Iterator[tuple[int, str]]:
        for answer in row.answers:
            count = len((answer.verdict.think or "").strip())
            if count < at_least:
                yield answer.turn, f"{count} characters of reasoning"

    return check


_SAYS = re2.compile(r"[\pL\pN\p{So}\p{Sm}\p{Sc}]", options())
_ANNOUNCED = re.compile(r"(?:[:=,]|\b(?:answer|result|solution) is)[\s*_$]*\Z", re.IGNORECASE)
_EMPTY_BOX = re.compile(r"\\boxed\{\s*\}")
_TAIL = 40  # characters in which an announcement without an answer ends


def _near_empty_turn(row: Row) -> Iterator[tuple[int, str]]:
    for turn, message in enumerate(row.messages):
        if message.role != "assistant" or message.raw.get("tool_calls") or message.raw.get("function_call"):
            continue
        if isinstance(message.raw.get("content"), list) and any(
            part.get("type") in ("python", "tool_call", "tool_use") for part in message.raw["content"]
        ):
            continue
        if _SAYS.search(visible(message.text)) is None:
            yield turn, "a turn that says nothing"


def _final_answer(row: Row) -> Iterator[tuple[int, str]]:
    for answer in row.answers:
        said = answer.verdict.answer
        if _SAYS.search(said) is None:
            yield answer.turn, "no final answer"
        elif _EMPTY_BOX.search(said) is not None or _ANNOUNCED.search(said[-_TAIL:]) is not None:
            yield answer.turn, "the final answer is announced and does not come"


ROW_BUILTINS: dict[str, Callable[..., RowCheck]] = {
    "answer_outside_think": lambda: _answer_outside_think,
    "call_after_think": lambda: _one_of(
        grammar.CALL_IN_THINK, grammar.THINK_AFTER_CALL, grammar.CALL_AFTER_TEXT, grammar.TEXT_BEFORE_THINK
    ),
    "call_is_json": lambda: _call_is_json,
    "closed_think": lambda: _one_of(
        grammar.UNCLOSED_THINK, grammar.UNOPENED_THINK, grammar.NESTED_THINK, grammar.SECOND_THINK
    ),
    "final_answer": lambda: _final_answer,
    "near_empty_turn": lambda: _near_empty_turn,
    "no_marker_text": lambda: _one_of(grammar.MARKER_TEXT, grammar.STRAY_MARKER),
    "one_result": lambda: _one_result,
    "reasoning_length": reasoning_length,
    "terminated": lambda: _terminated,
}
