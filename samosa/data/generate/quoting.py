"""Rows that repeat a line word for word: they teach a small model to copy any token, not only those of its topics."""

import random
from collections.abc import Iterator

from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM, with_system
from samosa.data.generate.english import lines

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


def quoting_rows(*, rows: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield rows that repeat a line of the text that comes with Python; half under the think prompt, thinking."""
    rng = random.Random(f"quoting:{seed}")
    known = lines()
    for number, line in enumerate(rng.sample(known, min(rows, len(known)))):
        think = rng.random() < 0.5
        thought = f"<think>\n{rng.choice(THOUGHTS)}\n</think>\n" if think else ""
        question = with_system(THINK_SYSTEM if think else DEFAULT_SYSTEM, rng.choice(ASK).format(line=line))
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": [{"type": "text", "text": thought + line}]},
        ]
        yield {"id": f"quoting-{seed}-{number:06d}", "messages": messages}
