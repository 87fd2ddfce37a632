"""Exchanges written down as training rows, in the layout of the user's own JSONL files."""

import random
from collections.abc import Iterator

from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM, with_system
from samosa.data.generate.exchange import PATTERNS, Exchange, Pattern, Taste, draw_exchange

Row = dict[str, object]

MOST_EXCHANGES = 3  # in one conversation
FOLLOW_UPS: dict[Pattern, float] = {"search": 0.42, "calculator": 0.25, "no_tool": 0.33}  # a search has most to copy


def user_turn(question: str, *, system: str | None) -> Row:
    """Write a user turn; production puts the system prompt in front of the first one."""
    return {"role": "user", "content": with_system(system, question) if system else question}


def assistant_turn(exchange: Exchange, *, think: bool, call: bool = True) -> Row:
    """Write the right answer to an exchange: thought, call and result as parts of their own, then the answer."""
    parts: list[Row] = []
    thought = f"<think>\n{exchange.think}\n</think>\n" if think else ""
    if exchange.call is None or not call:
        return {"role": "assistant", "content": [{"type": "text", "text": thought + exchange.answer}]}
    if thought:
        parts.append({"type": "text", "text": thought})
    parts.append({"type": "python", "text": exchange.call})
    parts.append({"type": "python_output", "text": exchange.result})
    parts.append({"type": "text", "text": exchange.answer})
    return {"role": "assistant", "content": parts}


def joint_rows(
    *, rows: int, seed: int, real_share: float, failed_search_share: float, think_share: float, follow_up_share: float
) -> Iterator[Row]:
    """Yield `rows` distinct conversations, a third of each pattern: think -> search, think -> calculator, think only.

    `think_share` of them carry the think prompt and think; the others have the default prompt and act without thinking.
    After each exchange `follow_up_share` of them go on, up to three. Distinct means: no two ask the same question.
    """
    rng = random.Random(f"joint:{seed}")
    taste = Taste(side="train", real_share=real_share, failed_search_share=failed_search_share)
    asked: set[str] = set()
    for number in range(rows):
        pattern = PATTERNS[number % len(PATTERNS)]
        think = rng.random() < think_share
        first = _fresh(rng, pattern, taste, asked)
        messages = [
            user_turn(first.question, system=THINK_SYSTEM if think else DEFAULT_SYSTEM),
            assistant_turn(first, think=think),
        ]
        while len(messages) < 2 * MOST_EXCHANGES and rng.random() < follow_up_share:
            (follow_up,) = rng.choices(list(FOLLOW_UPS), weights=list(FOLLOW_UPS.values()))
            another = _fresh(rng, follow_up, taste, asked)
            messages += [user_turn(another.question, system=None), assistant_turn(another, think=think)]
        yield {"id": f"joint-{seed}-{number:06d}", "pattern": pattern, "messages": messages}


def _fresh(rng: random.Random, pattern: Pattern, taste: Taste, asked: set[str]) -> Exchange:
    """Draw until the question was not asked before."""
    while True:
        exchange = draw_exchange(rng, pattern, taste)
        if exchange.question not in asked:
            asked.add(exchange.question)
            return exchange


def think_only_rows(*, rows: int, seed: int, real_share: float) -> Iterator[Row]:
    """Yield rows that think and answer and never call: half of how production's r6 was trained."""
    yield from _disjoint_rows("think-only", ("no_tool",), rows, seed, real_share, think=True)


def tool_only_rows(*, rows: int, seed: int, real_share: float) -> Iterator[Row]:
    """Yield rows that call a tool and never think: the other half."""
    yield from _disjoint_rows("tool-only", ("search", "calculator"), rows, seed, real_share, think=False)


def _disjoint_rows(
    name: str, patterns: tuple[Pattern, ...], rows: int, seed: int, real_share: float, *, think: bool
) -> Iterator[Row]:
    rng = random.Random(f"{name}:{seed}")
    taste = Taste(side="train", real_share=real_share, failed_search_share=0.0)
    asked: set[str] = set()
    for number in range(rows):
        exchange = _fresh(rng, patterns[number % len(patterns)], taste, asked)
        system = THINK_SYSTEM if think else DEFAULT_SYSTEM
        messages = [user_turn(exchange.question, system=system), assistant_turn(exchange, think=think)]
        yield {"id": f"{name}-{seed}-{number:06d}", "messages": messages}
