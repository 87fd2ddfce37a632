"""Questions with choices (MMLU, ARC): how each form words them, and which choice a model takes by likelihood.

`letter` and `continuation` are lm-evaluation-harness's (0.4.13: `mmlu` and `mmlu_continuation`, `arc_easy`), to be
equal to its numbers: the same text, context and continuation encoded together and cut where the context ends, argmax
of the sums (`acc`) and of the sums by characters (`acc_norm`). `chat` is nanochat's: a user turn that asks for the
letter alone, argmax over the letters as first token of the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from samosa.chat.conversation import Conversation, Part, Turn
from samosa.chat.render import render_prompt
from samosa.chat.tokenizer import Tokenizer
from samosa.eval.benchmarks.data import Row
from samosa.eval.benchmarks.settings import Form

Metric = Literal["acc", "acc_norm"]
COUNTS: dict[Form, Metric] = {"chat": "acc", "letter": "acc", "continuation": "acc_norm"}
"""The metric that counts: choices of different lengths are compared by the character."""
SHOT_JOINER = "\n\n"
MMLU_ABOUT: dict[Form, str] = {
    "letter": "The following are multiple choice questions (with answers) about {}.\n\n",
    "continuation": "The following are questions (with answers) about {}.\n\n",
}


@dataclass(frozen=True)
class Question:
    """One question. `doc` is the row as the data set has it."""

    id: str
    text: str
    choices: tuple[str, ...]
    letters: tuple[str, ...]
    gold: int
    category: str
    """What it is counted under: MMLU's subject, ARC's config."""
    about: dict[Form, str]
    """What stands before the worked examples, by form; forms that are not in it have nothing."""
    doc: Row


@dataclass(frozen=True)
class Prompt:
    """A question as one form words it, in tokens. items: (context ids, continuation ids), one for each choice."""

    question: Question
    form: Form
    context: str
    """The question itself, without what stands before it."""
    continuations: tuple[str, ...]
    items: tuple[tuple[list[int], list[int]], ...]
    shots: int
    """Worked examples that were shown: fewer than asked where more do not fit the model."""


def mmlu(row: Row, *, number: int) -> Question:
    """A row of cais/mmlu: question, subject, four choices, and the number of the right one."""
    choices, gold = tuple(map(_text, row["choices"])), row["answer"]
    if len(choices) != 4 or type(gold) is not int or not 0 <= gold < 4:
        raise ValueError(f"four choices and an answer from 0 to 3, not {len(choices)} and {gold!r}")
    subject = _text(row["subject"]) or "general knowledge"
    about = {form: text.format(subject.replace("_", " ")) for form, text in MMLU_ABOUT.items()}
    return Question(f"mmlu/{number}", _text(row["question"]), choices, tuple("ABCD"), gold, subject, about, row)


def arc(row: Row, *, config: str) -> Question:
    """A row of allenai/ai2_arc: question, choices with their labels, and the label of the right one."""
    labels, texts = tuple(map(_text, row["choices"]["label"])), tuple(map(_text, row["choices"]["text"]))
    if len(labels) != len(texts) or len(set(labels)) != len(labels) or row["answerKey"] not in labels:
        raise ValueError(f"labels {labels} for {len(texts)} choices, and the answer {row['answerKey']!r}")
    gold = labels.index(row["answerKey"])
    return Question(f"{config}/{row['id']}", _text(row["question"]), texts, labels, gold, config, {}, row)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def prompt(question: Question, form: Form, shots: Sequence[Question], tokenizer: Tokenizer, *, longest: int) -> Prompt:
    """The question in one form, after as many of `shots` as fit into `longest` tokens (the last ones; chat shows none).

    A question that does not even fit alone is read as it is, as nanochat does.
    """
    if form == "chat":
        return _chat(question, tokenizer)
    for number in range(len(shots)):
        made = _plain(question, form, shots[number:], tokenizer)
        if max(len(context) + len(continuation) for context, continuation in made.items) <= longest:
            return made
    return _plain(question, form, (), tokenizer)


def _plain(question: Question, form: Form, shots: Sequence[Question], tokenizer: Tokenizer) -> Prompt:
    worked = ["".join(_worded(shot, form)) + SHOT_JOINER for shot in shots]
    context, _ = _worded(question, form)
    whole = "".join([question.about.get(form, ""), *worked, context])
    ids = tokenizer.encode(whole)
    continuations = _continuations(question, form)
    items = tuple(([tokenizer.bos, *ids], tokenizer.encode(whole + one)[len(ids) :]) for one in continuations)
    return Prompt(question, form, context, continuations, items, len(shots))


def _worded(question: Question, form: Form) -> tuple[str, str]:
    """The question as lm-evaluation-harness words it, and what its right answer adds."""
    right = _continuations(question, form)[question.gold]
    is_mmlu = form in question.about
    text = question.text.strip() if is_mmlu else question.text  # there, ARC's questions are taken as they are
    if form == "continuation":
        return f"Question: {text}\nAnswer:", right
    lines = [f"{letter}. {choice}" for letter, choice in zip(question.letters, question.choices, strict=True)]
    return "\n".join([text if is_mmlu else f"Question: {text}", *lines, "Answer:"]), right


def _continuations(question: Question, form: Form) -> tuple[str, ...]:
    return tuple(f" {one}" for one in (question.choices if form == "continuation" else question.letters))


def _chat(question: Question, tokenizer: Tokenizer) -> Prompt:
    """nanochat's chat form: the letter stands behind its choice, which small models find easier."""
    choices = "".join(f"- {text}={one}\n" for one, text in zip(question.letters, question.choices, strict=True))
    request = "Respond only with the letter of the correct answer."
    context = f"Multiple Choice question: {question.text}\n{choices}\n{request}"
    ids = render_prompt(Conversation((Turn("user", (Part("text", context),)),), question.id), tokenizer)
    items = tuple((ids, tokenizer.encode(letter)) for letter in question.letters)
    return Prompt(question, "chat", context, question.letters, items, 0)


def chosen(prompt: Prompt, logprobs: Sequence[float]) -> dict[Metric, int]:
    """Which choice each metric takes; of equal ones the first, as numpy's argmax."""
    texts = prompt.question.choices if prompt.form == "continuation" else prompt.question.letters
    places = range(len(logprobs))
    return {
        "acc": max(places, key=lambda place: logprobs[place]),
        "acc_norm": max(places, key=lambda place: logprobs[place] / max(1, len(texts[place]))),
    }
