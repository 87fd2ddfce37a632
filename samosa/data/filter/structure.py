"""Built-ins about whole rows: how long the answers are, and the grammar of think, call, result and answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from samosa.chat import grammar
from samosa.chat.conversation import parse_answer
from samosa.chat.grammar import Verdict, read_parts
from samosa.chat.tools import BadCall, parse_call
from samosa.chat.turns import Part
from samosa.data.filter.layouts import Broken, Message
from samosa.errors import BadInput

UNLIMITED = 1_000  # calls a turn: how many are right is a rule of its own


@dataclass(frozen=True)
class Answer:
    """An assistant's turn: its parts, and what the grammar says of them. `turn` counts messages from 0."""

    turn: int
    parts: tuple[Part, ...]
    verdict: Verdict


@dataclass(frozen=True)
class Row:
    """The messages of a row, and its assistant's turns."""

    messages: Sequence[Message]
    answers: tuple[Answer, ...]


RowCheck = Callable[[Row], Iterator[tuple[int, str]]]
"""Row -> (turn, what is wrong with it)."""


def row_of(messages: Sequence[Message]) -> Row:
    """The row with its answers read. Raises Broken where an answer's content cannot be."""
    answers = []
    for turn, message in enumerate(messages):
        if message.role != "assistant":
            continue
        try:
            parts = tuple(parse_answer(message.raw.get("content", message.raw.get("value")), f"message {turn + 1}"))
        except BadInput as error:
            raise Broken(error.message) from None
        answers.append(Answer(turn, parts, read_parts(parts, max_calls=UNLIMITED)))
    return Row(messages, tuple(answers))


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


ROW_BUILTINS: dict[str, Callable[..., RowCheck]] = {
    "closed_think": lambda: _one_of(
        grammar.UNCLOSED_THINK, grammar.UNOPENED_THINK, grammar.NESTED_THINK, grammar.SECOND_THINK
    ),
    "answer_outside_think": lambda: _answer_outside_think,
    "call_after_think": lambda: _one_of(
        grammar.CALL_IN_THINK, grammar.THINK_AFTER_CALL, grammar.CALL_AFTER_TEXT, grammar.TEXT_BEFORE_THINK
    ),
    "one_result": lambda: _one_result,
    "call_is_json": lambda: _call_is_json,
    "terminated": lambda: _terminated,
    "no_marker_text": lambda: _one_of(grammar.MARKER_TEXT, grammar.STRAY_MARKER),
}
