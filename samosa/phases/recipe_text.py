"""Writes a resolved recipe back as TOML, so that `-r runs/<tag>/recipe.toml` does the same again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> str:
    """Tables of plain values, lists and tables, as TOML text; what is None is left out."""
    lines, tables = [], []
    for key, value in values.items():
        path = (*above, key)
        if isinstance(value, Mapping):
            tables.append(f"\n[{_dotted(path)}]\n{as_toml(value, path)}")
        elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            tables += [f"\n[[{_dotted(path)}]]\n{as_toml(entry, path)}" for entry in value]
        elif value is not None:
            lines.append(f"{_dotted((key,))} = {_value(value)}\n")
    return "".join([*lines, *tables])


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(key if BARE_KEY.fullmatch(key) else _text(key) for key in path)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)  # JSON's numbers and booleans are TOML's


def _text(value: str) -> str:
    """A quoted string: JSON's is TOML's but for surrogate escapes, which are not made here, and a bare DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
