"""What a filter did, counted while it runs: rates, overlaps, lengths and a bounded sample of examples.

Each chunk has a tally of its own; `merge` adds them up, and the sum does not depend on their order or number. Examples
are those whose lines have the smallest seeded hashes, so they are the same however the work was divided.
"""

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from operator import itemgetter
from typing import Any

import xxhash

from samosa.data.filter.layouts import Message, decode, messages_of
from samosa.data.filter.near import NearMisses
from samosa.data.filter.rules import RuleSet
from samosa.data.filter.sorting import Judged, Reason

EXAMPLES = 8
"""Kept of every rule, and of the broken lines."""
NEAR_EXAMPLES = 4
LOOK_AT_FIRST = 200
"""Kept rows of a thorough tally that are searched for near misses, before it looks at every LOOK_EVERY-th only."""
LOOK_EVERY = 1000
STEPS = 8
"""Lengths are counted in buckets, this many to a doubling."""
AROUND = 160  # characters shown on either side of a match
SHOWN = 400  # characters of a match, or of a turn that is wrong as a whole
ASKED = 240  # characters of the question
HELD = 1 << 16  # bytes of a row that may wait to be written out as an example
_LATER = "later"


@dataclass
class Hits:
    """What one rule did: rows it rejects, rows that no other rule rejects, and examples."""

    rows: int = 0
    alone: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Source:
    """One source's rows, and how many of them each rule rejects."""

    rows: int = 0
    kept: int = 0
    broken: int = 0
    hits: dict[str, int] = field(default_factory=dict)


@dataclass
class Totals:
    """Everything a report needs. `bytes` are those of the lines read, told by who reads them; `overlaps` counts rows by
    pair of rules, "first rule|second rule" in their order; `before` and `after` count rows by bucket of the length of
    their answers, all rows and kept ones; `looked` is how many kept rows were searched for near misses.
    """

    bytes: int = 0
    rules: dict[str, Hits] = field(default_factory=dict)
    overlaps: dict[str, int] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    before: dict[int, int] = field(default_factory=dict)
    after: dict[int, int] = field(default_factory=dict)
    looked: int = 0
    near: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    broken: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(source.rows for source in self.sources.values())

    @property
    def kept(self) -> int:
        return sum(source.kept for source in self.sources.values())

    @property
    def broken_rows(self) -> int:
        return sum(source.broken for source in self.sources.values())

    @property
    def rejected(self) -> int:
        return self.rows - self.kept - self.broken_rows


class Tally:
    """Counts one chunk's rows as they are judged; `thorough` looks for near misses in more of them."""

    def __init__(self, rules: RuleSet, source: str, *, seed: int, thorough: bool) -> None:
        self.totals = Totals(rules={rule.name: Hits() for rule in rules.rules})
        self.source = self.totals.sources[source] = Source()
        self.name, self.seed = source, seed
        self.near = NearMisses(rules)
        self._kept = 0
        self._look_at_first = LOOK_AT_FIRST if thorough else 0
        self._next_look = 1 if thorough else LOOK_EVERY
        self._lengths: list[int] = []  # of kept rows; -1 is none
        self._lost: list[int] = []  # of rejected ones
        self._together: list[tuple[str, ...]] = []  # and the rules that reject them

    def add(self, judged: Judged) -> None:
        """Count one row."""
        if judged.broken is not None:
            self._add_broken(judged)
        elif judged.reasons:
            self._lost.append(judged.length)
            self._add_reasons(judged)
        elif self.keep([judged.length]):
            self.look(judged.where, judged.line)

    def keep(self, lengths: Sequence[int]) -> list[int]:
        """Count kept rows by the lengths of their answers, in characters; -1 is none. Tells the places of those to
        `look` at.
        """
        before = self._kept
        self._lengths += lengths
        self._kept += len(lengths) - lengths.count(-1)
        if self._next_look > self._kept:
            return []
        kept = [place for place, length in enumerate(lengths) if length >= 0]
        due = []
        while self._next_look <= self._kept:
            due.append(kept[self._next_look - before - 1])
            self._next_look += 1 if self._next_look < self._look_at_first else LOOK_EVERY
        return due

    def look(self, where: int, line: bytes) -> None:
        """Search a kept row for near misses."""
        self.totals.looked += 1
        found = self.near.of(line)
        if not found:
            return
        priority = _priority(line, self.seed)
        messages: list[Message] | None = None
        for reason in found:
            examples = self.totals.near.setdefault(reason.rule, [])
            if _enters(examples, priority, NEAR_EXAMPLES):
                messages = messages or messages_of(decode(line))
                _keep(examples, _example(messages, reason, priority, self.name, where), NEAR_EXAMPLES)

    def as_dict(self) -> dict[str, Any]:
        """The tally as JSON has it."""
        totals, source = self.totals, self.source
        self._count_reasons()
        for hits in totals.rules.values():  # most that enter leave again: only those that stay are written out
            hits.examples = [_written(example) if _LATER in example else example for example in hits.examples]
        source.kept = self._kept
        source.rows = self._kept + len(self._lost) + source.broken
        totals.after, totals.before = _buckets(self._lengths), _buckets(self._lost)
        _add(totals.before, totals.after)
        said = dict(vars(totals))  # dataclasses.asdict copies every text of every example
        said["rules"] = {name: dict(vars(hits)) for name, hits in totals.rules.items()}
        said["sources"] = {name: dict(vars(own)) for name, own in totals.sources.items()}
        return said

    def _add_broken(self, judged: Judged) -> None:
        self.source.broken += 1
        priority = _priority(judged.line, self.seed)
        if _enters(self.totals.broken, priority, EXAMPLES):
            text = judged.line[:SHOWN].decode("utf-8", errors="backslashreplace")
            example = {"priority": priority, "source": self.name, "where": judged.where, "why": judged.broken}
            _keep(self.totals.broken, {**example, "before": text}, EXAMPLES)

    def _add_reasons(self, judged: Judged) -> None:
        first: dict[str, Reason] = {}
        for reason in judged.reasons:
            if reason.rule not in first:
                first[reason.rule] = reason
        self._together.append(tuple(first))
        priority = _priority(judged.line, self.seed)
        for name, reason in first.items():
            if name not in self.totals.rules:
                self.totals.rules[name] = Hits()  # a rule out of time is none of the set
            examples = self.totals.rules[name].examples
            if _enters(examples, priority, EXAMPLES):
                also = [other for other in first if other != name]
                known = {
                    "priority": priority,
                    "source": self.name,
                    "where": judged.where,
                    _LATER: (judged, reason, also),
                }
                _keep(examples, known if len(judged.line) < HELD else _written(known), EXAMPLES)

    def _count_reasons(self) -> None:
        """Count rows by rule and by pair of rules."""
        rules, hit = self.totals.rules, self.source.hits
        for names, rows in Counter(self._together).items():
            for name in names:
                hit[name] = hit.get(name, 0) + rows
                rules[name].rows += rows
                rules[name].alone += rows if len(names) == 1 else 0
            _add(self.totals.overlaps, {"|".join(sorted(pair)): rows for pair in combinations(names, 2)})
        self._together.clear()


