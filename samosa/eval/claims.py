"""Whether an answer claims what it mentions: not denied, not one guess of several, not taken back, not contradicted.

Everything is said of mentions: places in the text where a candidate stands, the right one or another of its kind.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from samosa.eval import phrases

TOKEN = re.compile(r"[\w$%']+(?:\.[\w%]+)*")
FARTHEST = 300  # characters before a candidate that say anything of it


@dataclass(frozen=True)
class Mention:
    """A place where a candidate stands."""

    start: int
    end: int
    right: bool
    """Whether this is what the answer has to claim; else it is another of its kind."""
    in_question: bool = False
    """The question names it too."""
    number: bool = False
    quantity: str = ""
    """What kind of thing it counts, so that 17 % is no rival of 17 dollars; empty: not said."""


def fault(text: str, mentions: Sequence[Mention], question: str, *, strict: bool = True) -> str | None:
    """Why `text` does not claim what is right of the mentions, or None. Both texts are plain (answers.plain).

    strict: it is the answer to the question, so it may not be compared, conditional or only an operand either.
    """
    right = [one for one in mentions if one.right]
    if not right:
        return "is not said"
    asked = _asking(question)
    if _words(asked) in _words(text) or any(_copied(text, one, question) for one in mentions if not one.right):
        asked = question
    live = [one for one in right if _denied(text, one, strict=strict) is None and not _copied(text, one, asked)]
    if not live:
        return next((why for one in right if (why := _denied(text, one, strict=strict))), "only repeats the question")
    wrong = [one for one in mentions if not one.right and _denied(text, one, strict=False) is None]
    told = _Told(text, live, wrong)
    return _hedged(told) or _answers_otherwise(told) or _contradicted(told) or _taken_back(told) or _one_of_a_list(told)


@dataclass(frozen=True)
class _Told:
    """A text with the mentions in it that nothing denies."""

    text: str
    live: Sequence[Mention]
    wrong: Sequence[Mention]

    def rivals(self) -> Iterator[tuple[Mention, Mention]]:
        """Every pair of a right one and another of its kind."""
        for one in self.live:
            for other in self.wrong:
                if not one.quantity or not other.quantity or one.quantity == other.quantity:
                    yield one, other

    def head(self, one: Mention) -> str:
        """What a mention is said of, from the mention before it on: "8 days ago was"; "it" for all that only points."""
        sentence = _sentence(self.text, one.start)
        begins = one.start - len(sentence)
        before = [
            other.end
            for other in (*self.live, *self.wrong)
            if begins < other.end <= one.start and other.quantity == one.quantity
        ]
        for start in (max(before, default=begins), begins):
            said = phrases.FILLERS.sub("", self.text[start : one.start].strip(" ,:—–(*_\"'$€£₹¥"))
            pointed = phrases.IT.match(f"{said} ")
            if pointed and len(said) - pointed.end() < 16:
                return "it"
        return said

    def is_called_answer(self, one: Mention) -> bool:
        """Whether a mention is told to be the answer in so many words."""
        head = phrases.ANSWER_HEAD.search(_clause(self.text, one.start)) is not None
        return head or phrases.RIGHT_AFTER.search(self.text[one.end :]) is not None


def alternatives(text: str, start: int, end: int) -> bool:
    """Whether something else is offered for what stands at a place: "sunny or rainy"."""
    return phrases.OR_ELSE.search(text[end:]) is not None or phrases.ELSE_OR.search(_sentence(text, start)) is not None


def _sentence(text: str, start: int) -> str:
    """The sentence before a place."""
    far = max(0, start - FARTHEST)
    ends = [match.end() for match in phrases.SENTENCE.finditer(text, far, start)]
    return text[ends[-1] if ends else far : start]


def _clause(text: str, start: int) -> str:
    """What of the sentence before a place still governs it: from where its subject was named anew."""
    sentence = _sentence(text, start)
    begins = [match.start() for match in phrases.RESTART.finditer(sentence)]
    return sentence[begins[-1] :] if begins else sentence


def _rest(text: str, end: int) -> str:
    """The sentence after a place."""
    match = phrases.SENTENCE.search(text, end)
    return text[end : match.start() if match else len(text)]


def _denied(text: str, one: Mention, *, strict: bool) -> str | None:
    clause, after = _clause(text, one.start), text[one.end :]
    if (
        phrases.DENIED.search(clause)
        or phrases.DOUBTED.search(clause)
        or phrases.NOT_DONE.search(clause)
        or any(pattern.search(after) for pattern in phrases.DENIED_AFTER)
    ):
        return "is denied"
    if phrases.OTHERS.search(clause) and phrases.BUT.search(text[one.end : one.end + 80]):
        return "is denied"
    if phrases.ASKING.search(_sentence(text, one.start)) and re.match(r"[^.!\n]*\?", after):
        return "is only asked"
    if not strict:
        return None
    if one.number and (phrases.COMPARED.search(clause) or phrases.VAGUE_AFTER.search(after)):
        return "is only compared with"
    if one.number and phrases.LABELLED.search(clause):
        return "only counts something"
    if one.number and phrases.OPERAND_AFTER.search(after):
        return "is only calculated with"
    if phrases.IF.search(clause):
        return "is only supposed"
    return None


def _asking(question: str) -> str:
    """The sentences of a question that ask, where some do: what the others tell may be told again."""
    asking = [sentence for sentence in re.split(r"(?<=[.!?])\s+|\n", question) if sentence.endswith("?")]
    return " ".join(asking) or question


def _words(text: str) -> str:
    return " ".join(["", *TOKEN.findall(text), ""])


def _copied(text: str, one: Mention, question: str) -> bool:
    """Whether a mention stands in three words or more of the question."""
    if not one.in_question:
        return False
    before, after = TOKEN.findall(text[: one.start])[-2:], TOKEN.findall(text[one.end :])[:2]
    words = [*before, *TOKEN.findall(text[one.start : one.end]), *after]
    asked = _words(question)
    size = len(words) - len(before) - len(after)
    windows = [words[max(0, at) : at + size + 2] for at in range(len(before) - 2, len(before) + 1)]
    return any(len(window) == size + 2 and " ".join(["", *window, ""]) in asked for window in windows)


def _hedged(told: _Told) -> str | None:
    """One of several guesses: nothing but a few words and an "or" between two candidates."""
    text = told.text
    for one, other in told.rivals():
        first, second = sorted((one, other), key=lambda mention: mention.start)
        between = text[first.end : second.start]
        if len(between) > 60 or first.end > second.start:
            continue
        loose = re.sub(r"[.!?]\s+(?=(?:or|maybe|perhaps|possibly|alternatively|it (?:could|might))\b)", " ", between)
        if phrases.OTHER_THING.search(text[other.end :]):
            continue
        near = phrases.SENTENCE.search(loose) is None and len(re.findall(r"\w+", loose)) <= 9
        if near and phrases.OR.search(loose):
            return "is one of several guesses"
        if one.number and not other.in_question and phrases.RANGE.search(between):
            return "is one end of a range"
        asks = re.search(r"\bbetween\b", _sentence(text, first.start))
        if one.number and not other.in_question and asks and re.fullmatch(r"\s?and\s\$?", between):
            return "is one end of a range"
    return None


def _answers_otherwise(told: _Told) -> str | None:
    """Something else is called the answer, or is what "it" is, and the right one is not after it."""
    called = [
        one
        for one in told.wrong
        if _ends(told.text, one) and (told.is_called_answer(one) or (not one.number and told.head(one) == "it"))
    ]
    own = [one for one in told.live if told.is_called_answer(one) or told.head(one) == "it" or _copula(told.text, one)]
    if called and not (own and own[-1].start > called[-1].start):
        return "is said, and another is called the answer"
    return None


def _copula(text: str, one: Mention) -> bool:
    return phrases.COPULA.search(_clause(text, one.start)) is not None


def _ends(text: str, one: Mention) -> bool:
    """Whether nothing is said of a mention any more: "392." and not "392 of them"."""
    return (
        re.match(
            r"[\"'”’)*_\]]*\s*(?:$|[.,;!?\n)(]|\b(?:and|or|but|because|since|as|then|instead|actually|now)\b)",
            text[one.end :],
        )
        is not None
    )


def _contradicted(told: _Told) -> str | None:
    """The same is said of something else."""
    for one, other in told.rivals():
        if other.in_question or not _ends(told.text, other):
            continue
        head, step = told.head(one), told.text[other.end : one.start]
        if head != told.head(other) or phrases.STEP.match(step):
            continue
        if _copula(told.text, other) if head else _alone(told.text, one, other):
            return "is contradicted"
    return None


def _alone(text: str, *both: Mention) -> bool:
    """Whether each of two is a sentence of its own."""
    return all(
        not _sentence(text, one.start).strip(" *_\"'$(") and not _rest(text, one.end).strip(" *_\"')") for one in both
    )


def _taken_back(told: _Told) -> str | None:
    """A correction to something else follows."""
    text, last = told.text, told.live[-1]
    for other in told.wrong:
        between = text[last.end : other.start]
        if other.start < last.end or other.in_question or len(between) > 80:
            continue
        if not _ends(text, other) and not phrases.STRAIGHT_BACK.search(between):
            continue
        if phrases.ARROW.fullmatch(between) or phrases.CORRECTED.search(between):
            return "is taken back"
    return None


def _one_of_a_list(told: _Told) -> str | None:
    """All that is said is a list of candidates."""
    for one in told.live:
        beside = [
            other
            for other in told.wrong
            if not other.in_question
            and (other.start < one.start or _ends(told.text, other))
            and phrases.LISTED.fullmatch(
                told.text[other.end : one.start] if other.end <= one.start else told.text[one.end : other.start]
            )
        ]
        if not beside:
            return None
    return "is one of a list"
