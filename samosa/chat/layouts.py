"""Other people's layouts as messages of ours: ShareGPT's {"from", "value"}, and OpenAI's tool calls and their results.

A conversation of ours has one assistant message for all that is said between two user messages, calls and results
among its parts; theirs has a message for each.
"""

import json
from typing import Any

ROLES = {
    "human": "user", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
    "developer": "system", "function": "tool", "observation": "tool", "function_response": "tool",
    "function_call": "call", "tool_call": "call",
}  # fmt: skip
"""What others call the speakers; "call" is an assistant's call as a message of its own, "tool" its result."""
THEIRS = frozenset({"from", "tool_calls", "function_call"})


def as_ours(messages: list[Any]) -> list[Any]:
    """Messages of any of these layouts in ours. What is in ours already, or in none, is handed back as it is."""
    if not any(isinstance(message, dict) and _is_theirs(message) for message in messages):
        return messages
    ours: list[Any] = []
    names: dict[str, str] = {}
    tool, open_turn = "", False
    for message in messages:
        if not isinstance(message, dict):
            return messages
        said = message.get("role", message.get("from"))
        role = ROLES.get(said, said) if isinstance(said, str) else said
        content = message["content"] if "content" in message else message.get("value")
        calls = _calls(message, role, content)
        answers = bool(ours) and ours[-1].get("role") == "assistant"
        if calls or (role == "tool" and answers):
            if not answers:
                ours.append({"role": "assistant", "content": []})
            parts = _as_parts(ours[-1])
            if role == "assistant":
                parts += _text(content)
            for call in calls:
                tool = call["tool_name"]
                names[call.pop("id")] = tool
                parts.append(call)
            if role == "tool":
                name = names.get(str(message.get("tool_call_id")), message.get("name") or tool)
                parts.append({"type": "tool_result", "tool_name": name, "output": _decoded(content)})
            open_turn = True
        elif role == "assistant" and open_turn:
            _as_parts(ours[-1]).extend(_text(content))
            open_turn = False
        else:
            ours.append({"role": role, "content": content})
            open_turn = False
    return ours


def _is_theirs(message: dict[str, Any]) -> bool:
    role = message.get("role")
    return not THEIRS.isdisjoint(message) or (isinstance(role, str) and (role in ROLES or role == "tool"))


def _calls(message: dict[str, Any], role: Any, content: Any) -> list[dict[str, Any]]:
    """The calls of a message as our parts, each with its id; what is no call becomes a part that is refused."""
    given = message.get("tool_calls") or []
    if role == "call" or message.get("function_call"):
        given = [{"function": _decoded(content) if role == "call" else message["function_call"]}]
    calls = []
    for call in given if isinstance(given, list) else [given]:
        call = call if isinstance(call, dict) else {}
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        part = {
            "type": "tool_call",
            "tool_name": function.get("name"),
            "arguments": _decoded(function.get("arguments")),
        }
        calls.append({**part, "id": str(call.get("id"))})
    return calls


def _as_parts(message: dict[str, Any]) -> list[Any]:
    """The content of an assistant message of ours, made a list of parts."""
    message["content"] = [*_text(message["content"])]  # a list of its own: the row that was read is not written to
    return message["content"]


def _text(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _decoded(value: Any) -> Any:
    """An object or list that was written as a string; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, dict | list) else value
