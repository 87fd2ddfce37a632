"""Copies of questions as somebody would hide them: each changes one kind of thing and keeps the rest."""

import random
import re
from collections.abc import Callable

NAMES = "Omar Lindqvist Porto Yamoussoukro Beatrix Xiulan Kowalski Reykjavik Tashkent Fernando Ngozi Halloway".split()
LONG_NAMES = ["Rio de Janeiro", "Mary Ann Smith", "the Bank of Norway", "O'Neill", "New South Wales"]
SMALL = "zero one two three four five six seven eight nine ten eleven twelve".split()
SURROUNDINGS = [
    ("", ""),
    ("Hello! ", " Thanks."),
    ("I have a quick one for you: ", ""),
    ("My cousin asked me this yesterday and I did not know.\n\n", "\n\nCan you help?"),
    ("Write a limerick about toads. ", " And then sing me something."),
]
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}(?: [A-Z][a-z]+)*")


def numbers(text: str, rng: random.Random) -> str:
    """Other numbers."""
    return NUMBER.sub(lambda match: str(rng.randint(2, 10 ** min(6, len(match[0]) + 1))), text)


def number_words(text: str, rng: random.Random) -> str:
    """Other numbers, spelled out where they are small."""
    return re.sub(r"(?<![\d.,$])\d{1,2}(?![\d.,%])", lambda match: rng.choice(SMALL), text)


def entities(text: str, rng: random.Random) -> str:
    """Other names in the middle of sentences, one or several words, the same one for the same one."""
    known: dict[str, str] = {}
    return NAME.sub(lambda match: known.setdefault(match[0], rng.choice(NAMES + LONG_NAMES)), text)


def case(text: str, rng: random.Random) -> str:
    """All small, all capitals, or all words with one."""
    return rng.choice([str.lower, str.upper, str.title, str.swapcase])(text)


def spacing(text: str, rng: random.Random) -> str:
    """Wide gaps, tabs, line breaks, hard spaces."""
    return re.sub(r" ", lambda match: rng.choice(["  ", "\t", "\n", " \u00a0", "   "]), text) + rng.choice(
        ["", "\n", " "]
    )


def punctuation(text: str, rng: random.Random) -> str:
    """Without its marks, or with others."""
    if rng.random() < 0.5:
        return re.sub(r"[?!.,;:](?!\d)", "", text)
    return re.sub(r"[?!.](?!\d)", lambda match: rng.choice(["?!", "...", " !", "."]), text).replace("'", "’")


def clause(text: str, rng: random.Random) -> str:
    """One clause moved to the other end: after a comma (of no list) or sentence, or before a word that begins one."""
    marks = [match.end() for match in re.finditer(r"(?:,(?! \w+ and )|[;.?!]) (?=\S)", text)]
    marks += [match.start() for match in re.finditer(r"\b(?:if|when|because|while|after|before)\b", text)]
    marks = [mark for mark in marks if 0 < mark < len(text)]
    if not marks:
        return text
    mark = rng.choice(marks)
    head, tail = text[:mark].strip(" ,;.?!"), text[mark:].strip(" ,;.?!")
    return f"{tail}{rng.choice([', ', ' '])}{head}{rng.choice(['?', '.', ''])}"


CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "numbers": numbers,
    "number words": number_words,
    "entities": entities,
    "case": case,
    "spacing": spacing,
    "punctuation": punctuation,
    "clause": clause,
}


def surrounded(text: str, rng: random.Random) -> str:
    """By itself, or inside a longer text."""
    before, after = rng.choice(SURROUNDINGS)
    return before + text + after
