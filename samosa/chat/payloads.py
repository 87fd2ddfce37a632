"""What stands between tool markers: one canonical JSON form, and results that stay JSON when they are shortened."""

import json
import math
from typing import Any

MAX_RESULT_CHARS = 4096
"""Longest result payload the models were trained on (nanochat fork); longer results are shortened to fit."""

MAX_DEPTH = 64
"""Deepest nesting of lists and objects that is accepted: real rows have 5, and Python's JSON codec recurses."""

_CUT = "..."


def canonical(value: Any) -> str:
    """Compact ASCII JSON with sorted keys. Raises ValueError for what JSON cannot say."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True)


def call_payload(tool: str, arguments: dict[str, Any]) -> str:
    """The payload of a call. It is never cut: half a call is no call. Raises ValueError for what JSON cannot say."""
    return canonical({"arguments": arguments, "tool": tool})


def result_payload(
    tool: str,
    output: Any,
    success: bool = True,
    error: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> str:
    """The payload of a result: valid JSON of at most 4,096 characters, always with its five keys.

    A longer one loses whole items from the end of its lists; a string is cut (and ends in "...") only where leaving
    out items cannot help. What JSON or UTF-8 cannot say (inf, lone surrogates) is replaced, since results come from
    outside. Raises ValueError when nested deeper than `MAX_DEPTH`, TypeError for values that are not JSON types.
    """
    record = _plain(
        {"error": error, "metadata": metadata or {}, "output": output, "success": bool(success), "tool": tool}, 0
    )
    text = canonical(record)
    return text if len(text) <= MAX_RESULT_CHARS else canonical(_fit(record, MAX_RESULT_CHARS))


def find_bad_value(value: Any) -> str | None:
    """Why a value read from a JSON file cannot become tokens, or None: NUL, lone surrogate, inf or nan, too deep."""
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            return f"nested deeper than {MAX_DEPTH} levels"
        if isinstance(item, str):
            if "\0" in item:
                return "a NUL character in a string"
            if not item.isascii() and _has_surrogate(item):
                return "a lone surrogate in a string (half of a character pair)"
        elif isinstance(item, float) and not math.isfinite(item):
            return f"the number {item}, which JSON does not have"
        elif isinstance(item, dict):
            stack.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, list):
            stack.extend((part, depth + 1) for part in item)
    return None


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _plain(value: Any, depth: int) -> Any:
    """A copy made of what JSON and UTF-8 can say."""
    if depth > MAX_DEPTH:
        raise ValueError(f"a tool result is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_plain(str(key), depth + 1): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return value


def _fit(value: Any, budget: int) -> Any:
    """The most of `value` that takes at most `budget` characters as JSON; budget >= 4, the length of null."""
    if len(canonical(value)) <= budget:
        return value
    if isinstance(value, str):
        return _fit_string(value, budget)
    if isinstance(value, list):
        return _fit_list(value, budget)
    if isinstance(value, dict):
        return _fit_object(value, budget)
    return None


def _fit_string(text: str, budget: int) -> str:
    low, high = 0, min(len(text), budget)
    while low < high:  # longest prefix whose escaped form fits
        middle = (low + high + 1) // 2
        if len(canonical(text[:middle] + _CUT)) <= budget:
            low = middle
        else:
            high = middle - 1
    return text[:low] + _CUT if low else ""


def _fit_list(items: list[Any], budget: int) -> list[Any]:
    kept: list[Any] = []
    used = 2  # the brackets
    for item in items:
        length = len(canonical(item)) + (1 if kept else 0)
        if used + length > budget:
            break
        kept.append(item)
        used += length
    if not kept and budget - used >= 4:
        kept = [_fit(items[0], budget - used)]
    return kept


def _fit_object(entries: dict[str, Any], budget: int) -> dict[str, Any]:
    """Small entries whole, large ones an equal share of the rest; an entry whose key leaves no room is left out."""
    lengths = {key: len(canonical(item)) for key, item in entries.items()}
    kept: dict[str, Any] = {}
    left = budget - 2  # the braces
    waiting = sorted(entries, key=lambda key: (lengths[key], key))
    for place, key in enumerate(waiting):
        overhead = len(canonical(key)) + 1 + (1 if kept else 0)
        share = left // (len(waiting) - place) - overhead
        if share < 4:
            continue
        kept[key] = _fit(entries[key], share)
        left -= overhead + len(canonical(kept[key]))
    return kept
