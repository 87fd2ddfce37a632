"""What a row says, in the form in which two rows are compared, whatever layout they have.

Exactly: every speaker's role and words, calls and results included, with Unicode composed (NFC), case folded and every
run of white space one space. Nearly: the words alone, without those of the system, whose long prompt many rows share.
What else a row carries (ids, dates, scores, sources) says nothing.
"""

import re
import unicodedata
from typing import Any, NamedTuple

import orjson

from samosa.chat.payloads import find_bad_value
from samosa.data.filter.layouts import PLAIN, TEXT_PARTS, Broken, decode, messages_of

ROLE_END, TURN_END = "\x1f", "\x1e"  # white space to str.split, so that no normalised text has them
NUL = b"\\u0000"
CONVERSATION_KEYS = frozenset({"messages", "conversation", "conversations", "chosen"})
SPOKEN_KEYS = ("name", "reasoning_content", "reasoning", "thinking", "tool_calls", "function_call", "refusal")
"""Keys of a message that say something besides its content."""
ID_KEYS = frozenset({"id", "call_id", "tool_call_id", "index"})
"""Keys of a part or call that are made up anew each time."""
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana and Chinese."""


class Said(NamedTuple):
    """A row as it is compared: `exact` decides equality; `words` are those of near-duplicates, a space between them."""

    exact: str
    words: str


def said(line: bytes) -> Said:
    """What a line of JSON says: a conversation or pair of any layout, or {"text"}. Raises Broken for anything else."""
    row = decode(line)
    turns = (None if NUL in line else _plain_turns(row)) or _turns(row)
    exact, words = [], []
    for role, text, more in turns:
        plain = normalised(text)
        exact.append(f"{role}{ROLE_END}{plain}{ROLE_END}{more}" if more else f"{role}{ROLE_END}{plain}")
        if role != "system":
            words.append(f"{plain} {more}" if more else plain)
    joined = " ".join(filter(None, words))
    return Said(TURN_END.join(exact), joined if joined.isascii() else _spaced(joined))


def normalised(text: str) -> str:
    """Composed, case folded (canonical caseless matching, Unicode 3.13 D145), white space (str.split's) single."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFD", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def _spaced(text: str) -> str:
    """Letters of unspaced scripts as words of their own."""
    return " ".join(UNSPACED.sub(r" \g<0> ", text).split())


Turn = tuple[str, str, str]
"""Role, text, and what was said beside the text, as canonical JSON."""


def _plain_turns(row: Any) -> list[Turn] | None:
    """The turns of the most common layout, {"messages"} or an array of two strings each; None for any other."""
    try:
        if row.__class__ is dict:
            messages = row["messages"]
            if "tools" in row or "system" in row:
                return None
        else:
            messages = row
        turns = []
        for message in messages:
            role, content = message["role"], message["content"]
            if len(message) != 2 or content.__class__ is not str or role not in PLAIN:
                return None
            turns.append((role, content, ""))
    except (KeyError, TypeError):
        return None
    return turns


def _turns(row: Any) -> list[Turn]:
    is_object = isinstance(row, dict)
    if is_object and CONVERSATION_KEYS.isdisjoint(row):
        text = row.get("text")
        if not isinstance(text, str):
            raise Broken(f"neither a conversation nor a text: its keys are {', '.join(map(str, row))[:80] or 'none'}")
        if bad := find_bad_value(text):
            raise Broken(bad)
        return [("text", text, "")]
    turns = [(message.role, message.text, _more(message.raw)) for message in messages_of(row)]
    if is_object and "chosen" in row and row.get("rejected") is not None:
        turns.append(("rejected", *_rejected(row["rejected"])))
    if is_object:
        before = [(key, row[key]) for key in ("system", "tools") if row.get(key)]
        turns = [("system", "", _canonical(pair)) for pair in before] + turns
    return turns


def _rejected(answer: Any) -> tuple[str, str]:
    if isinstance(answer, str):
        return answer, ""
    messages = messages_of(answer if isinstance(answer, list) else [answer])
    return " ".join(message.text for message in messages), "".join(_more(message.raw) for message in messages)


def _more(message: dict[str, Any]) -> str:
    """What a message says beside its words: calls, results, pictures, reasoning in a key of its own."""
    if len(message) == 2 and isinstance(message.get("content", message.get("value")), str):
        return ""
    found = [(key, _without_ids(message[key])) for key in SPOKEN_KEYS if message.get(key)]
    content = message.get("content", message.get("value"))
    if isinstance(content, list):
        parts = [part for part in content if part.get("type") not in TEXT_PARTS]
        found += [("part", _without_ids(part)) for part in parts]
    return _canonical(found) if found else ""


def _without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_ids(entry) for entry in value]
    if isinstance(value, dict):
        return {key: entry for key, entry in value.items() if key not in ID_KEYS}
    return value


def _canonical(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
