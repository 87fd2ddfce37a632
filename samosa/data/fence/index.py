"""Finds, in arrays of words, which templates and 13-grams of the denied questions deserve a closer look.

Two words with a meaning that follow each other in a template are a clue. Rows are searched for clues, with up to six
other words between the two (a name may be longer in a copy), all rows of a batch at once; a row with enough clues of
one template is looked at word by word (fit.py, verdict.py). One moved clause separates at most three neighbours, so
enough clues are left in every copy: one of the shortest, two of up to eight, four of more.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samosa.data.fence.denied import Denied
from samosa.data.fence.templates import SAYS_ENOUGH, Template, templates_of
from samosa.data.fence.words import CONTENT, MULTIPLIERS, NUMBER, Ids, Words, mixed, words_of

GRAM = 13  # words: as GPT-3 (arXiv 2005.14165, appendix C) and most after it
APART = 7  # words with a meaning from the first of a clue to the second, at most: two names of three stand between
ALL_PAIRS = 5  # a template of so few words with a meaning has every ordered pair of them for clues
CLUES = 10  # of a longer template, the rarest among all templates
FARTHEST = 32  # words of any kind from the first of a clue to the second
MOVED = 3  # neighbours that one moved clause separates
REGION = 8  # words around the clues that are looked at besides the template's own length
ALONE = 0x51ED270B  # makes a clue of a single word


@dataclass(frozen=True)
class Lookup:
    """A set of hashes, each with the numbers it stands for. A byte map sorts out most that are not in it."""

    keys: Ids
    """Sorted."""
    begins: npt.NDArray[np.int64]
    """[keys + 1] into `numbers`."""
    numbers: npt.NDArray[np.int64]
    present: npt.NDArray[np.bool_]
    shift: np.uint64

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> "Lookup":
        """From (hash, number) pairs."""
        listed = sorted(set(pairs))
        hashes = np.array([key for key, _ in listed], np.uint64)
        keys, begins = np.unique(hashes, return_index=True)
        bits = min(24, max(16, int(len(keys) * 16).bit_length()))
        present, shift = np.zeros(2**bits, np.bool_), np.uint64(64 - bits)
        present[keys >> shift] = True
        numbers = np.array([number for _, number in listed], np.int64)
        return cls(keys, np.append(begins, len(listed)), numbers, present, shift)

    def find(self, hashes: Ids) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Places of `hashes` that are in the set, and which key each is."""
        maybe = np.flatnonzero(self.present[hashes >> self.shift])
        if not len(maybe):
            return maybe, maybe
        key = np.searchsorted(self.keys, hashes[maybe])
        key[key == len(self.keys)] = 0
        sure = self.keys[key] == hashes[maybe]
        return maybe[sure], key[sure]

    def expand(self, places: npt.NDArray[np.int64], keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
        """(place, key, number) once for every number of every key."""
        counts = self.begins[keys + 1] - self.begins[keys]
        offsets = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return (
            np.repeat(places, counts),
            np.repeat(keys, counts),
            self.numbers[np.repeat(self.begins[keys], counts) + offsets],
        )


@dataclass(frozen=True)
class Suspect:
    """A text that has enough clues of a template."""

    text: int
    number: int
    """Of the template."""
    places: tuple[int, ...]
    """Words, counted over the batch, where its clues begin to stand close together."""


@dataclass(frozen=True)
class Index:
    """Everything that is looked for."""

    denied: tuple[Denied, ...]
    templates: tuple[Template, ...]
    needed: npt.NDArray[np.int64]
    """[templates]: clues that make a text suspect."""
    reach: npt.NDArray[np.int64]
    """[templates]: words within which its clues have to stand."""
    anywhere: npt.NDArray[np.bool_]
    """[templates]: whether it says enough to be looked for in answers, too."""
    clues: Lookup
    phrases: Lookup
    """Clues of templates that are grammar only: two words with nothing between."""
    grams: Lookup
    gram_counts: npt.NDArray[np.int64]
    """[denied]: its distinct 13-grams; 0 for a shorter question."""
    asked: tuple[bytes, ...]
    """[denied]: the ids of the question's words as they stand, eight bytes each."""
    answers: tuple[tuple[bytes, ...], ...]
    """[denied]: the ids of the words of each answer that can be evidence."""

    @classmethod
    def of(cls, denied: Sequence[Denied]) -> "Index":
        """Prepare a search for copies of `denied`."""
        templates = templates_of(denied)
        clues, phrases, needed = _clues(templates)
        words = words_of([one.question for one in denied])
        asked = [words.ids[words.bounds[n] : words.bounds[n + 1]].tobytes() for n in range(len(denied))]
        starts, hashes = windows(words, GRAM)
        owners = words.texts[starts]
        grams = sorted(set(zip(hashes.tolist(), owners.tolist(), strict=True)))
        counts = np.bincount(np.array([owner for _, owner in grams], np.int64), minlength=len(denied))
        return cls(
            denied=tuple(denied),
            templates=tuple(templates),
            needed=np.array(needed, np.int64),
            reach=np.array([template.length + REGION for template in templates], np.int64),
            anywhere=np.array([template.says >= SAYS_ENOUGH for template in templates], np.bool_),
            clues=Lookup.of(clues),
            phrases=Lookup.of(phrases),
            grams=Lookup.of(grams),
            gram_counts=counts,
            asked=tuple(asked),
            answers=tuple(_answers(denied)),
        )

    def suspects(self, words: Words, asking: npt.NDArray[np.bool_]) -> list[Suspect]:
        """Texts with enough clues of a template. Templates that say little are looked for only where somebody asks."""
        content = np.flatnonzero(words.kinds == CONTENT)
        ids = words.ids[content]
        found = [self._at(content, single(ids), 0)]
        found += [self._at(content, paired(ids[:-apart], ids[apart:]), apart) for apart in range(1, APART + 1)]
        places = np.concatenate([one for one, _ in found])
        keys = np.concatenate([one for _, one in found])
        suspects = self._grouped(words, asking, *self.clues.expand(places, keys))
        if len(self.phrases.keys):
            at = self.phrases.find(paired(words.ids[:-1], words.ids[1:]))
            suspects += self._grouped(words, asking, *self.phrases.expand(*at))
        return suspects

    def _at(
        self, content: npt.NDArray[np.int64], hashes: Ids, apart: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        at, keys = self.clues.find(hashes)
        near = content[at + apart] - content[at] <= FARTHEST
        return content[at[near]], keys[near]

    def _grouped(
        self,
        words: Words,
        asking: npt.NDArray[np.bool_],
        places: npt.NDArray[np.int64],
        keys: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
    ) -> list[Suspect]:
        if not len(places):
            return []
        texts = words.texts[places]
        worth = asking[texts] | self.anywhere[numbers]
        texts, places, keys, numbers = texts[worth], places[worth], keys[worth], numbers[worth]
        if not len(places):
            return []
        order = np.lexsort((keys, numbers, texts))
        texts, numbers, keys, places = texts[order], numbers[order], keys[order], places[order]
        new = np.append(True, (texts[1:] != texts[:-1]) | (numbers[1:] != numbers[:-1]))
        distinct = new | np.append(True, keys[1:] != keys[:-1])
        begins = np.flatnonzero(new)
        enough = np.repeat(
            np.add.reduceat(distinct, begins) >= self.needed[numbers[begins]], np.diff(np.append(begins, len(texts)))
        )
        return self._close(texts[enough], numbers[enough], places[enough])

    def _close(
        self, texts: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
    ) -> list[Suspect]:
        """Those whose clues stand close together."""
        order = np.lexsort((places, numbers, texts))
        texts, numbers, places = texts[order], numbers[order], places[order]
        last = np.arange(len(texts)) + self.needed[numbers] - 1  # of as many clues as are needed, from each on
        inside = last < len(texts)
        last[~inside] = 0
        inside &= (texts[last] == texts) & (numbers[last] == numbers) & (places[last] - places <= self.reach[numbers])
        starts = np.flatnonzero(inside)
        if not len(starts):
            return []
        texts, numbers, places = texts[starts], numbers[starts], places[starts]
        begins = np.flatnonzero(np.append(True, (texts[1:] != texts[:-1]) | (numbers[1:] != numbers[:-1])))
        ends = np.append(begins[1:], len(texts))
        return [
            Suspect(text, number, tuple(places[begin:end].tolist()))
            for text, number, begin, end in zip(
                texts[begins].tolist(), numbers[begins].tolist(), begins.tolist(), ends.tolist(), strict=True
            )
        ]

    def copied(self, words: Words) -> dict[tuple[int, int], tuple[float, int]]:
        """(text, question) -> the share of the question's 13-grams that stand in the text, and where the first does."""
        starts, hashes = windows(words, GRAM)
        at, keys = self.grams.find(hashes)
        places, keys, numbers = self.grams.expand(starts[at], keys)
        texts = words.texts[places]
        seen: dict[tuple[int, int], dict[int, int]] = {}
        for text, number, key, place in zip(
            texts.tolist(), numbers.tolist(), keys.tolist(), places.tolist(), strict=True
        ):
            seen.setdefault((text, number), {}).setdefault(key, place)
        return {
            pair: (len(grams) / int(self.gram_counts[pair[1]]), min(grams.values())) for pair, grams in seen.items()
        }


def single(ids: Ids) -> Ids:
    """Clues of single words."""
    return mixed(ids ^ np.uint64(ALONE))


def paired(first: Ids, second: Ids) -> Ids:
    """Clues of two words in this order."""
    return mixed(first * MULTIPLIERS[1] + second)


def windows(words: Words, length: int) -> tuple[npt.NDArray[np.int64], Ids]:
    """Every run of `length` words within one text: where it begins, and its polynomial hash (Rabin-Karp)."""
    total = len(words.ids) - length + 1
    if total <= 0:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    hashes = np.zeros(total, np.uint64)
    for offset in range(length):
        hashes = hashes * MULTIPLIERS[0] + words.ids[offset : offset + total]
    starts = np.flatnonzero(words.texts[:total] == words.texts[length - 1 :])
    return starts, mixed(hashes[starts])


def _clues(templates: Sequence[Template]) -> tuple[list[tuple[int, int]], list[tuple[int, int]], list[int]]:
    """(hash, template) pairs of clues and of phrases, and how many of them each template needs."""
    offered = [_pairs(template) for template in templates]
    commonness = Counter(pair for pairs in offered for pair in pairs)
    clues, phrases, needed = [], [], []
    for number, (template, pairs) in enumerate(zip(templates, offered, strict=True)):
        chosen = sorted(pairs, key=lambda pair: (commonness[pair], pair))
        if template.weight == 0:
            phrases += [(pair, number) for pair in chosen]
            needed.append(max(1, len(chosen) - MOVED))
            continue
        distinct = len({word for pair in pairs for word in pair if word})
        chosen = chosen if distinct <= ALL_PAIRS else chosen[:CLUES]
        clues += [(pair, number) for pair in chosen]
        needed.append(1 if distinct <= 3 else 2 if len(chosen) < 9 or distinct <= ALL_PAIRS else 4)
    return _hashes(clues), _hashes(phrases), needed


def _hashes(numbered: Sequence[tuple[tuple[int, int], int]]) -> list[tuple[int, int]]:
    flat = np.array([pair for pair, _ in numbered], np.uint64).reshape(-1, 2)
    hashes = np.where(flat[:, 1] == 0, single(flat[:, 0]), paired(flat[:, 0], flat[:, 1]))
    return list(zip(hashes.tolist(), [number for _, number in numbered], strict=True))


def _pairs(template: Template) -> list[tuple[int, int]]:
    """The clues a template offers; (word, 0) for one that has a single word with a meaning."""
    if template.weight == 0:
        beside = zip(itertools.pairwise(template.fixed), template.slots[1:], strict=False)
        return list(dict.fromkeys(pair for pair, slots in beside if not slots))
    meant = [word for word, content in zip(template.fixed, template.content, strict=True) if content]
    distinct = list(dict.fromkeys(meant))
    if len(distinct) == 1:
        return [(distinct[0], 0)]
    if len(distinct) <= ALL_PAIRS:
        return list(itertools.permutations(distinct, 2))
    return list(dict.fromkeys(pair for pair in itertools.pairwise(meant) if pair[0] != pair[1]))


def _answers(denied: Sequence[Denied]) -> list[tuple[bytes, ...]]:
    """Answers that say something: with a word that has a meaning, or a number, of two letters or digits and more."""
    words = words_of([answer for one in denied for answer in one.answers])
    telling = ((words.kinds == CONTENT) | (words.kinds == NUMBER)) & (words.ends - words.begins > 1)
    says = np.bincount(words.texts[telling], minlength=len(words.bounds) - 1)
    ids = [words.ids[first:end].tobytes() for first, end in itertools.pairwise(words.bounds.tolist())]
    numbers = iter(range(len(ids)))
    return [tuple(ids[n] for n in itertools.islice(numbers, len(one.answers)) if says[n]) for one in denied]