def merge(tallies: Iterable[dict[str, Any]]) -> Totals:
    """Add tallies up, as `Tally.as_dict` or JSON gives them: the same sum in any order."""
    whole = Totals()
    for part in tallies:
        whole.bytes += part["bytes"]
        whole.looked += part["looked"]
        for name, found in part["rules"].items():
            hits = whole.rules.setdefault(name, Hits())
            hits.rows += found["rows"]
            hits.alone += found["alone"]
            for example in found["examples"]:
                _keep(hits.examples, example, EXAMPLES)
        for name, found in part["sources"].items():
            source = whole.sources.setdefault(name, Source())
            source.rows += found["rows"]
            source.kept += found["kept"]
            source.broken += found["broken"]
            _add(source.hits, found["hits"])
        _add(whole.overlaps, part["overlaps"])
        _add(whole.before, {int(bucket): count for bucket, count in part["before"].items()})
        _add(whole.after, {int(bucket): count for bucket, count in part["after"].items()})
        for name, examples in part["near"].items():
            for example in examples:
                _keep(whole.near.setdefault(name, []), example, NEAR_EXAMPLES)
        for example in part["broken"]:
            _keep(whole.broken, example, EXAMPLES)
    return whole


def bucket_start(bucket: int) -> int:
    """The least length, in characters, that a bucket counts."""
    return math.ceil(2 ** (bucket / STEPS)) - 1


def _buckets(lengths: list[int]) -> dict[int, int]:
    """How many lie in each bucket; sorted, they are counted by where buckets begin: a fifth of looking at each."""
    lengths = sorted(lengths)
    found, place = dict[int, int](), bisect_left(lengths, 0)
    while place < len(lengths):
        bucket = math.floor(STEPS * math.log2(lengths[place] + 1))
        end = bisect_left(lengths, bucket_start(bucket + 1), place)
        found[bucket], place = end - place, end
    return found


def _add(into: dict[Any, int], counts: dict[Any, int]) -> None:
    for name, count in counts.items():
        into[name] = into.get(name, 0) + count


def _priority(line: bytes, seed: int) -> int:
    """Equal lines are one example, wherever they stand."""
    return xxhash.xxh3_64_intdigest(line, seed=seed)


def _enters(examples: list[dict[str, Any]], priority: int, most: int) -> bool:
    if len(examples) >= most and priority >= examples[-1]["priority"]:
        return False
    return all(example["priority"] != priority for example in examples)


def _keep(examples: list[dict[str, Any]], new: dict[str, Any], most: int) -> None:
    """Keep the `most` examples of the smallest priorities, in their order; of equal ones that which comes first."""
    rank = (new["priority"], new["source"], new["where"])
    for place, old in enumerate(examples):
        if old["priority"] == new["priority"]:
            if rank < (old["priority"], old["source"], old["where"]):
                examples[place] = new
            return
    insort(examples, new, key=itemgetter("priority"))
    del examples[most:]


def _written(known: dict[str, Any]) -> dict[str, Any]:
    """An example of a rejected row, written out."""
    judged, reason, also = known[_LATER]
    example = _example(messages_of(judged.row), reason, known["priority"], known["source"], known["where"])
    return {**example, "also": also}


def _example(messages: Sequence[Message], reason: Reason, priority: int, source: str, where: int) -> dict[str, Any]:
    """A match with the words around it and the question before it; a turn's beginning where all of it is meant."""
    text = messages[reason.turn].text
    asked = next((m.text for m in reversed(messages[: reason.turn]) if m.role == "user"), "")
    start, end = (0, 0) if reason.start is None or reason.end is None else (reason.start, reason.end)
    after = AROUND if end else SHOWN
    return {
        "priority": priority,
        "source": source,
        "where": where,
        "turn": reason.turn,
        "why": reason.why,
        "asked": asked[:ASKED],
        "asked_cut": len(asked) > ASKED,
        "before": text[max(0, start - AROUND) : start],
        "before_cut": start > AROUND,
        "match": text[start : min(end, start + SHOWN)],
        "match_cut": end - start > SHOWN,
        "after": text[end : end + after],
        "after_cut": len(text) > end + after,
    }
