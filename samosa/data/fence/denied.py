"""What must not be trained on: questions of probes and benchmarks with their answers, as text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from samosa.data.filter.layouts import Broken, decode, messages_of
from samosa.data.lines import open_lines
from samosa.errors import BadInput

QUESTIONS = ("question", "problem", "prompt", "ctx", "query", "instruction", "input", "goal")
CHOICES = ("choices", "options", "endings", "mc1_targets")
ANSWERS = (
    "answers",
    "answer",
    "best_answer",
    "correct_answers",
    "target",
    "canonical_solution",
    "solution",
    "output",
    "response",
)
NUMBERS = ("answerKey", "label", "gold", "answer_idx")
CONTEXTS = ("passage", "context", "story")
LONGEST_CONTEXT = 60  # words: a page that is asked about is no part of what is asked
GSM8K_ANSWER = "####"
LETTERED = re.compile(r"^\s*\(?([A-J])[.):]\s+")


@dataclass(frozen=True)
class Denied:
    """One question of a probe or benchmark."""

    id: str
    question: str
    answers: tuple[str, ...] = ()
    """Right answers; any of them in a reply is evidence."""
    slots: tuple[str, ...] = ()
    """Parts of the question that are known to vary; numbers, units and capitalised names vary anyway."""
    choices: tuple[str, ...] = ()
    """What is asked where the question alone asks nothing ("Which of these is true?")."""


def read_denied(path: Path) -> Iterator[Denied]:
    """The questions of a benchmark file: JSONL (plain, zst, gz) or parquet, laid out as MMLU, GSM8K, ARC, HellaSwag,
    TruthfulQA or HumanEval are, as any {"question", "answer"}, or as conversations.

    Raises BadInput for a file that is missing or broken, and for a row without a question.
    """
    for number, (_, line) in enumerate(open_lines(path), 1):
        try:
            row = decode(line)
        except Broken as broken:
            raise BadInput(f"{path}:{number}: {broken}", hint="a benchmark is checked whole: mend that line") from None
        found = denied_of(row, f"{path.stem}-{number}")
        if found is None:
            keys = ", ".join(row)[:80] if isinstance(row, dict) else "no object"
            raise BadInput(
                f"{path}:{number}: no question in it (it has {keys})", hint=f"name it {', '.join(QUESTIONS[:3])}"
            )
        yield found


def denied_of(row: Any, name: str) -> Denied | None:
    """A decoded row as a question, or None where it has none."""
    if not isinstance(row, dict) or (question := _text(row, QUESTIONS)) is None:
        return _first_exchange(row, name)
    context = _text(row, CONTEXTS)
    if context and len(context.split()) <= LONGEST_CONTEXT:
        question = f"{context} {question}"
    choices = _choices(row)
    given = row.get("id", row.get("task_id"))
    name = f"{name} ({given})" if isinstance(given, str | int) else name
    return Denied(name, question, tuple(_answers(row, choices)), choices=choices)


def _first_exchange(row: Any, name: str) -> Denied | None:
    try:
        messages = [message for message in messages_of(row) if message.role in ("user", "assistant")]
    except Broken:
        return None
    for asked, answered in zip(messages, [*messages[1:], None], strict=True):
        if asked.role == "user":
            return Denied(name, asked.text, (answered.text,) if answered else ())
    return None


def _text(row: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((row[key] for key in keys if isinstance(row.get(key), str) and row[key].strip()), None)


def _choices(row: Mapping[str, Any]) -> tuple[str, ...]:
    """As a list of texts, {"text": [...]} (ARC) or lines of "A. ..." in one text."""
    for key in CHOICES:
        value = row.get(key)
        if isinstance(value, Mapping):
            value = value.get("text", value.get("choices"))
        if isinstance(value, str):
            value = [line for line in value.splitlines() if line.strip()]
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return tuple(LETTERED.sub("", one).strip() for one in value)
    return ()


def _answers(row: Mapping[str, Any], choices: tuple[str, ...]) -> Iterator[str]:
    for key in (*ANSWERS, *NUMBERS):
        for value in _listed(row.get(key)):
            if (place := _place(value, row)) is not None and place < len(choices):
                yield choices[place]
            elif isinstance(value, str) and key not in NUMBERS:
                text = value.rsplit(GSM8K_ANSWER, 1)[-1] if GSM8K_ANSWER in value else value
                yield LETTERED.sub("", text).strip()
            elif isinstance(value, int | float) and not isinstance(value, bool) and not choices:
                yield str(value)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        value = value.get("value", value.get("text", value.get("aliases")))
    return value if isinstance(value, list) else [value]


def _place(value: Any, row: Mapping[str, Any]) -> int | None:
    """Which of the choices a number or letter means."""
    labels = row["choices"].get("label") if isinstance(row.get("choices"), Mapping) else None
    if labels and value in labels:
        return list(labels).index(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value.strip()) == 1 and value.strip().isalnum():
        return int(value) if value.strip().isdigit() else ord(value.strip().upper()) - ord("A")
    return None


def as_json(denied: Denied) -> bytes:
    """One question as a line, for a stage's fingerprint and for review."""
    return orjson.dumps(denied, option=orjson.OPT_SORT_KEYS)
