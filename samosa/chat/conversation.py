"""Conversations as JSON rows: reading the layouts of nanochat, its fork and others, and writing them back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samosa.chat.layouts import as_ours
from samosa.chat.markup import OUTPUT_END, OUTPUT_START, PYTHON_END, THINK_CLOSE, THINK_OPEN, TOOL_MARKER, TOOL_OPENER
from samosa.chat.payloads import MAX_DEPTH, call_payload, find_bad_value, result_payload
from samosa.chat.turns import Conversation, Part, PartKind, Role, Turn, check_order, prose, raw_text
from samosa.errors import BadInput

__all__ = [
    "Conversation",
    "Part",
    "PartKind",
    "Role",
    "Turn",
    "call_payload",
    "parse_answer",
    "parse_line",
    "parse_row",
    "prose",
    "raw_text",
    "read_jsonl",
    "result_payload",
    "to_row",
    "tool_spans",
]

_ROW_HINT = 'a row is [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..." or [parts]}]'
_PART_HINT = "part types are text, think, python, python_output, tool_call and tool_result"


def parse_row(row: Any, *, source: str, legacy_markers: bool = False) -> Conversation:
    """Read one decoded row: a bare array of messages, {"messages": [...]} or {"conversation": {"messages": [...]}}.

    Messages may also be ShareGPT's, {"conversations": [{"from", "value"}]}, or have OpenAI's tool calls (chat.layouts).
    Well-formed marker text in an assistant's *string* (`<|python_start|>...<|python_end|>` and the output pair) becomes
    calls and results; `legacy_markers` leaves it the ordinary text it is to nanochat. Text in parts is always just
    text. Raises BadInput, its message beginning with `source`, for anything that is not a conversation.
    """
    return _parse(row, source, source, legacy_markers)


def parse_line(line: bytes, *, where: str, source: str | None = None, legacy_markers: bool = False) -> Conversation:
    """Read one line of JSONL as `parse_row` does; without a `source` the row says its own, as those of a mix do.

    Raises BadInput, its message beginning with `where`.
    """
    row = _decode(line, where)
    if source is None:
        source = row.get("source") if isinstance(row, dict) else None
        if not isinstance(source, str):
            raise BadInput(f"{where}: a row that does not say its source", hint="make the mix again: samosa mix")
    return _parse(row, where, source, legacy_markers)


def read_jsonl(path: Path | str, *, source: str | None = None, legacy_markers: bool = False) -> Iterator[Conversation]:
    """The conversations of a JSONL file, lazily, blank lines skipped; `source` is the file's stem unless given.

    Raises BadInput with file and line for a row that is not a conversation, and at once when there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: no such file", hint="check the path; ~ and variables are not expanded inside recipes")
    return _rows(path, path.stem if source is None else source, legacy_markers)


def to_row(conversation: Conversation) -> dict[str, Any]:
    """The row that `parse_row` reads back: plain strings where they say it all, otherwise typed parts."""
    return {"messages": [{"role": turn.role, "content": _content(turn)} for turn in conversation.turns]}


# ---- reading


def _rows(path: Path, source: str, legacy_markers: bool) -> Iterator[Conversation]:
    try:
        with path.open("rb") as lines:  # bytes: a line ends at \n and nowhere else
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield parse_line(line, where=f"{path}:{number}", source=source, legacy_markers=legacy_markers)
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror})", hint="check the file and its permissions"
        ) from error


def _decode(line: bytes, where: str) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadInput(f"{where}: not UTF-8 at byte {error.start}", hint="save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{where}: broken JSON, {error.msg.lower()} at column {error.colno}",
            hint="one complete JSON row a line; was the file cut off?",
        ) from error
    except RecursionError as error:
        raise BadInput(
            f"{where}: nested deeper than {MAX_DEPTH} levels", hint="a row needs five levels at most"
        ) from error
    except ValueError as error:  # integers with thousands of digits
        raise BadInput(f"{where}: {error}", hint="write such a number as a string") from error


def _parse(row: Any, where: str, source: str, legacy_markers: bool) -> Conversation:
    messages = _messages(row, where)
    bad = find_bad_value(messages)
    if bad:
        raise BadInput(f"{where}: {bad}", hint="remove or replace it where the row is made")
    roles = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise BadInput(f"{where}: message {number} is {_type(message)}, not an object", hint=_ROW_HINT)
        roles.append(message.get("role"))
    check_order(roles, where)
    turns = tuple(
        Turn(message["role"], tuple(_parts(message, f"{where}: message {number}", legacy_markers)))
        for number, message in enumerate(messages, 1)
    )
    return Conversation(turns, source)


def _messages(row: Any, where: str) -> list[Any]:
    messages = row
    if isinstance(messages, dict) and "messages" not in messages:
        messages = messages.get("conversation", messages.get("conversations"))
    if isinstance(messages, dict):
        messages = messages.get("messages")
    if not isinstance(messages, list):
        raise BadInput(f"{where}: {_type(row)} without a list of messages", hint=_ROW_HINT)
    return as_ours(messages)


def _parts(message: dict[str, Any], where: str, legacy_markers: bool) -> list[Part]:
    if "content" not in message:
        raise BadInput(f"{where} has no content", hint=_ROW_HINT)
    content = message["content"]
    if message["role"] != "assistant":
        if not isinstance(content, str):
            raise BadInput(
                f"{where}: content of a {message['role']} message is {_type(content)}, not a string",
                hint="only assistant content may be a list of parts",
            )
        return [Part("text", content)] if content else []
    return parse_answer(content, where, legacy_markers=legacy_markers)


