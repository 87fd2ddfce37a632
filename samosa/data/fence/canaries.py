"""Copies planted among the rows of every run: a fence that does not find them does not work, and says so."""

import random
import re
from collections.abc import Sequence

from samosa.data.fence.denied import Denied
from samosa.data.fence.fence import Fence, Match
from samosa.data.fence.templates import SAYS_LITTLE, templates_of
from samosa.errors import SamosaError

KNOWN = Denied(
    "canary",
    "Old Bertram keeps 14 lanterns in a shed near Grimsby and lights 9 of them each evening. "
    "If every lantern burns 3 litres of oil, how many litres do the lanterns burn in 5 evenings?",
    ("135",),
)
"""Denied in every run, and planted with other names and numbers."""
DECOY = "Tell me which lantern to take along on a walk, and how one keeps its glass clean in the evening."
NAMES = {"Bertram": "Philippa", "Grimsby": "Port Said"}
MOST = 12  # questions of the list that are planted besides


def canaries(denied: Sequence[Denied], *, seed: int) -> list[tuple[Denied, str]]:
    """Questions, and texts that copy them: the known one with all changed, others of the list in other letters."""
    rng = random.Random(f"canaries:{seed}")
    usable = sorted({number for t in templates_of(denied) if t.weight and t.says >= SAYS_LITTLE for number in t.denied})
    chosen = rng.sample(usable, min(MOST, len(usable)))
    return [
        (KNOWN, _disguised(KNOWN.question, rng)),
        *((denied[n], _shuffled(denied[n].question, rng)) for n in chosen),
    ]


def plant(fence: Fence, planted: Sequence[tuple[Denied, str]], rows: Sequence[object]) -> list[list[Match]]:
    """What `fence` finds in `rows`, looked at together with the planted copies.

    Raises SamosaError when a copy is not found among them, or when what is no copy is.
    """
    hidden = [_row(text) for _, text in planted]
    *found, decoy = fence.check([*rows, *hidden, _row(DECOY)])
    for (denied, text), matches in zip(planted, found[len(rows) :], strict=True):
        if not matches:
            raise SamosaError(
                f"a planted copy of {denied.id} was not found: {text[:120]!r}",
                hint="nothing was written; this is a fault of samosa's, and the list that shows it is worth keeping",
            )
    if any(match.denied == KNOWN.id for match in decoy):
        raise SamosaError(
            "a text that copies nothing was found to", hint="nothing was written; this is a fault of samosa's"
        )
    return [list(matches) for matches in found[: len(rows)]]


def _row(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "I see."}]}


def _disguised(text: str, rng: random.Random) -> str:
    """Other numbers, other names, the last clause first, in capitals or not."""
    for name, other in NAMES.items():
        text = text.replace(name, other)
    text = re.sub(r"\d+", lambda match: str(rng.randint(2, 99)), text)
    story, asked = text.split(" If ")
    condition, question = asked.rstrip("?").split(", ", 1)
    text = f"{story} {question[:1].upper()}{question[1:]} if {condition}?"
    return rng.choice([text, text.upper(), text.lower()])


def _shuffled(text: str, rng: random.Random) -> str:
    """The same words in other letters, with other gaps."""
    return re.sub(r"\s+", lambda match: rng.choice([" ", "  ", "\n"]), rng.choice([str.upper, str.lower])(text))
