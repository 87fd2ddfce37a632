"""CORE (DataComp-LM, arXiv:2406.11794, section 3.4), with nanochat's arithmetic, so that the numbers are comparable.

22 tasks of three kinds. Worked examples are drawn for each question by its place; whole prompts are encoded, and what
is scored is where they differ: behind the beginning that the choices share (multiple_choice), the ending that the
contexts share (schema), or the text without its continuation (language_modeling). Choices are compared by their mean
loss a token, continuations must be the likeliest tokens throughout. An accuracy is centred so that guessing is 0, and
CORE is the mean over tasks. Prompts longer than the model's rows are read as they are.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from samosa.chat.tokenizer import Tokenizer
from samosa.errors import BadInput

Kind = Literal["multiple_choice", "schema", "language_modeling"]
Row = Mapping[str, Any]
Item = tuple[list[int], list[int]]
SHOTS_SEED = 1234  # plus the question's place
SHOT_JOINER = "\n\n"
NEEDS: dict[Kind, tuple[str, ...]] = {
    "multiple_choice": ("query", "choices", "gold"),
    "schema": ("context_options", "continuation", "gold"),
    "language_modeling": ("context", "continuation"),
}


@dataclass(frozen=True)
class Task:
    """One task of the bundle. `baseline`: the accuracy of guessing, in percent; rows in nanochat's shuffled order."""

    label: str
    kind: Kind
    shots: int
    delimiter: str
    baseline: float
    rows: Sequence[Row]


@dataclass(frozen=True)
class Prompt:
    """A question in tokens. items: (context ids, continuation ids) of each choice; a continuation may be empty where a
    choice is the beginning of the others."""

    texts: tuple[str, ...]
    items: tuple[Item, ...]


def check_row(row: Any, kind: Kind) -> None:
    """Raise ValueError unless the row has what its kind of task needs."""
    missing = [name for name in NEEDS[kind] if name not in row] if isinstance(row, dict) else list(NEEDS[kind])
    if missing:
        raise ValueError(f"a {kind} row has {', '.join(NEEDS[kind])}; there is no {missing[0]}")
    if kind != "language_modeling":
        options = row["choices" if kind == "multiple_choice" else "context_options"]
        if not isinstance(options, list) or type(row["gold"]) is not int or not 0 <= row["gold"] < len(options):
            raise ValueError(f"gold {row['gold']!r} is no place in the choices")


def prompt(task: Task, place: int, tokenizer: Tokenizer) -> Prompt:
    """The question at `place` of the task's rows.

    Raises BadInput where the text without its continuation is not, in tokens, the beginning of the text with it.
    """
    texts = prompts(task, place)
    ids = [[tokenizer.bos, *tokenizer.encode(text)] for text in texts]
    match task.kind:
        case "multiple_choice":
            start = _common(ids)
            items = [(one[:start], one[start:]) for one in ids]
        case "schema":
            length = _common([one[::-1] for one in ids])
            cuts = [len(one) - length for one in ids]  # 0 where all contexts are the same: nothing tells them apart
            items = [(one[:cut], one[cut:]) if cut else (one, []) for one, cut in zip(ids, cuts, strict=True)]
        case "language_modeling":
            without, whole = ids
            if len(whole) <= len(without) or whole[: len(without)] != without:
                raise BadInput(
                    f"{task.label}: with this tokenizer row {place} does not begin as it does without its continuation",
                    hint="CORE cannot be measured with such a tokenizer; --set core.limit=N leaves later rows out",
                )
            items = [(without, whole[len(without) :])]
    return Prompt(tuple(texts), tuple(items))


def prompts(task: Task, place: int) -> list[str]:
    """The texts of a question: one for each choice, or for language modeling without and with the continuation."""
    row, delimiter = task.rows[place], task.delimiter
    examples = [task.rows[index] for index in _shots(task, place)]
    match task.kind:
        case "multiple_choice":
            before = [f"{one['query']}{delimiter}{one['choices'][one['gold']]}" for one in examples]
            ends = [f"{row['query']}{delimiter}{choice}" for choice in row["choices"]]
        case "schema":
            before = [f"{one['context_options'][one['gold']]}{delimiter}{one['continuation']}" for one in examples]
            ends = [f"{context}{delimiter}{row['continuation']}" for context in row["context_options"]]
        case "language_modeling":
            before = [f"{one['context'].strip()}{delimiter}{one['continuation']}" for one in examples]
            context = f"{row['context'].strip()}{delimiter}"
            ends = [context, context + str(row["continuation"])]
    texts = [SHOT_JOINER.join([*before, end]) for end in ends]
    if task.kind == "language_modeling":
        texts[0] = texts[0].strip()  # a space at its end would be part of the next token
    return texts


def _shots(task: Task, place: int) -> list[int]:
    """Places of the worked examples: a sample of the other rows."""
    if not task.shots:
        return []
    drawn = random.Random(SHOTS_SEED + place).sample(range(len(task.rows) - 1), task.shots)
    return [index + (index >= place) for index in drawn]


def _common(sequences: Sequence[Sequence[int]]) -> int:
    """How many first tokens all sequences share."""
    shortest = min(map(len, sequences))
    return next((i for i in range(shortest) if len({one[i] for one in sequences}) > 1), shortest)


def is_right(task: Task, place: int, logprobs: Sequence[float], greedy: Sequence[bool], items: Sequence[Item]) -> bool:
    """Whether the model is right: logprobs are sums over each continuation, greedy whether it is the likeliest."""
    if task.kind == "language_modeling":
        return greedy[0]
    # The mean over no token at all is nan in nanochat, and Python's min then hangs on the order: so it does here.
    losses = [-one / len(tokens) if tokens else float("nan") for one, (_, tokens) in zip(logprobs, items, strict=True)]
    return losses.index(min(losses)) == task.rows[place]["gold"]
