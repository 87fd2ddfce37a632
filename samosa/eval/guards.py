"""Guards on how a model talks: what a judge that prefers long, lively answers rewards, and a reader tires of.

Nothing here says good or bad. Each number is one symptom of a model that has begun to repeat itself, to open every
answer alike, to ramble, or to end on a question; it means something beside another model's, on the same prompts.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import regex

CATEGORIES = frozenset({"creative", "chat_format", "multi_turn", "no_tool"})
"""Where answers are prose of the model's own: elsewhere questions decide how short and how alike they are."""

WORD = regex.compile(r"[\w\p{M}]+(?:['’][\w\p{M}]+)*")  # with the vowel signs of Indian scripts, which re cuts off
OPENER = 2  # words; one is mostly "The", three hardly ever the same
CLOSERS = " \t\r\n\"'”’»)]*_`"
"""What may stand after the mark that ends a sentence."""
QUESTION_MARKS = ("?", "？", "؟")


@dataclass(frozen=True)
class Manner:
    """How a model talks, over its answers to some prompts."""

    answers: int
    distinct_1: float
    distinct_2: float
    """Different words, and pairs of words, as shares of all: `distinct_n`."""
    opener_bits: float
    """Entropy of how answers begin: `opener_entropy`; at most log2 of the answers."""
    commonest_opener: str
    commonest_share: float
    """How the most answers begin, and how many of them."""
    median_words: float
    p90_words: float
    """Lengths, in words."""
    question_rate: float
    """Answers that end on a question: `ends_on_a_question`."""


@dataclass(frozen=True)
class Drift:
    """The manner of two models on the same prompts."""

    before: Manner
    after: Manner

    @property
    def median_ratio(self) -> float:
        """How many times as long the median answer has become; infinite from nothing."""
        return _ratio(self.after.median_words, self.before.median_words)

    @property
    def p90_ratio(self) -> float:
        """The same of the long answers: the 90th percentile moves first where a model begins to ramble."""
        return _ratio(self.after.p90_words, self.before.p90_words)


def manner(answers: Sequence[str], *, at_most: int | None = None) -> Manner:
    """Count `answers`, the words a reader sees. Raises ValueError where there are none.

    at_most: the n-grams that distinct-n looks at (see there).
    """
    if not answers:
        raise ValueError("there are no answers to look at")
    lengths = [len(words(answer)) for answer in answers]
    openers = Counter(map(opener, answers))
    commonest, often = min(openers.items(), key=lambda item: (-item[1], item[0]))
    return Manner(
        answers=len(answers),
        distinct_1=distinct_n(answers, 1, at_most=at_most),
        distinct_2=distinct_n(answers, 2, at_most=at_most),
        opener_bits=opener_entropy(answers),
        commonest_opener=commonest,
        commonest_share=often / len(answers),
        median_words=float(np.quantile(lengths, 0.5)),
        p90_words=float(np.quantile(lengths, 0.9)),
        question_rate=sum(map(ends_on_a_question, answers)) / len(answers),
    )


def drift(before: Sequence[str], after: Sequence[str]) -> Drift:
    """Compare answers to the same prompts; distinct-n looks at equally many n-grams of both.

    Raises ValueError where one side has no answers.
    """
    at_most = min(sum(len(words(answer)) for answer in side) for side in (before, after))
    return Drift(manner(before, at_most=at_most), manner(after, at_most=at_most))


def words(text: str) -> list[str]:
    """The words of a text, whatever their case; marks between them are nothing."""
    return WORD.findall(text.lower())


def distinct_n(answers: Sequence[str], n: int, *, at_most: int | None = None) -> float:
    """Different n-grams as a share of all n-grams, none across two answers; 1 where there is no n-gram.

    (Li et al. 2016, "A diversity-promoting objective function for neural conversation models"; they divide by words.)
    The share falls as texts grow, whoever writes them (Liu et al. 2022, "Rethinking and refining the distinct
    metric"), so two models are compared on the same number of n-grams: the first `at_most`.
    """
    seen: set[tuple[str, ...]] = set()
    total = 0
    for gram in _grams(answers, n):
        if total == at_most:
            break
        total += 1
        seen.add(gram)
    return len(seen) / total if total else 1.0


def opener(answer: str) -> str:
    """The first words of an answer; empty where it has none."""
    return " ".join(words(answer)[:OPENER])


def opener_entropy(answers: Sequence[str]) -> float:
    """Entropy of the openers, in bits (Shannon 1948, section 6, with observed shares for probabilities).

    0: all begin alike; log2(len(answers)): no two do. Of few answers it is too low (Miller 1955, "Note on the bias of
    information estimates"), so compare equal numbers.
    """
    counts = Counter(map(opener, answers)).values()
    total = sum(counts)
    return sum(count / total * math.log2(total / count) for count in counts)


def ends_on_a_question(answer: str) -> bool:
    """Whether the last thing said is a question, quotes and emphasis around it aside."""
    return answer.rstrip(CLOSERS).endswith(QUESTION_MARKS)


def _grams(answers: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    for answer in answers:
        said = words(answer)
        yield from zip(*(said[start:] for start in range(n)), strict=False)


def _ratio(after: float, before: float) -> float:
    if before == 0:
        return 1.0 if after == 0 else math.inf
    return after / before
