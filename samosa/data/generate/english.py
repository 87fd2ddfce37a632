"""The English that comes with Python: lines to repeat and words to name things with, the same for one Python.

Only training rows use it. Nothing here names what probes ask about.
"""

import functools
import re
from collections import Counter

from samosa.data.generate.sides import bank, on_side, reserved_names, side_of
from samosa.data.shards import stdlib_documents

PROSE = 3_000_000  # characters: all of it
LINE = re.compile(r"[A-Za-z][A-Za-z0-9 ,'-]{14,58}")
WORD = re.compile(r"(?<![\w'`.-])[a-z]{4,9}(?![\w'`-])")
SELDOM = 5  # a word that stands here less often may be a typing error or half a name


@functools.cache
def lines() -> list[str]:
    """Plain lines of 15 to 59 characters, each once, in the order of the text."""
    reserved = re.compile(r"\b(?:" + "|".join(map(re.escape, reserved_names())) + r")\b", re.IGNORECASE)
    found: dict[str, None] = {}
    for text in _prose():
        for line in text.splitlines():
            line = line.strip().rstrip(".:;")
            if LINE.fullmatch(line) and line.count(" ") >= 2 and not reserved.search(line):
                found[line] = None
    return list(found)


@functools.cache
def words() -> list[str]:
    """Lower-case words of 4 to 9 letters on the training side, in alphabetical order."""
    counted = Counter(word for text in _prose() for word in WORD.findall(text))
    subjects = (subject for subject, verb, _ in bank("concepts")["explain"] if side_of(f"{subject} {verb}") == "probe")
    asked = {form for subject in subjects for word in subject.split() for form in (word, word.removesuffix("s"))}
    usual = sorted(word for word, times in counted.items() if times >= SELDOM and word not in asked)
    return on_side(usual, "train")


@functools.cache
def _prose() -> list[str]:
    return list(stdlib_documents(limit_chars=PROSE, seed=0))
