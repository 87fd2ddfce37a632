"""The fence: rows in, what each of them shares with denied questions out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from samosa.data.fence import own
from samosa.data.fence.denied import Denied
from samosa.data.fence.evidence import Found, Kind, answered, asked_as_it_is, best_fit
from samosa.data.fence.index import Index, Suspect
from samosa.data.fence.words import Words, words_of

COPIED = 0.5  # of a question's 13-grams: from here on it is a copy whatever the reply says
EXCERPT = 600  # characters of the row's text that a match tells
ANSWERING = frozenset(["assistant", "gpt", "chatgpt", "bard", "bing", "claude", "model", "bot", "tool", "function"])
ANSWERS = frozenset(["answer", "answers", "output", "response", "completion", "chosen", "rejected", "solution"])
NO_TEXT = frozenset(["role", "from", "type", "id", "source", "tool_name"])


@dataclass(frozen=True)
class Match:
    """A row and a denied question, side by side."""

    denied: str
    question: str
    answers: tuple[str, ...]
    text: str
    """What of the row was taken for the question, in lower case."""
    reply: str
    """What follows it in the row."""
    evidence: tuple[Kind, ...]
    words: float
    order: float
    grams: float
    alike: int
    """Questions of this template on the list."""

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def strings_of(value: Any, *, asks: bool = True) -> Iterator[tuple[str, bool]]:
    """Every text of a row, whatever its layout, in order, and whether it may ask: an assistant's does not.

    Names of roles, types and the like are no texts.
    """
    if isinstance(value, str):
        yield value, asks
    elif isinstance(value, list):
        for one in value:
            yield from strings_of(one, asks=asks)
    elif isinstance(value, Mapping):
        asks = asks and value.get("role", value.get("from")) not in ANSWERING
        for key, one in value.items():
            if key not in NO_TEXT:
                yield from strings_of(one, asks=asks and key not in ANSWERS)


class Fence:
    """Finds copies of denied questions. Build it once and give it batches of rows."""

    def __init__(self, denied: Sequence[Denied]) -> None:
        self.index = Index.of(denied)

    def check(self, rows: Sequence[Any]) -> list[list[Match]]:
        """For each decoded row the denied questions that it shares, the surest first; empty for a clean row.

        A question asked word for word, one of whose 13-grams half are there, one of whose template all but what may
        vary is there, or one that is half there with its answer in the reply. Rows that our own teacher draws share
        templates with its probes on purpose and never names or numbers (generate/sides.py): of them, only the words
        themselves count.
        """
        texts: list[str] = []
        asking: list[bool] = []
        owners: list[int] = []
        for number, row in enumerate(rows):
            for text, asks in strings_of(row):
                texts.append(own.without_system(text) if asks else text)
                asking.append(asks)
                owners.append(number)
        words = words_of(texts)
        found: dict[int, list[tuple[Found, int]]] = {}
        copied = self.index.copied(words)
        for (text, number), (share, place) in copied.items():
            one = self._copied(words, owners, text, number, share, place)
            if one is not None:
                found.setdefault(owners[text], []).append((one, 1))
        ours: dict[int, frozenset[str]] = {}
        for suspect in self.index.suspects(words, np.array(asking, np.bool_)):
            row = owners[suspect.text]
            if row not in ours:
                ours[row] = own.texts_of(rows[row])
            text = texts[suspect.text]
            trusted = text in ours[row]
            one = self._looked_at(words, owners, suspect, text, asks=asking[suspect.text], trusted=trusted)
            if one is not None:
                alike = len(self.index.templates[suspect.number].denied)
                found.setdefault(row, []).append((one, alike))
        return [self._matches(words, owners, copied, found.get(number, [])) for number in range(len(rows))]

    def _copied(
        self, words: Words, owners: Sequence[int], text: int, number: int, share: float, place: int
    ) -> Found | None:
        kinds: tuple[Kind, ...] = ("13-gram",)
        if share < COPIED:
            if not self._answered(words, owners, text, number, place):
                return None
            kinds = ("13-gram", "question and answer")
        last = min(place + len(self.index.asked[number]), int(words.bounds[text + 1])) - 1
        return Found(number, kinds, place, last, share, share)

    def _looked_at(
        self, words: Words, owners: Sequence[int], suspect: Suspect, text: str, *, asks: bool, trusted: bool
    ) -> Found | None:
        template = self.index.templates[suspect.number]
        fit = None if trusted else best_fit(template, words, suspect.places, suspect.text, text, asks=asks)
        if fit is None and not trusted:
            return None
        for number in template.denied:
            place = asked_as_it_is(self.index, words, suspect.text, number)
            if place is None:
                continue
            last = place + len(self.index.asked[number]) - 1
            if template.weight or self._answered(words, owners, suspect.text, number, last + 1):
                return Found(number, ("same words",), place, last, 1.0, 1.0)
        if fit is None or fit.verdict == "no":
            return None
        by_answer = next(
            (one for one in template.denied if self._answered(words, owners, suspect.text, one, fit.last + 1)), None
        )
        kinds: list[Kind] = ["template"] if fit.verdict == "fits" else []
        if by_answer is not None:
            kinds.append("question and answer")
        if not kinds:
            return None
        number = template.denied[0] if by_answer is None else by_answer
        return Found(number, tuple(kinds), fit.first, fit.last, fit.words, fit.order)

    def _answered(self, words: Words, owners: Sequence[int], text: int, number: int, after: int) -> bool:
        """In the rest of the text, or in the next one of the row."""
        follows = text + 1 < len(owners) and owners[text + 1] == owners[text]
        end = int(words.bounds[text + 2 if follows else text + 1])
        return answered(self.index, words, number, after, end)

    def _matches(
        self,
        words: Words,
        owners: Sequence[int],
        copied: Mapping[tuple[int, int], tuple[float, int]],
        found: Sequence[tuple[Found, int]],
    ) -> list[Match]:
        """One match a question, the surest first."""
        best: dict[int, Match] = {}
        for one, alike in sorted(found, key=lambda pair: (-_sureness(pair[0]), pair[0].number)):
            if one.number in best:
                continue
            text = int(words.bounds.searchsorted(one.first, side="right")) - 1
            follows = text + 1 < len(owners) and owners[text + 1] == owners[text]
            end = int(words.bounds[text + 2 if follows else text + 1]) - 1
            denied = self.index.denied[one.number]
            best[one.number] = Match(
                denied=denied.id,
                question=denied.question,
                answers=denied.answers,
                text=words.between(one.first, one.last)[:EXCERPT],
                reply=words.between(one.last + 1, end)[:EXCERPT] if one.last < end else "",
                evidence=one.kinds,
                words=round(one.words, 3),
                order=round(one.order, 3),
                grams=round(copied.get((text, one.number), (0.0, 0))[0], 3),
                alike=alike,
            )
        return list(best.values())


def _sureness(one: Found) -> float:
    return 10 * ("same words" in one.kinds) + 2 * len(one.kinds) + one.words + one.order
