"""What is left of a question when all that a copy may change is taken out: words that stay, and slots between them.

Numbers, units, names, capitalised words and what is declared to vary become slots. What stays is looked for in rows,
in the same words and mostly in the same order; so nothing need be known about what a copy put into the slots.
"""

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from samosa.data.fence import lexicon
from samosa.data.fence.denied import Denied
from samosa.data.fence.words import CONTENT, DAY, NUMBER, STEM, STOP, UNIT, Words, words_of

LONGEST = 160  # words that stay: of a longer question its first part is looked for
SHOUTED = 0.7  # a text with more of its words capitalised says nothing by capitals
IS = frozenset(["is"])
NAME_JOINERS = frozenset(["of", "de", "la", "the", "and", "van", "von", "del"])
SENTENCE_END = re.compile(r"[.!?:;\"“”(\[]\s*$|\n")
SENTENCE = re.compile(r"(?<!\sst)(?<!\smr)(?<!\sdr)(?<!\sms)(?<!\smrs)(?<!\sjr)(?<!\svs)(?<!\sno)[.!?](?=\s)")
ACRONYM = re.compile(rb"[A-Z]{2,6}s?")
STRICT = frozenset(["inside", "declared", "declared name"])
"""What varies even in the more literal template."""
LEAST = 0.6  # of a long template: a fifth of its words may be lost, and a few of grammar with them
NAME_WORDS = 5  # that a copy may put into the slot of a name
NUMBER_WORDS = 3  # "1,250.75" is three
LONGEST_NUMBER = 6  # words more, spelled out: "three thousand four hundred and seventy-six"
GRAMMAR_SAYS = 0.4  # of what a word with a meaning says
SAYS_ENOUGH = 4.0  # a short template that says less has to be a sentence by itself, of somebody who asks
GRAMMAR_ENOUGH = 2.7  # "I am ... from .... Where am I from?"; "which of the following is true of ..." does not
SAYS_LITTLE = 2.1  # and one below this exactly a sentence, or the whole text


@dataclass
class Template:
    """The words that stay, as ids, and how many slots stand before each; questions that differ in slots share one."""

    fixed: tuple[int, ...]
    content: tuple[bool, ...]
    """Which of them carry meaning."""
    slots: tuple[int, ...]
    """[fixed + 1]: slots before each fixed word, and after the last."""
    numbers: tuple[bool, ...]
    """[fixed + 1]: whether one of those slots is a number."""
    names: tuple[bool, ...]
    """[fixed + 1]: whether one is a name that was known by its capital."""
    free: tuple[bool, ...]
    """[fixed + 1]: whether one may be any word."""
    says: float
    """How much it says: a word of grammar says less than one with a meaning, a stem of tests nothing."""
    sentences: int
    """That end inside the question."""
    denied: list[int] = field(default_factory=list)
    """Numbers of the questions it was made from."""

    @functools.cached_property
    def rooms(self) -> tuple[int, ...]:
        """[fixed + 1]: words that a copy may put into the slots before each fixed word: a number has few."""
        unnamed = (numbers and not names for numbers, names in zip(self.numbers, self.names, strict=True))
        return tuple(
            slots * (NUMBER_WORDS if number else NAME_WORDS) for slots, number in zip(self.slots, unnamed, strict=True)
        )

    @functools.cached_property
    def meant(self) -> tuple[int, ...]:
        """The words with a meaning, repetitions kept."""
        return tuple(word for word, content in zip(self.fixed, self.content, strict=True) if content)

    @functools.cached_property
    def distinct(self) -> frozenset[int]:
        """The words that stay, each once."""
        return frozenset(self.fixed)

    @functools.cached_property
    def least(self) -> int:
        """Of the distinct words that stay, those that have to stand near each other to be worth a closer look."""
        if self.says < SAYS_ENOUGH or len(self.fixed) < 3:
            return len(self.distinct)
        return min(len(self.distinct) - 1, round(LEAST * len(self.distinct)))

    @functools.cached_property
    def length(self) -> int:
        """Words of the longest copy."""
        return len(self.fixed) + sum(self.rooms) + LONGEST_NUMBER * sum(self.numbers)

    @functools.cached_property
    def weight(self) -> int:
        """Words with a meaning, repetitions counted. None: only an answer makes it evidence."""
        return sum(self.content)


def templates_of(denied: Sequence[Denied]) -> list[Template]:
    """The distinct templates of questions, in order of appearance; a question that says little may have two."""
    asked = _asked(denied)
    words = words_of([text for _, text in asked])
    declared = words_of([slot for one in denied for slot in one.slots])
    common = frozenset(words.ids[~words.capitals].tolist()) | ids_of_all(lexicon.OPENERS)
    found: dict[tuple[object, ...], Template] = {}
    ends = list(itertools.accumulate(len(one.slots) for one in denied))
    for text, (number, _) in enumerate(asked):
        span = range(int(words.bounds[text]), int(words.bounds[text + 1]))
        varies = _names(words, span, common)
        for slot in range(ends[number] - len(denied[number].slots), ends[number]):
            _mark(varies, words.listed(span.start, span.stop), declared, slot)
        for template in _variants(words, span, varies):
            kept = found.setdefault((template.fixed, template.slots, template.numbers), template)
            kept.sentences = max(kept.sentences, template.sentences)
            kept.denied.append(number)
    return list(found.values())


