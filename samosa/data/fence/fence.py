"""The fence: rows in, what each of them shares with denied questions out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from samosa.data.fence import own
from samosa.data.fence.batch import Batch
from samosa.data.fence.denied import Denied
from samosa.data.fence.fit import Place, places_of
from samosa.data.fence.index import Index, Suspect
from samosa.data.fence.verdict import Verdict, answered, asked_as_it_is, verdict_on

Kind = Literal["same words", "template", "13-gram", "question and answer"]
COPIED = 0.5  # of a question's 13-grams: from here on it is a copy whatever the reply says
EXCERPT = 600  # characters of the row's text that a match tells
AROUND = 6  # words on both sides of what was matched that are told with it


@dataclass(frozen=True)
class Match:
    """A row and a denied question, side by side."""

    denied: str
    question: str
    answers: tuple[str, ...]
    text: str
    """What of the row was taken for the question, in lower case."""
    reply: str
    """The text that follows it in the row."""
    evidence: tuple[Kind, ...]
    words: float
    """Share of the template's words with a meaning that stand there."""
    order: float
    """Share of its neighbours that are neighbours there."""
    grams: float
    """Share of the question's 13-grams that stand there."""
    alike: int
    """Questions of this template on the list."""

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Found:
    """A denied question in a text."""

    number: int
    """Of the question."""
    kinds: tuple[Kind, ...]
    first: int
    """The first and last word that were matched."""
    last: int
    words: float
    order: float
    alike: int = 1

    @property
    def sureness(self) -> float:
        """What puts matches in order."""
        return 10 * ("same words" in self.kinds) + 2 * len(self.kinds) + self.words + self.order


class Fence:
    """Finds copies of denied questions. Build it once and give it batches of rows."""

    def __init__(self, denied: Sequence[Denied]) -> None:
        self.index = Index.of(denied)

    def check(self, rows: Sequence[Any]) -> list[list[Match]]:
        """For each decoded row the denied questions that it shares, the surest first; empty for a clean row.

        A question counts that stands there word for word, or half of whose 13-grams do, or whose template does
        (verdict.py), or which is half there while the reply holds its answer. Rows that our own teacher draws share
        templates with its probes on purpose and never names or numbers (own.py): of them only the words count.
        """
        batch = Batch.of(rows)
        found: list[list[Found]] = [[] for _ in rows]
        grams = self.index.copied(batch.words)
        for (text, number), (share, at) in grams.items():
            if (one := self._copied(batch, text, number, share, at)) is not None:
                found[batch.owners[text]].append(one)
        drawn: dict[int, frozenset[str]] = {}
        for suspect in self.index.suspects(batch.words, batch.asking):
            row = batch.owners[suspect.text]
            if row not in drawn:
                drawn[row] = own.texts_of(rows[row])
            if batch.texts[suspect.text] in drawn[row]:
                one = self._same_words(batch, suspect)
            else:
                one = self._looked_at(batch, suspect)
            if one is not None:
                found[row].append(one)
        return [self._matches(batch, grams, those) for those in found]

    def _copied(self, batch: Batch, text: int, number: int, share: float, at: int) -> Found | None:
        """By 13-grams: half of them, or some with the answer."""
        by_answer = self._answered(batch, text, number, at)
        if share < COPIED and not by_answer:
            return None
        kinds: tuple[Kind, ...] = ("13-gram", "question and answer") if by_answer else ("13-gram",)
        last = min(at + len(self.index.asked[number]) // 8, int(batch.words.bounds[text + 1])) - 1
        return Found(number, kinds, at, last, share, share)

    def _same_words(self, batch: Batch, suspect: Suspect) -> Found | None:
        """Word for word; the rest of the suspicion is left aside."""
        template = self.index.templates[suspect.number]
        for number in template.denied:
            span = asked_as_it_is(self.index, batch.words, suspect.text, number)
            if span is not None and (template.weight or self._answered(batch, suspect.text, number, span[1] + 1)):
                return Found(number, ("same words",), *span, 1.0, 1.0, len(template.denied))
        return None

    def _looked_at(self, batch: Batch, suspect: Suspect) -> Found | None:
        """At every place where a template may stand, for the surest."""
        template, text = self.index.templates[suspect.number], suspect.text
        for place in places_of(template, batch.words, suspect.places, text):
            if place.covered == 1 and place.broken == 0 and (same := self._same_words(batch, suspect)) is not None:
                return same
            verdict = verdict_on(place, batch.words, asks=bool(batch.asking[text]))
            if verdict != "no" and (one := self._judged(batch, suspect, place, verdict)) is not None:
                return one
        return None

    def _judged(self, batch: Batch, suspect: Suspect, place: Place, verdict: Verdict) -> Found | None:
        template = self.index.templates[suspect.number]
        after = place.last + 1
        by_answer = next((n for n in template.denied if self._answered(batch, suspect.text, n, after)), None)
        if by_answer is None and verdict == "with the answer":
            return None
        kinds: tuple[Kind, ...] = ("template",) if verdict == "fits" else ()
        if by_answer is not None:
            kinds = (*kinds, "question and answer")
        number = template.denied[0] if by_answer is None else by_answer
        return Found(number, kinds, place.first, place.last, place.covered, place.order, len(template.denied))

    def _answered(self, batch: Batch, text: int, number: int, after: int) -> bool:
        """In the rest of the text, or in the next one of the row."""
        return answered(self.index, batch.words, number, after, batch.reply(text)[1])

    def _matches(
        self, batch: Batch, grams: dict[tuple[int, int], tuple[float, int]], found: Sequence[Found]
    ) -> list[Match]:
        """One match a question, the surest first."""
        best: dict[int, Match] = {}
        for one in sorted(found, key=lambda one: (-one.sureness, one.number)):
            if one.number not in best:
                best[one.number] = self._match(batch, grams, one)
        return list(best.values())

    def _match(self, batch: Batch, grams: dict[tuple[int, int], tuple[float, int]], one: Found) -> Match:
        words, denied, text = batch.words, self.index.denied[one.number], batch.text_at(one.first)
        begin, end = int(words.bounds[text]), int(words.bounds[text + 1]) - 1
        first, behind = batch.reply(text)
        return Match(
            denied=denied.id,
            question=denied.question,
            answers=denied.answers,
            text=words.between(max(begin, one.first - AROUND), min(end, one.last + AROUND))[:EXCERPT],
            reply=words.between(first, behind - 1)[:EXCERPT],
            evidence=one.kinds,
            words=round(one.words, 3),
            order=round(one.order, 3),
            grams=round(grams.get((text, one.number), (0.0, 0))[0], 3),
            alike=one.alike,
        )
