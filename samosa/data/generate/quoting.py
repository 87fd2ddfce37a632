"""Rows that repeat a line word for word: they teach a small model to copy any token, not only those of its topics."""

import random
import re
from collections.abc import Iterator

from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM, with_system
from samosa.data.generate.names import reserved_names
from samosa.data.shards import stdlib_documents

ASK = [
    "Repeat this line: {line}",
    "Say this: {line}",
    "Copy this line: {line}",
    "Write this down: {line}",
    "Read this back to me: {line}",
]
THOUGHTS = [
    "The user wants a line repeated. I can do that myself, so no tool is needed.",
    "I repeat the line word for word. I need no tool.",
]
LINE = re.compile(r"[A-Za-z][A-Za-z0-9 ,'-]{14,58}")
PROSE = 3_000_000  # characters: all the English that comes with Python


def quoting_rows(*, rows: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield rows that repeat a line of the text that comes with Python; half under the think prompt, thinking."""
    rng = random.Random(f"quoting:{seed}")
    lines = _lines()
    for number, line in enumerate(rng.sample(lines, min(rows, len(lines)))):
        think = rng.random() < 0.5
        thought = f"<think>\n{rng.choice(THOUGHTS)}\n</think>\n" if think else ""
        question = with_system(THINK_SYSTEM if think else DEFAULT_SYSTEM, rng.choice(ASK).format(line=line))
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": [{"type": "text", "text": thought + line}]},
        ]
        yield {"id": f"quoting-{seed}-{number:06d}", "messages": messages}


def _lines() -> list[str]:
    """Plain lines of 15 to 59 characters, each once, in the order of the text; none names what probes ask about."""
    reserved = re.compile(r"\b(?:" + "|".join(map(re.escape, reserved_names())) + r")\b", re.IGNORECASE)
    found: dict[str, None] = {}
    for text in stdlib_documents(limit_chars=PROSE, seed=0):
        for line in text.splitlines():
            line = line.strip().rstrip(".:;")
            if LINE.fullmatch(line) and line.count(" ") >= 2 and not reserved.search(line):
                found[line] = None
    return list(found)
