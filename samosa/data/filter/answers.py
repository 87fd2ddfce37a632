"""An assistant's turns as the grammar reads them, whatever the layout they came in."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from samosa.chat.conversation import parse_answer, tool_spans
from samosa.chat.grammar import Verdict, read_parts
from samosa.chat.markup import THINK_BLOCK, THINK_OPEN
from samosa.chat.turns import Part
from samosa.data.filter.layouts import TEXT_PARTS, Broken, Message
from samosa.errors import BadInput

UNLIMITED = 1_000  # calls a turn: how many are right is a rule of its own


@dataclass(frozen=True)
class Answer:
    """A turn of the assistant: its parts, and what the grammar says of them. `turn` counts messages from 0."""

    turn: int
    parts: tuple[Part, ...]

    @cached_property
    def verdict(self) -> Verdict:
        return read_parts(self.parts, max_calls=UNLIMITED)


@dataclass(frozen=True)
class Row:
    """The messages of a row, and its assistant's turns, read when they are asked for. That raises Broken where an
    answer's content cannot be read.
    """

    messages: Sequence[Message]

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        return tuple(_answers(self.messages))


RowCheck = Callable[[Row], Iterator[tuple[int, str]]]
"""Row -> (turn, what is wrong with it)."""


def visible(text: str) -> str:
    """What a reader sees of an answer: without thinking, calls and results, and the white space around."""
    if "<" not in text:
        return text.strip()
    if THINK_OPEN in text:
        text = THINK_BLOCK.sub("", text)
    if "<|" in text:
        done, shown = 0, []
        for _, start, end, _ in tool_spans(text):
            shown.append(text[done:start])
            done = end
        text = "".join(shown) + text[done:]
    return text.strip()


def length(*, at_least: int) -> RowCheck:
    """The answers of a row, as they stand and with a line break between them, have at least so many characters."""

    def check(row: Row) -> Iterator[tuple[int, str]]:
        count = sum(len(message.text) + 1 for message in row.messages if message.role == "assistant") - 1
        if count < at_least:
            yield _last(row), f"{max(count, 0)} characters"

    return check


def _last(row: Row) -> int:
    """The last answer, or the last message where there is none."""
    turns = [turn for turn, message in enumerate(row.messages) if message.role == "assistant"]
    return turns[-1] if turns else len(row.messages) - 1


def answer_length(*, at_least: int) -> RowCheck:
    """The answers of a row together, thinking, calls and results left out, have at least so many characters."""

    def check(row: Row) -> Iterator[tuple[int, str]]:
        count = sum(len(visible(message.text)) for message in row.messages if message.role == "assistant")
        if count < at_least:
            yield _last(row), f"{count} characters of answer"

    return check


def _answers(messages: Sequence[Message]) -> Iterator[Answer]:
    """The turns: results of tools, and what is said after them, belong to the turn that called."""
    turn, entries = -1, list[Any]()
    calling = False
    for number, message in enumerate(messages):
        if message.role not in ("assistant", "tool", "call"):
            if turn >= 0:
                yield _answer(turn, entries)
            turn, entries, calling = -1, [], False
            continue
        if turn >= 0 and not (calling or message.role in ("tool", "call")):
            yield _answer(turn, entries)
            turn, entries = -1, []
        turn = number if turn < 0 else turn
        entries.append(_content(message))
        calling = message.role in ("tool", "call") or bool(_calls(message.raw))
    if turn >= 0:
        yield _answer(turn, entries)


def _answer(turn: int, contents: list[Any]) -> Answer:
    where = f"message {turn + 1}"
    try:
        parts = [part for content in contents for part in parse_answer(content, where)]
    except BadInput as error:
        raise Broken(error.message) from None
    return Answer(turn, tuple(parts))


def _content(message: Message) -> str | list[Any]:
    """The content of a message in samosa's own layout: a string, or typed parts."""
    raw, said = message.raw, message.raw.get("content", message.raw.get("value"))
    if message.role == "call":
        return [{"type": "python", "text": message.text}]
    if message.role == "tool":
        return [{"type": "python_output", "text": message.text}]
    calls = _calls(raw)
    thought = raw.get("reasoning_content")
    if isinstance(said, str) and not calls and not thought:
        return said
    parts: list[Any] = [{"type": "think", "text": thought}] if isinstance(thought, str) and thought else []
    if isinstance(said, str) and said:
        parts.append({"type": "text", "text": said})
    elif isinstance(said, list):
        parts += [_part(part) for part in said]
    return [*parts, *calls]


def _calls(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """OpenAI's tool_calls (or the older function_call) as parts."""
    listed = raw.get("tool_calls") or ([{"function": raw["function_call"]}] if raw.get("function_call") else [])
    calls = []
    for call in listed if isinstance(listed, list) else []:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise Broken("a call in tool_calls is not an object")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except (ValueError, RecursionError):
                calls.append({"type": "python", "text": function["arguments"]})
                continue
        calls.append({"type": "tool_call", "tool_name": function.get("name"), "arguments": arguments})
    return calls


def _part(part: Any) -> Any:
    """A part of another layout as one of ours; what is already ours, or nobody's, as it is."""
    kind = part.get("type")
    if kind in ("reasoning", "think"):
        return {"type": "think", "text": part.get("text")}
    if kind in TEXT_PARTS:
        return {"type": "text", "text": part.get(TEXT_PARTS[kind])}
    if kind == "tool_use":
        return {"type": "tool_call", "tool_name": part.get("name"), "arguments": part.get("input")}
    return part


COUNTS: dict[str, Callable[..., RowCheck]] = {"answer_length": answer_length, "length": length}
"""Built-ins that need no more than counting."""