def _asked(denied: Sequence[Denied]) -> list[tuple[int, str]]:
    """(number, text) of questions; those that say little by themselves ("Xylem") with their choices as well, and those
    that ask nothing only with them."""
    words = words_of([one.question for one in denied])
    content, grammar = (
        np.bincount(words.texts[words.kinds == kind], minlength=len(denied)) for kind in (CONTENT, STOP)
    )
    says = content + GRAMMAR_SAYS * grammar
    found: list[tuple[int, str]] = []
    for number, one in enumerate(denied):
        if content[number] or not one.choices:
            found.append((number, one.question))
        if one.choices and says[number] < SAYS_ENOUGH:
            found.append((number, "\n".join([one.question, *one.choices])))
    return found


def _variants(words: Words, span: range, names: Sequence[str]) -> Iterator[Template]:
    """The template; where it says little, a more literal one as well: units, acronyms and opening names stay."""
    loose = _template(words, span, names, units=False)
    if loose.says < SAYS_ENOUGH:
        loose = _template(words, span, ["" if name == "acronym" else name for name in names], units=False)
    is_told = loose.weight > 0 or (loose.says >= GRAMMAR_ENOUGH and any(loose.slots))
    if is_told:
        yield loose
    if loose.says >= SAYS_LITTLE and loose.weight:
        return
    strict = _template(words, span, [name if name in STRICT else "" for name in names], units=True)
    if not strict.weight:
        strict = _template(words, span, [""] * len(span), units=True)
    if strict.fixed and not (is_told and (strict.fixed, strict.slots) == (loose.fixed, loose.slots)):
        yield strict


def _template(words: Words, span: range, varies: Sequence[str], *, units: bool) -> Template:
    """`units` stay; without it they are slots."""
    whole = words.between(span[0], span[-1]) if span else ""
    sentences = len(SENTENCE.findall(whole))
    fixed: list[int] = []
    content: list[bool] = []
    slots, numbers, names, free = [0], [False], [False], [False]
    says = 0.0
    for place, why in zip(span, varies, strict=True):
        kind = words.kinds[place]
        if why or kind in (NUMBER, DAY) or (kind == UNIT and not units):
            slots[-1] += 1
            numbers[-1] |= bool(kind == NUMBER)
            names[-1] |= why not in ("", "declared")
            lower = kind == CONTENT and not words.capitals[place]  # "Veqk coin" is one declared name
            free[-1] |= why == "declared" or bool(why == "declared name" and lower)
        elif words.ids[place] in ids_of_all(IS) and fixed and not slots[-1] and fixed[-1] in ids_of_all(lexicon.ASKING):
            says += GRAMMAR_SAYS  # a copy may have "what's" for it
        elif len(fixed) < LONGEST:
            fixed.append(int(words.ids[place]))
            content.append(kind == CONTENT)
            says += 1 if kind in (CONTENT, UNIT) else 0 if kind == STEM else GRAMMAR_SAYS
            slots.append(0)
            numbers.append(False)
            names.append(False)
            free.append(False)
    varied = (tuple(slots), tuple(numbers), tuple(names), tuple(free))
    return Template(tuple(fixed), tuple(content), *varied, says, sentences)


def _names(words: Words, span: range, common: frozenset[int]) -> list[str]:
    """For each word what makes it a name: a capital inside a sentence, or one that opens it; "" for nothing."""
    capitals = words.capitals[span.start : span.stop].tolist()
    names = [""] * len(span)
    if _is_shouted(words, span, capitals):
        return names
    for offset, place in enumerate(span):
        if capitals[offset] and words.kinds[place] == CONTENT:
            if ACRONYM.fullmatch(words.written(place)):
                names[offset] = "acronym"
            elif offset and SENTENCE_END.search(words.before(place)) is None:
                names[offset] = "inside"
            elif words.ids[place] not in common:
                names[offset] = "opening"
    joiners = ids_of_all(NAME_JOINERS)
    for offset in range(1, len(span) - 1):  # "Bank of England" is one name
        if capitals[offset - 1] and capitals[offset + 1] and words.ids[span[offset]] in joiners:
            names[offset] = names[offset - 1] if names[offset + 1] else ""
    return names


def _is_shouted(words: Words, span: range, capitals: Sequence[bool]) -> bool:
    """Whether capitals say nothing, because words of grammar have them as well."""
    grammar = [  # "I" is large anywhere
        capitals[at - span.start] for at in span[1:] if words.kinds[at] == STOP and len(words.written(at)) > 1
    ]
    return all(grammar) if grammar else len(span) > 2 and sum(capitals) > SHOUTED * len(span)


def _mark(names: list[str], ids: Sequence[int], declared: Words, slot: int) -> None:
    """Mark where a declared slot stands."""
    first, end = int(declared.bounds[slot]), int(declared.bounds[slot + 1])
    phrase = declared.listed(first, end)
    for at in range(len(ids) - len(phrase) + 1 if phrase else 0):
        if ids[at : at + len(phrase)] == phrase:
            names[at : at + len(phrase)] = ["declared name" if declared.capitals[first] else "declared"] * len(phrase)


@functools.cache
def ids_of_all(texts: frozenset[str]) -> frozenset[int]:
    """The ids of single words, each looked up once."""
    return frozenset(words_of(sorted(texts)).ids.tolist())
