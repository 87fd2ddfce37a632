"""Choices scored by likelihood: the samples of MMLU, ARC and CORE, a chunk of questions at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from samosa.chat.tokenizer import Tokenizer
from samosa.eval.benchmarks import choices, core
from samosa.eval.benchmarks.choices import Question
from samosa.eval.benchmarks.core import Task
from samosa.eval.benchmarks.kept import Line, sample, tried
from samosa.eval.benchmarks.settings import Form
from samosa.model.gpt import GPT
from samosa.model.scoring import Score, score

Item = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class Scorer:
    """A model and how it is asked."""

    model: GPT
    tokenizer: Tokenizer
    batch_tokens: int

    def __call__(self, prompts: Sequence[Sequence[Item]]) -> list[list[Score]]:
        """The scores of each prompt's items, all of them read together; an empty continuation scores 0."""
        flat = [(context, tokens) for items in prompts for context, tokens in items if tokens]
        scored = iter(score(self.model, self.tokenizer, flat, batch_tokens=self.batch_tokens))
        nothing = Score(0.0, True, 0)
        return [[next(scored) if tokens else nothing for _, tokens in items] for items in prompts]


def of_questions(
    questions: Sequence[Question],
    form: Form,
    shots: Callable[[Question], Sequence[Question]],
    scorer: Scorer,
) -> Callable[[range], Iterator[Line]]:
    """What makes the samples of questions with choices, for kept.all_lines."""

    def lines(places: range) -> Iterator[Line]:
        longest = scorer.model.config.sequence_len
        asked = [questions[place] for place in places]
        prompts = [choices.prompt(one, form, shots(one), scorer.tokenizer, longest=longest) for one in asked]
        for place, prompt, scores in zip(places, prompts, scorer([one.items for one in prompts]), strict=True):
            yield _question_line(place, prompt, scores, scorer.tokenizer)

    return lines


def _question_line(place: int, prompt: choices.Prompt, scores: Sequence[Score], tokenizer: Tokenizer) -> Line:
    question, taken = prompt.question, choices.chosen(prompt, [one.logprob for one in scores])
    counts = choices.COUNTS[prompt.form]
    # Letters are all as long: there the two metrics are one.
    metrics = taken if prompt.form == "continuation" else {"acc": taken["acc"]}
    right = {str(metric): float(choice == question.gold) for metric, choice in metrics.items()}
    text = question.choices[taken[counts]]
    return sample(
        doc_id=place,
        doc=question.doc,
        target=str(question.gold),
        whole=tokenizer.decode(prompt.items[0][0]),
        **_asked(prompt.context, prompt.continuations, scores),
        scores=right,
        shots=prompt.shots,
        **tried(
            question.id,
            category=question.category,
            prompt=prompt.context,
            text=text,
            passed=bool(right[counts]),
            reason=f"took {text!r}, not {question.choices[question.gold]!r}",
        ),
    )


def of_task(task: Task, scorer: Scorer) -> Callable[[range], Iterator[Line]]:
    """What makes the samples of a task of CORE, for kept.all_lines."""

    def lines(places: range) -> Iterator[Line]:
        prompts = [core.prompt(task, place, scorer.tokenizer) for place in places]
        for place, prompt, scores in zip(places, prompts, scorer([one.items for one in prompts]), strict=True):
            yield _task_line(task, place, prompt, scores, scorer.tokenizer)

    return lines


def _task_line(task: Task, place: int, prompt: core.Prompt, scores: Sequence[Score], tokenizer: Tokenizer) -> Line:
    row = task.rows[place]
    greedy = [one.greedy for one in scores]
    right = core.is_right(task, place, [one.logprob for one in scores], greedy, prompt.items)
    own = [text.rpartition(core.SHOT_JOINER)[2] for text in prompt.texts]
    ends = [tokenizer.decode(tokens) for _, tokens in prompt.items]
    gold = row["continuation"] if task.kind == "language_modeling" else str(row["gold"])
    return sample(
        doc_id=place,
        doc=dict(row),
        target=gold,
        whole=prompt.texts[0],
        **_asked(own[0], ends, scores),
        scores={"acc": float(right)},
        **tried(
            f"{task.label}/{place}",
            category=task.label,
            prompt=own[0],
            text="",
            passed=right,
            reason=f"the answer is {gold!r}",
        ),
    )


def _asked(context: str, continuations: Sequence[str], scores: Sequence[Score]) -> dict[str, Any]:
    """Arguments and answers in lm-evaluation-harness's shape: a log-probability and whether it is greedy, as text."""
    said = [[repr(one.logprob), str(one.greedy)] for one in scores]
    return {
        "arguments": {
            f"gen_args_{place}": {"arg_0": context, "arg_1": text} for place, text in enumerate(continuations)
        },
        "resps": [[one] for one in said],
        "filtered": said,
    }
