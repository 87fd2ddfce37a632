"""Rows as texts and words: a batch that is looked at together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from samosa.data.fence.own import without_system
from samosa.data.fence.words import Words, words_of

ANSWERING = frozenset(["assistant", "gpt", "chatgpt", "bard", "bing", "claude", "model", "bot", "tool", "function"])
ANSWERS = frozenset(["answer", "answers", "output", "response", "completion", "chosen", "rejected", "solution"])
NO_TEXT = frozenset(["role", "from", "type", "id", "source", "tool_name"])


def strings_of(value: Any, found: list[str], asking: list[bool], *, asks: bool = True) -> None:
    """Add every text of a row, whatever its layout, in order, and whether it may ask: an assistant's does not.

    Names of roles, types and the like are no texts.
    """
    if isinstance(value, str):
        found.append(value)
        asking.append(asks)
    elif isinstance(value, list):
        for one in value:
            strings_of(one, found, asking, asks=asks)
    elif isinstance(value, dict):
        asks = asks and value.get("role", value.get("from")) not in ANSWERING
        for key, one in value.items():
            if key not in NO_TEXT:
                strings_of(one, found, asking, asks=asks and key not in ANSWERS)


@dataclass(frozen=True)
class Batch:
    """Decoded rows, their texts, and the words of those."""

    rows: Sequence[Any]
    texts: list[str]
    """Without our system prompts."""
    asking: npt.NDArray[np.bool_]
    """[texts]"""
    owners: list[int]
    """[texts]: the row that each is of."""
    words: Words

    @classmethod
    def of(cls, rows: Sequence[Any]) -> "Batch":
        texts: list[str] = []
        asking: list[bool] = []
        owners: list[int] = []
        for number, row in enumerate(rows):
            strings_of(row, texts, asking)
            owners += [number] * (len(texts) - len(owners))
        texts = [without_system(text) if asks else text for text, asks in zip(texts, asking, strict=True)]
        return cls(rows, texts, np.array(asking, np.bool_), owners, words_of(texts))

    def text_at(self, place: int) -> int:
        """The text that a word is of."""
        return int(self.words.texts[place])

    def reply(self, text: int) -> tuple[int, int]:
        """The words of the row's next text: the first, and behind the last. None of them after the row's last text."""
        end = int(self.words.bounds[text + 1])
        if text + 1 < len(self.owners) and self.owners[text + 1] == self.owners[text]:
            return end, int(self.words.bounds[text + 2])
        return end, end
