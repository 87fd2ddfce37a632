"""GSM8K's answers: the number that a solution comes to, read from the answer span alone.

`strict` is nanochat's and lm-evaluation-harness's: the first number after ####. `flexible` also takes a number that is
stated in other words: in \\boxed{}, after "answer is", or else the last one. The harness's own flexible reading takes
the last number of everything that was generated; models that go on with a next question then lose answers that were
right (sglang #29933: 65 % of the wrong ones), so what comes behind the first sign of a next question is not read here.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from samosa.eval.benchmarks.data import Row
from samosa.eval.numbers import numbers

STRICT = re.compile(r"#### ?(-?[$]?[0-9.,]+)")  # nanochat's, with a dollar sign before the number or none
NEXT_QUESTION = re.compile(r"\n\s*(?:Question|Q|Problem|User|Human)\s*[0-9]*\s*:", re.IGNORECASE)
BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
SUM = r"[\s$0-9.,+*/×÷()-]{0,80}"
# The answer itself, not the sum that it is the result of: "the answer is 5 + 3 = 8".
STATED = re.compile(rf"\banswer(?:\s+\w+){{0,3}}?\s*(?:is|=|:)\s*(?:{SUM}[+*/×÷-]{SUM}=)?([^\n]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """One word problem. `doc` is the row as the data set has it."""

    id: str
    text: str
    gold: Decimal
    doc: Row


def problem(row: Row, *, number: int) -> Problem:
    """A row of openai/gsm8k: question, and a solution that ends with #### and the answer."""
    if not isinstance(row["question"], str):
        raise TypeError("question is no text")
    gold = strict(row["answer"])
    if gold is None:
        raise ValueError("the answer has no number after ####")
    return Problem(f"gsm8k/{number}", row["question"], gold, row)


def strict(answer: str) -> Decimal | None:
    """The first number after ####; None where there is none."""
    match = STRICT.search(answer)
    return _value(match[1]) if match else None


def flexible(answer: str, *, ended: bool) -> Decimal | None:
    """The number that the answer comes to, in whatever words; None where there is none.

    ended: whether the turn came to its end. Of one that was cut off only what is said to be the answer is read: its
    last number is where it happened to stop.
    """
    run_on = NEXT_QUESTION.search(answer, 1)
    text = answer[: run_on.start()] if run_on else answer
    if (value := strict(text)) is not None:
        return value
    for pattern in (BOXED, STATED):
        for said in reversed(pattern.findall(text)):
            if found := _numbers(said):
                return found[0]
    found = _numbers(text)
    return found[-1] if found and (ended or run_on) else None


def majority(values: Sequence[Decimal | None]) -> Decimal | None:
    """What most of the turns came to, of equals the first; turns without an answer have no vote."""
    votes = Counter(value for value in values if value is not None)
    return max(votes, key=votes.__getitem__) if votes else None


def _numbers(text: str) -> list[Decimal]:
    return [number for number, _ in numbers(text)]


def _value(text: str) -> Decimal | None:
    """A number as it is written after ####: "1,080.", "-3", "18.00"."""
    try:
        return Decimal(text.replace(",", "").replace("$", "").rstrip("."))
    except InvalidOperation:
        return None


def shown(value: Decimal | None) -> str | None:
    """The value for a record: 18.00 and 18 are the same."""
    return None if value is None else f"{value.normalize():f}"


def arguments(text: str, **generation: Any) -> dict[str, Any]:
    """What was asked, in lm-evaluation-harness's shape."""
    return {"gen_args_0": {"arg_0": text, "arg_1": generation}}
