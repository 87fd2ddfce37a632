"""A benchmark as parts that are scored one after the other, each with a file of samples: a form, or a way to ask."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from samosa.chat.tokenizer import Tokenizer
from samosa.eval.benchmarks import bundle, choices, gsm8k, likelihood, solving
from samosa.eval.benchmarks.choices import Question
from samosa.eval.benchmarks.core import Task
from samosa.eval.benchmarks.data import Place, drawn, read
from samosa.eval.benchmarks.gsm8k import Problem
from samosa.eval.benchmarks.kept import Line
from samosa.eval.benchmarks.likelihood import Scorer
from samosa.eval.benchmarks.settings import Benchmarks, Choices, Form, Suite, Tools
from samosa.home import Kind
from samosa.model.gpt import GPT

WORDING = 1
"""Counts up when the text of a prompt changes, or how an answer is read."""
Lines = Callable[[range], Iterator[Line]]


@dataclass(frozen=True)
class Asked:
    """Who is asked, and with what."""

    model: GPT
    tokenizer: Tokenizer
    cfg: Benchmarks
    seed: int
    progress: Callable[[int], None]
    """Told the tokens of each turn as it is generated."""


@dataclass(frozen=True)
class Part:
    """What is asked in one way. `lines` makes the samples of the places in a range; `counts` is the metric that
    counts; `hash` is the same for two models that are asked the same."""

    name: str
    total: int
    counts: str
    hash: str
    lines: Callable[[Asked], Lines]


@dataclass(frozen=True)
class Loaded:
    """A benchmark's questions, before any model is there."""

    suite: Suite
    parts: Sequence[Part]
    tasks: Sequence[Task] = ()
    """Of CORE."""


def load(suite: Suite, cfg: Benchmarks, kind: Kind, *, seed: int, again: str) -> Loaded:
    """The parts of a benchmark for a model of this kind, the one that counts first.

    Raises NotReady where questions are neither here nor to be had, BadInput where they are not what they should be.
    """
    match suite:
        case "core":
            tasks = bundle.tasks(cfg.core)
            return Loaded(suite, [_core(tasks)], tasks)
        case "mmlu":
            return Loaded(suite, _choices(suite, cfg.mmlu, kind, _mmlu, seed, again))
        case "arc":
            return Loaded(suite, _choices(suite, cfg.arc, kind, _arc, seed, again))
        case "gsm8k":
            return Loaded(suite, _gsm8k(cfg, seed, again))


def _core(tasks: Sequence[Task]) -> Part:
    ends = list(accumulate(len(task.rows) for task in tasks))

    def lines(asked: Asked) -> Lines:
        scorer = _scorer(asked)
        make = [likelihood.of_task(task, scorer) for task in tasks]

        def some(places: range) -> Iterator[Line]:
            """A range may hold the end of one task and the beginning of the next."""
            start = places.start
            while start < places.stop:
                number = bisect_right(ends, start)
                before, stop = ends[number] - len(tasks[number].rows), min(ends[number], places.stop)
                yield from make[number](range(start - before, stop - before))
                start = stop

        return some

    about = [[task.label, task.kind, task.shots, task.delimiter, list(task.rows)] for task in tasks]
    return Part("core", ends[-1], "acc", _hash("core", about), lines)


Parse = Callable[[Place, str], list[Question]]


def _mmlu(place: Place, again: str) -> list[Question]:
    return read(place, _numbered(choices.mmlu), again=again)


def _arc(place: Place, again: str) -> list[Question]:
    return read(place, lambda row: choices.arc(row, config=place.config), again=again)


def _numbered(parse: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Give each row its number, for data sets whose rows have no name."""
    count = iter(range(1 << 62))
    return lambda row: parse(row, number=next(count))


def _choices(suite: Suite, source: Choices, kind: Kind, parse: Parse, seed: int, again: str) -> list[Part]:
    def of(split: str) -> list[Question]:
        several = len(source.configs) > 1
        places = [Place(suite, source, config, split, several) for config in source.configs]
        return [question for place in places for question in parse(place, again)]

    questions = drawn(of(source.split), source.limit, seed)
    forms: list[Form] = source.chat if kind == "chat" else source.base
    examples: dict[str, list[Question]] = {}
    if source.shots and source.shots_split and set(forms) != {"chat"}:
        for one in of(source.shots_split):
            examples.setdefault(one.category, []).append(one)

    def shots(question: Question) -> list[Question]:
        # The first ones of the same subject, as lm-evaluation-harness takes them.
        return examples.get(question.category, [])[: source.shots]

    def part(form: Form) -> Part:
        about = [[one.id, one.doc, [shot.doc for shot in shots(one)] if form != "chat" else []] for one in questions]

        def lines(asked: Asked) -> Lines:
            return likelihood.of_questions(questions, form, shots, _scorer(asked))

        return Part(form, len(questions), choices.COUNTS[form], _hash(f"{suite} {form}", about), lines)

    return [part(form) for form in forms]


def _gsm8k(cfg: Benchmarks, seed: int, again: str) -> list[Part]:
    source = cfg.gsm8k
    place = Place("gsm8k", source, source.config, source.split, several=False)
    problems: list[Problem] = drawn(read(place, _numbered(gsm8k.problem), again=again), source.limit, seed)
    asking = source.model_dump(include={"system", "max_tokens", "max_calls", "votes", "temperature"})

    def part(tools: Tools) -> Part:
        about = [asking, [[one.id, one.doc] for one in problems]]

        def lines(asked: Asked) -> Lines:
            model, tokenizer = asked.model, asked.tokenizer
            return solving.of_problems(
                problems, tools, model, tokenizer, source, cfg.gate, seed=asked.seed, progress=asked.progress
            )

        return Part(f"tools {tools}", len(problems), source.counts, _hash(f"gsm8k {tools}", about), lines)

    return [part(tools) for tools in source.tools]


def _scorer(asked: Asked) -> Scorer:
    return Scorer(asked.model, asked.tokenizer, asked.cfg.asking.batch_tokens)


def _hash(name: str, about: Any) -> str:
    text = json.dumps([name, WORDING, about], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
