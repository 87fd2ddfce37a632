"""Rows about samosaChaat itself, and small talk: few, hand-written, and mixed in by `repeat`."""

import random
from collections.abc import Callable, Iterator
from itertools import islice

from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM, with_system
from samosa.data.generate.sides import bank

KINDS = ("identity", "creator", "desserts", "quality")
THOUGHTS = {
    "identity": "The user asks about me. I know who I am, so no tool is needed.",
    "creator": "The user asks who made me. I know that, so no tool is needed.",
    "desserts": "The user asks about food. This is stable knowledge, so no tool is needed.",
    "quality": "The user is talking with me. I can answer myself, so no tool is needed.",
}


def rows_of(kind: str) -> Callable[..., Iterator[dict[str, object]]]:
    """Make the generator of one kind: every pair of question and answer, with both system prompts, in seeded order."""

    def make(*, rows: int, seed: int) -> Iterator[dict[str, object]]:
        pairs = [
            (question, answer, think)
            for group in bank("persona")["group"]
            if group["kind"] == kind
            for question in group["ask"]
            for answer in group["answer"]
            for think in (False, True)
        ]
        random.Random(f"{kind}:{seed}").shuffle(pairs)
        for number, (question, answer, think) in enumerate(islice(pairs, rows)):
            system = THINK_SYSTEM if think else DEFAULT_SYSTEM
            thought = f"<think>\n{THOUGHTS[kind]}\n</think>\n" if think else ""
            messages = [
                {"role": "user", "content": with_system(system, question)},
                {"role": "assistant", "content": [{"type": "text", "text": thought + answer}]},
            ]
            yield {"id": f"{kind}-{seed}-{number:06d}", "messages": messages}

    return make
