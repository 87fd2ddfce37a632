"""What training rows are kept from: the questions of probes and benchmarks, as text for `samosa.data.fence`."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import PositiveInt

from samosa import home
from samosa.config import Recipe, load
from samosa.data.fence import Denied, read_denied
from samosa.errors import BadInput
from samosa.eval.probe_types import Probe
from samosa.phases.settings import Fence

JOINT, ROADMAP, FULL = "joint", "roadmap", "full"
SUITES = (JOINT, ROADMAP, FULL)


class Sample(Recipe):
    """What `--plan` looks at."""

    seed: int
    pieces: PositiveInt
    """Places in the files, spread evenly."""
    piece_kb: PositiveInt
    """How much is read at each."""


class Asked(Recipe):
    """A question of the roadmap's gates."""

    question: str
    answers: list[str]


class FenceFiles(Recipe):
    """What `samosa fence` does where the command line says nothing."""

    fence: Fence
    seed: int
    chunk_mb: PositiveInt
    """Text that a worker takes at once, in MB."""
    sample: Sample
    roadmap: list[Asked]
    """What its gates ask."""


def denied_by(settings: Fence) -> list[Denied]:
    """Every question of the suites and files that the settings name, each once.

    Paths are relative to $SAMOSA_HOME, or to here. Raises BadInput for a name that is no suite and no file, and for
    files that cannot be read as questions.
    """
    found: dict[tuple[str, tuple[str, ...]], Denied] = {}
    for name in settings.against:
        for one in _named(name, settings):
            found.setdefault((one.question, one.choices), one)
    return list(found.values())


def files_of(settings: Fence) -> list[Path]:
    """The benchmark files among what the settings name. Raises BadInput for a name that is no suite and no file."""
    return [_path(name) for name in settings.against if name not in SUITES]


def _named(name: str, settings: Fence) -> Iterator[Denied]:
    if name == JOINT:
        for seed in settings.suite_seeds:
            yield from joint(seed, settings.per_pattern)
    elif name == FULL:
        for seed in settings.suite_seeds:
            for further in range(settings.full_suites):
                yield from full(seed + further, settings.per_category)
    elif name == ROADMAP:
        recipe = load(FenceFiles, "fence")
        for number, asked in enumerate(recipe.roadmap, 1):
            yield Denied(f"roadmap-{number}", asked.question, tuple(asked.answers))
    else:
        questions = list(read_denied(_path(name)))
        if not questions:
            raise BadInput(f"--against {name}: no question in it", hint="one JSON object a line, with its question")
        yield from questions


def joint(seed: int, per_pattern: int) -> list[Denied]:
    """The joint suite of a seed as questions; what its answers and searches repeat of them may vary."""
    from samosa.eval.probes import joint_suite, question_of

    return [_denied(probe, question_of(probe)) for probe in joint_suite(seed=seed, per_pattern=per_pattern)]


@functools.cache
def full(seed: int, per_category: int) -> tuple[Denied, ...]:
    """The full suite of a seed as questions: its anchors and templates, which copies share whatever the seed.

    Of a dialogue what its user says most in: "tell me more about him" alone is no probe.
    """
    from samosa.eval.probe_types import user_turns
    from samosa.eval.suite.draw import full_suite

    probes = full_suite(seed=seed, per_category=per_category, counts={})
    return tuple(_denied(probe, max(user_turns(probe), key=len)) for probe in probes)


def _denied(probe: Probe, question: str) -> Denied:
    gold = probe.gold
    value = () if gold.value is None else (str(gold.value),)
    varies = [*gold.query_must, *gold.answer_must, *gold.answer_is]
    return Denied(probe.id, question, (*gold.answer_must, *gold.answer_is, *value), slots=_in(varies, question))


def _in(texts: Sequence[str], question: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text.casefold() in question.casefold())


def _path(name: str) -> Path:
    for path in (Path(name).expanduser(), home.root() / name):
        if path.is_file():
            return path
    hint = f"suites: {', '.join(SUITES)}; or the path of a file of questions (JSONL or parquet)"
    raise BadInput(f"--against {name}: neither a suite nor a file", hint=hint)
