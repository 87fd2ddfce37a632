"""Pools for the tests, and what a mix must be, counted slowly: nothing here is from samosa."""

import hashlib
import json
import math
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path


def chat(text: str, answer: str = "ok") -> list[dict]:
    return [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]


def pool(folder: Path, name: str, texts) -> Path:
    """A JSONL file with a conversation for every text."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(chat(text)) + "\n" for text in texts))
    return path


def questions(path: Path, source: str | None = None) -> list[str]:
    """What the user asks in each row of a mix, in order."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["messages"][0]["content"] for row in rows if source in (None, row["source"])]


def held_out(text: str, share: float) -> bool:
    """By the first 32 bits of the sha256 of the conversation as sorted JSON."""
    said = json.dumps({"messages": chat(text)}, sort_keys=True)
    return int(hashlib.sha256(said.encode()).hexdigest()[:8], 16) / 2**32 < share


def half_up(value: str, rows: int) -> int:
    """A decimal number of times `rows`, rounded as one does by hand."""
    return int((Decimal(value) * rows).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def assert_evenly(seen: Counter, rows: Counter, count: int) -> None:
    """Every row of `rows` (text -> how often it stands there) is seen equally often, but for one time more or less,
    and all of them `count` times."""
    assert sum(seen.values()) == count
    assert set(seen) <= set(rows)
    low = count // max(1, rows.total())
    high = math.ceil(count / max(1, rows.total()))
    assert all(low * often <= seen[text] <= high * often for text, often in rows.items())