def parse_answer(content: Any, where: str, *, legacy_markers: bool = False) -> list[Part]:
    """The parts of an assistant message's content, as `parse_row` reads it. Raises BadInput, its message beginning with
    `where`, for content that is none."""
    if isinstance(content, str):
        return prose(content) if legacy_markers else _from_marked(content)
    if not isinstance(content, list):
        raise BadInput(f"{where}: content is {_type(content)}, neither a string nor a list of parts", hint=_ROW_HINT)
    return [part for number, entry in enumerate(content, 1) for part in _entry(entry, f"{where}, part {number}")]


def _entry(entry: Any, where: str) -> list[Part]:
    if not isinstance(entry, dict):
        raise BadInput(f"{where} is {_type(entry)}, not an object", hint=_PART_HINT)
    match entry.get("type"):
        case "text":
            return prose(_string(entry, "text", where))
        case "think":
            return prose(THINK_OPEN + _string(entry, "text", where) + THINK_CLOSE)
        case "python":
            return [Part("tool_call", _string(entry, "text", where))]
        case "python_output":
            return [Part("tool_result", _string(entry, "text", where))]
        case "tool_call":
            return [_call(entry, where)]
        case "tool_result":
            return [_result(entry, where)]
        case other:
            raise BadInput(f"{where} has the unknown type {_shown(other)}", hint=_PART_HINT)


def _call(entry: dict[str, Any], where: str) -> Part:
    arguments = entry.get("arguments")
    if not isinstance(arguments, dict):
        raise BadInput(
            f"{where}: arguments of a tool_call are {_type(arguments)}, not an object",
            hint='{"type": "tool_call", "tool_name": "calculator", "arguments": {"expression": "6*7"}}',
        )
    return Part("tool_call", call_payload(_string(entry, "tool_name", where), arguments))


def _result(entry: dict[str, Any], where: str) -> Part:
    tool = _string(entry, "tool_name", where)
    success, error, metadata = entry.get("success", True), entry.get("error"), entry.get("metadata")
    wrong = [
        name
        for name, right in (
            ("success (true or false)", isinstance(success, bool)),
            ("error (a string or null)", error is None or isinstance(error, str)),
            ("metadata (an object or null)", metadata is None or isinstance(metadata, dict)),
            ("output (or an error)", "output" in entry or error),
        )
        if not right
    ]
    if wrong:
        raise BadInput(
            f"{where}: a tool_result with a wrong or missing {wrong[0]}",
            hint='{"type": "tool_result", "tool_name": "calculator", "output": {"value": 42}, "success": true}',
        )
    return Part("tool_result", result_payload(tool, entry.get("output"), success, error, metadata))


def _from_marked(text: str) -> list[Part]:
    """Parts of an assistant string, marker pairs taken for what they mean."""
    parts: list[Part] = []
    done = 0
    for kind, start, end, inside in tool_spans(text):
        parts += prose(text[done:start])
        parts.append(Part(kind, text[inside[0] : inside[1]]))
        done = end
    return parts + prose(text[done:])


def tool_spans(text: str) -> Iterator[tuple[PartKind, int, int, tuple[int, int]]]:
    """Calls and results in an assistant string: kind, where it starts and ends, and where its payload does.

    A result ends at the first closing marker, whatever stands inside; when none follows, the rest is a cut-off result:
    data from outside, in which no marker counts. A call has no marker inside; otherwise its opener is just text.
    """
    look = 0
    while opener := TOOL_OPENER.search(text, look):
        is_result = opener[0] == OUTPUT_START
        if is_result:
            close = text.find(OUTPUT_END, opener.end())
            if close < 0:
                break
            after = close + len(OUTPUT_END)
        else:
            closer = TOOL_MARKER.search(text, opener.end())
            if closer is None or closer[0] != PYTHON_END:
                look = opener.end()
                continue
            close, after = closer.span()
        yield "tool_result" if is_result else "tool_call", opener.start(), after, (opener.end(), close)
        look = after


def _string(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        said = f"is {_type(value)}, not a string" if key in entry else "is missing"
        raise BadInput(f"{where}: `{key}` {said}", hint=_PART_HINT)
    return value


def _type(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}")


def _shown(value: Any) -> str:
    return repr(value)[:40]


# ---- writing


def _content(turn: Turn) -> str | list[dict[str, Any]]:
    if turn.role != "assistant":
        return turn.text
    entries: list[dict[str, Any]] = []
    run: str | None = None  # raw text of glued parts, which stand together in one entry
    for part in turn.parts:
        if part.kind in ("text", "think"):
            if run is not None and part.glued:
                run += raw_text(part)
                continue
            if run is not None:
                entries.append({"type": "text", "text": run})
            run = raw_text(part)
            continue
        if run is not None:
            entries.append({"type": "text", "text": run})
            run = None
        entries.append(_tool_entry(part))
    if run is not None:
        if not entries and TOOL_OPENER.search(run) is None:
            return run
        entries.append({"type": "text", "text": run})
    return entries or ""


def _tool_entry(part: Part) -> dict[str, Any]:
    """A typed entry where the payload is our canonical JSON, the bare text otherwise."""
    typed = _typed_entry(part.text, part.kind)
    if typed:
        return typed
    return {"type": "python" if part.kind == "tool_call" else "python_output", "text": part.text}


def _typed_entry(payload: str, kind: PartKind) -> dict[str, Any] | None:
    try:
        fields = json.loads(payload) if payload.startswith("{") else None
        if not isinstance(fields, dict) or find_bad_value([[[fields]]]):  # as deep as it stands in a row
            return None
        entry: dict[str, Any] = {"type": kind, "tool_name": fields.pop("tool"), **fields}
        again = _call(entry, "") if kind == "tool_call" else _result(entry, "")
    except (ValueError, RecursionError, KeyError, BadInput):
        return None
    return entry if again.text == payload else None
