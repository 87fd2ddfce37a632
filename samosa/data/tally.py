"""What a filter counts while it works. Tallies of chunks add up to the tally of a file, however it was cut."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from samosa.data.filter import Judged

NUMBERS = ("kept", "rejected", "broken", "unread", "text", "kept_text")
COUNTERS = ("rules", "alone", "pairs")


@dataclass
class Tally:
    """Rows by what became of them."""

    kept: int = 0
    rejected: int = 0
    broken: int = 0
    """Lines that are no conversations."""
    unread: int = 0
    """Places from which a file could not be read on."""
    text: int = 0
    """Bytes of the rows that were judged."""
    kept_text: int = 0
    """Bytes of those that were kept."""
    rules: Counter[str] = field(default_factory=Counter)
    """Rows that each rule rejects."""
    alone: Counter[str] = field(default_factory=Counter)
    """Of these, rows that no other rule rejects."""
    pairs: Counter[str] = field(default_factory=Counter)
    """Rows that two rules reject, by both names with a & between them."""

    def add(self, judged: Judged) -> None:
        """Count one row."""
        size = len(judged.line) + 1
        self.text += size
        if judged.broken is not None:
            self.broken += 1
        elif not judged.reasons:
            self.kept += 1
            self.kept_text += size
        else:
            self._reject(judged)

    def _reject(self, judged: Judged) -> None:
        self.rejected += 1
        names = sorted({reason.rule for reason in judged.reasons})
        self.rules.update(names)
        if len(names) == 1:
            self.alone.update(names)
        else:
            self.pairs.update(f"{one}&{other}" for one, other in combinations(names, 2))

    @property
    def rows(self) -> int:
        """Rows that were judged."""
        return self.kept + self.rejected

    def merge(self, other: "Tally") -> None:
        """Add another tally's counts."""
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in COUNTERS:
            getattr(self, name).update(getattr(other, name))

    def fields(self) -> dict[str, Any]:
        """As JSON has it; what was counted oftener comes first."""
        plain = {name: getattr(self, name) for name in NUMBERS}
        counters = {name: _ordered(getattr(self, name)) for name in COUNTERS}
        return plain | counters

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Tally":
        """What `fields` wrote."""
        counters = {name: Counter(fields[name]) for name in COUNTERS}
        return cls(**{name: fields[name] for name in NUMBERS}, **counters)


def _ordered(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))
