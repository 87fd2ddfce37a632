"""Keeps probes out of training rows: a suite that was trained on measures memory."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from samosa.chat.conversation import Conversation
from samosa.chat.prompts import DEFAULT_SYSTEM, SYSTEM_JOINER, THINK_SYSTEM

SHORTEST_INSIDE = 5  # words: shorter questions count only when they are the whole turn ("price of gold")


@dataclass(frozen=True)
class Overlap:
    """A training turn that asks what a probe asks."""

    source: str
    probe: str
    question: str


def words(text: str) -> tuple[str, ...]:
    """Reduce a text to what a copy keeps: its words and numbers, without case, spacing or punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    return tuple(re.findall(r"\w+(?:\.\d+)?", plain))


def overlaps(rows: Iterable[Conversation], questions: Mapping[str, str]) -> list[Overlap]:
    """Find user turns of `rows` that are or contain one of `questions`: probe id -> question without system prompt."""
    asked = {words(text): probe for probe, text in questions.items()}
    lengths = sorted({len(key) for key in asked if len(key) >= SHORTEST_INSIDE})
    found = []
    for row in rows:
        for turn in row.turns:
            if turn.role == "user":
                spoken = words(_without_system(turn.text))
                if (probe := _probe_in(spoken, asked, lengths)) is not None:
                    found.append(Overlap(source=row.source, probe=probe, question=questions[probe]))
    return found


def _probe_in(spoken: tuple[str, ...], asked: Mapping[tuple[str, ...], str], lengths: list[int]) -> str | None:
    if spoken in asked:
        return asked[spoken]
    for length in lengths:
        for start in range(len(spoken) - length + 1):
            if (probe := asked.get(spoken[start : start + length])) is not None:
                return probe
    return None


def _without_system(text: str) -> str:
    for system in (THINK_SYSTEM, DEFAULT_SYSTEM):
        text = text.removeprefix(system + SYSTEM_JOINER)
    return text
