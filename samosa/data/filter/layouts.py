"""Rows of any layout as messages: who said what, as it stands, with no opinion about it.

Bare arrays, {"messages"}, {"conversation": {"messages"}}, ShareGPT's {"conversations": [{"from", "value"}]}, OpenAI's
(content parts, tool_calls, role tool), and pairs {"prompt", "chosen", "rejected"}, of which the prompt and the chosen
answer count: a rejected answer is meant to be worse.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from samosa.chat.markup import THINK_CLOSE, THINK_OPEN
from samosa.chat.payloads import find_bad_value

ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
    "gpt": "assistant", "chatgpt": "assistant", "bard": "assistant", "bing": "assistant", "claude": "assistant",
    "model": "assistant", "bot": "assistant", "tool": "tool", "function": "tool", "observation": "tool",
    "function_response": "tool", "ipython": "tool", "function_call": "call", "tool_call": "call",
}  # fmt: skip
"""What layouts call the speakers. "call" is an assistant message that is a call (ShareGPT)."""

PLAIN = frozenset({"user", "assistant", "system"})

TEXT_PARTS = {
    "text": "text",
    "output_text": "text",
    "input_text": "text",
    "refusal": "refusal",
    "think": "text",
    "reasoning": "text",
}
"""Parts with words in them, and the key of the words."""
TOOL_PARTS = frozenset({"python", "python_output", "tool_call", "tool_result", "tool_use"})
USER_PARTS = frozenset({"image_url", "image", "input_image", "input_audio", "audio", "file", "video", "tool_result"})
"""Parts of other speakers that have no words."""


class Broken(Exception):
    """Why a line is no conversation, in a few words."""


class Message(NamedTuple):
    """Who (system, user, assistant, tool or call) and their words: of parts, the text and think parts, with a line
    break where a call or result stood between them; think parts stand between their tags.
    """

    role: str
    text: str
    raw: dict[str, Any]


def decode(line: bytes) -> Any:
    """A line as JSON. Raises Broken for wrong encoding, lone surrogates and what is not JSON."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if line.startswith(b"\xef\xbb\xbf"):
            return decode(line[3:])
        raise Broken(_why(line, error)) from None


def answers_of(rows: Sequence[Any]) -> list[list[str] | None]:
    """The `plain_answers` of many rows: without a call for each, where most have a question and its answer."""
    try:
        return [
            [said]
            if len(messages := row["messages"]) == 2
            and (first := messages[0])["role"] == "user"
            and (second := messages[1])["role"] == "assistant"
            and (said := second["content"]).__class__ is str
            and (asked := first["content"]).__class__ is str
            and "\0" not in said
            and "\0" not in asked
            else plain_answers(row)
            for row in rows
        ]
    except (KeyError, TypeError, IndexError):
        return list(map(plain_answers, rows))


def plain_answers(row: Any) -> list[str] | None:
    """The answers of a row of the usual layout, {"messages"} or an array of string contents; None for another."""
    try:
        messages = row["messages"] if row.__class__ is dict else row
        answers = []
        for message in messages:
            role, content = message["role"], message["content"]
            if content.__class__ is not str or "\0" in content:
                return None
            if role == "assistant":
                answers.append(content)
            elif role != "user" and role != "system":  # a look into a set takes as long as both
                return None
    except (KeyError, TypeError):
        return None
    return answers if messages else None


def plain_messages(row: Any) -> list[Message]:
    """The messages of a row that has `plain_answers`: what `messages_of` finds, in a fifth of the time."""
    messages = row["messages"] if row.__class__ is dict else row
    return [Message(message["role"], message["content"], message) for message in messages]


def messages_of(row: Any) -> list[Message]:
    """The messages of a decoded row of any layout, in order. Raises Broken for what is no conversation."""
    entries = _entries(row)
    if not entries:
        raise Broken("an empty conversation")
    return [_message(entry, number) for number, entry in enumerate(entries, 1)]


def _entries(row: Any) -> list[Any]:
    if isinstance(row, list):
        return row
    if not isinstance(row, dict):
        raise Broken("neither an object nor an array")
    if isinstance(row.get("conversation"), dict) and not isinstance(row.get("messages"), list):
        row = row["conversation"]
    for key in ("messages", "conversations", "conversation"):
        if isinstance(row.get(key), list):
            return row[key]
    if "chosen" in row:
        return _pair(row)
    raise Broken("no messages: no key messages, conversation, conversations or chosen")


def _pair(row: dict[str, Any]) -> list[Any]:
    prompt, chosen = row.get("prompt"), row["chosen"]
    before: list[Any] = []
    if isinstance(row.get("system"), str) and row["system"]:
        before.append({"role": "system", "content": row["system"]})
    if isinstance(prompt, list):
        before = prompt
    elif isinstance(prompt, str):
        before.append({"role": "user", "content": prompt})
    if isinstance(chosen, str):
        return [*before, {"role": "assistant", "content": chosen}]
    if isinstance(chosen, dict):
        return [*before, chosen]
    if not isinstance(chosen, list):
        raise Broken("chosen is neither words nor messages")
    repeats = isinstance(prompt, str) or chosen[: len(before)] == before  # whole conversations
    return chosen if len(chosen) > 1 and repeats else [*before, *chosen]


def _message(entry: Any, number: int) -> Message:
    if not isinstance(entry, dict):
        raise Broken(f"message {number} is not an object")
    said = entry.get("role", entry.get("from"))
    role = ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise Broken(f"message {number} has the role {repr(said)[:40]}")
    content = entry["content"] if "content" in entry else entry.get("value")
    if isinstance(content, str):
        return Message(role, _sound(content), entry)
    if content is None and (role == "tool" or entry.get("tool_calls") or entry.get("function_call")):
        return Message(role, "", entry)
    if not isinstance(content, list):
        raise Broken(f"message {number} has no content")
    return Message(role, _sound(_words(content, number, role)), entry)


def _sound(text: str) -> str:
    """The text, if it can become tokens."""
    if ("\0" in text or not text.isascii()) and (bad := find_bad_value(text)):
        raise Broken(bad)
    return text


def _words(parts: list[Any], number: int, role: str) -> str:
    words: list[str] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in TEXT_PARTS and isinstance(text := part.get(TEXT_PARTS[kind]), str):
            words.append(THINK_OPEN + text + THINK_CLOSE if kind in ("think", "reasoning") else text)
        elif isinstance(kind, str) and (kind in TOOL_PARTS if role == "assistant" else kind in USER_PARTS):
            words.append("\n" if words else "")
        else:
            raise Broken(f"message {number} has a part of the unknown type {repr(kind)[:40]}")
    return "".join(words)


def _why(line: bytes, error: Exception) -> str:
    """Why orjson refused a line, in the order in which a person would want to know."""
    try:
        text = line.decode()
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 at byte {wrong.start}"
    try:
        bad = find_bad_value(json.loads(text))
    except RecursionError:
        return "nested too deep"
    except ValueError:
        return f"not JSON: {error}"
    return bad or f"not JSON: {error}"
