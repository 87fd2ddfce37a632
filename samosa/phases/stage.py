"""Stages: the steps of a phase. Each is made once and found again by what went into it.

A stage's output lives in ``$SAMOSA_HOME/stages/<fingerprint>/``; the fingerprint covers its settings, its inputs (other
stages' fingerprints, files' contents) and a version that changes with the rules or prompts in the code. Everything in
it is relative, so a stage made on a laptop can be copied to the box that trains.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samosa import console, home
from samosa.errors import BadInput, NotReady

if TYPE_CHECKING:
    from samosa.phases.sizes import Sizer

Facts = Mapping[str, Any]
DONE = "done.json"
LEAST_SPACE = 16 * 2**20  # bytes free before a stage begins; what it writes checks for itself
ABSENT = "absent"
"""The identity of an optional input that is not there: the stage is made without it."""


@dataclass(frozen=True)
class Named:
    """An input that is not a file of its own, such as a checkpoint."""

    name: str
    identity: str | None
    """What its content hashes to; None when it is not on this machine."""


@dataclass(frozen=True)
class Done:
    """A stage's output on disk."""

    directory: Path
    fingerprint: str
    facts: Facts
    seconds: float
    cached: bool


@dataclass(frozen=True)
class Work:
    """What a running stage is given."""

    out: Path
    """An empty directory; it becomes the stage's output when `run` returns."""
    fingerprint: str
    made: Mapping[str, Done]
    """The stages among its inputs, by input name."""
    reprint: Callable[[Mapping[str, Any]], str | None] = lambda changes: None
    """The fingerprint with some settings changed."""


@dataclass(frozen=True)
class Stage:
    """One step of a phase: what it does, from what, and how to tell that it is already done."""

    name: str
    """`init:sft` is the sft of the group of stages called init; the group is no part of the fingerprint."""
    does: str
    run: Callable[[Work], Facts]
    """Writes into `work.out`; returns facts for later stages. `said` is the line a person reads; a non-zero
    `exit_code` ends the phase there with that code; `keep` false means the output is not reused."""
    inputs: Mapping[str, Stage | Path | Named] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: str = "1"
    size: Sizer | None = None
    """What it will take, for the plan."""
    still_true: Callable[[Facts], bool] = lambda facts: True
    """Whether what the facts point at outside the stage's directory (a checkpoint) is still there."""


@dataclass(frozen=True)
class Outcome:
    """What came of running stages: each stage's output, the names that really ran, and the phase's exit code."""

    done: dict[str, Done]
    ran: list[str]
    exit_code: int


class Shelf:
    """Looks up finished stages; remembers fingerprints for the length of one command.

    `travelled` names the stages that this command takes as they are (those before --from): they may have been made
    where files were that are not here.
    """

    def __init__(self, travelled: Sequence[str] = ()) -> None:
        self._travelled_names = frozenset(travelled)
        self._prints: dict[int, tuple[Stage, str]] = {}

    def fingerprint(self, stage: Stage) -> str | None:
        """The stage's fingerprint, or None while an input is missing and no finished copy says what it was."""
        known = self._prints.get(id(stage))
        if known is not None:
            return known[1]
        contents = self.contents(stage)
        print_ = None if None in contents.values() else _hash({**_recipe_of(stage), "inputs": contents})
        if stage.name in self._travelled_names and (print_ is None or read_record(home.stage_dir(print_)) is None):
            record = _travelled(stage, contents)
            print_ = print_ if record is None else str(record["fingerprint"])
        if print_ is not None:
            self._prints[id(stage)] = (stage, print_)
        return print_

    def reprint(self, stage: Stage, changes: Mapping[str, Any]) -> str | None:
        """What the stage's fingerprint would be with some settings changed; None while an input is missing."""
        contents = self.contents(stage)
        other = replace(stage, settings={**stage.settings, **changes})
        return None if None in contents.values() else _hash({**_recipe_of(other), "inputs": contents})

    def contents(self, stage: Stage) -> dict[str, str | None]:
        """What each input's content is: a fingerprint, a sha256, an identity, or None where it is missing."""
        found: dict[str, str | None] = {}
        for name, source in stage.inputs.items():
            if isinstance(source, Stage):
                found[name] = self.fingerprint(source)
            elif isinstance(source, Named):
                found[name] = source.identity
            else:
                found[name] = file_identity(source) if source.is_file() else None
        return found

    def find(self, stage: Stage) -> Done | None:
        """The stage's finished output, if it is on this machine and whole."""
        print_ = self.fingerprint(stage)
        if print_ is None:
            return None
        directory = home.stage_dir(print_)
        record = read_record(directory)
        if record is None or not stage.still_true(record["facts"]):
            return None
        return Done(directory, print_, record["facts"], record["seconds"], cached=True)


def _travelled(stage: Stage, contents: Mapping[str, str | None]) -> dict[str, Any] | None:
    """The latest finished copy of this stage with the same settings, and the same inputs as far as they are here."""
    matches = []
    for path in (home.root() / "stages").glob(f"*/{DONE}"):
        record = read_record(path.parent)
        if record is None or {key: record[key] for key in ("name", "settings", "version")} != _recipe_of(stage):
            continue
        theirs = record["inputs"]
        if theirs.keys() == contents.keys() and all(c in (None, ABSENT, theirs[name]) for name, c in contents.items()):
            matches.append(record)
    return max(matches, key=lambda record: record["made"], default=None)


def run_stages(
    stages: Sequence[Stage],
    *,
    until: str | None = None,
    start: str | None = None,
    redo: bool = False,
    shelf: Shelf | None = None,
) -> Outcome:
    """Run the stages from `start` to `until` in order, reusing what is already made unless `redo`.

    Raises BadInput for a name that is no stage and NotReady where one that they start from was not made yet.
    """
    chosen = choose(stages, until=until, start=start)
    shelf = shelf or Shelf([stage.name for stage in stages if stage not in chosen])
    started_from = [source for stage in chosen for source in stage.inputs.values() if isinstance(source, Stage)]
    outcome = Outcome({}, [], 0)
    for stage in [stage for stage in stages if stage in started_from and stage not in chosen]:
        found = shelf.find(stage)
        if found is None:
            where = home.root() / "stages"
            raise NotReady(
                f"{stage.name} comes before {chosen[0].name} and was not made on this machine",
                hint=f"run it without --from first, or with --until {stage.name} instead of --from, "
                f"or copy {where} from where it ran",
            )
        outcome.done[stage.name] = found
        if code := int(found.facts.get("exit_code", 0)):
            console.say(line(stage, found))
            return Outcome(outcome.done, outcome.ran, code)
    for stage in chosen:
        found = None if redo else shelf.find(stage)
        if found is None:
            console.say(f"· {stage.name:<14} {stage.does}")
            found = make(stage, outcome.done, shelf)
            outcome.ran.append(stage.name)
        outcome.done[stage.name] = found
        code = int(found.facts.get("exit_code", 0))
        console.say(line(stage, found))
        if code:
            return Outcome(outcome.done, outcome.ran, code)
    return outcome


def choose(stages: Sequence[Stage], *, until: str | None = None, start: str | None = None) -> list[Stage]:
    """The stages from `start` to `until`, both included. Raises BadInput for an unknown name or an empty choice."""
    names = [stage.name for stage in stages]
    for flag, value in [("--until", until), ("--from", start)]:
        if value is not None and value not in names:
            raise BadInput(f"{flag} {value}: no such stage", hint=f"stages: {', '.join(names)}")
    first = 0 if start is None else names.index(start)
    last = len(names) - 1 if until is None else names.index(until)
    if first > last:
        raise BadInput(f"--from {start} comes after --until {until}", hint=f"stages in order: {', '.join(names)}")
    return list(stages[first : last + 1])


def make(stage: Stage, made: Mapping[str, Done], shelf: Shelf) -> Done:
    """Run one stage into a directory beside its place and move it there when it is whole."""
    inputs = {name: made[source.name] for name, source in stage.inputs.items() if isinstance(source, Stage)}
    print_ = shelf.fingerprint(stage)
    if print_ is None:
        missing = [name for name, content in shelf.contents(stage).items() if content is None]
        raise NotReady(
            f"{stage.name} needs {', '.join(missing)}, not on this machine",
            hint="`--plan` shows every input and where it is looked for",
        )
    final = home.stage_dir(print_)
    making = final.parent / f".making-{print_}-{os.getpid()}"
    _sweep(final.parent, print_)
    home.require_space(final.parent, LEAST_SPACE)
    home.make_folder(making)
    began = time.monotonic()
    try:
        facts = dict(stage.run(Work(making, print_, inputs, lambda changes: shelf.reprint(stage, changes))))
        seconds = time.monotonic() - began
        if not facts.get("keep", True):
            return Done(making, print_, facts, seconds, cached=False)
        record = {
            **_recipe_of(stage),
            "fingerprint": print_,
            "inputs": shelf.contents(stage),
            "files": {str(path.relative_to(making)): path.stat().st_size for path in _files(making)},
            "facts": facts,
            "seconds": round(seconds, 3),
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        home.write_atomic(making / DONE, json.dumps(record, indent=1, sort_keys=True))
        _put_in_place(making, final)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Done(final, print_, facts, seconds, cached=False)


def line(stage: Stage, done: Done) -> str:
    """The one line a person reads about a finished stage."""
    said = done.facts.get("said") or stage.does
    mark = "✗" if done.facts.get("exit_code") else "✓"
    return f"{mark} {stage.name:<14} {said}   {'from cache' if done.cached else console.clock(done.seconds)}"


def read_record(directory: Path) -> dict[str, Any] | None:
    """A stage's done.json, or None when the stage is unfinished or was copied only in part."""
    try:
        record = json.loads((directory / DONE).read_text(encoding="utf-8"))
        sizes = {name: (directory / name).stat().st_size for name in record["files"]}
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, KeyError, TypeError):
        return None
    return record if sizes == record["files"] else None


def file_identity(path: Path) -> str:
    """sha256 of a file's content, computed once per command for each version of the file."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified: int) -> str:
    return home.sha256_file(path)


def _recipe_of(stage: Stage) -> dict[str, Any]:
    settings = json.loads(json.dumps(stage.settings, sort_keys=True))
    return {"name": stage.name.split(":")[-1], "settings": settings, "version": stage.version}


def _hash(obj: object) -> str:
    return hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()[:20]


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _put_in_place(making: Path, final: Path) -> None:
    old = final.with_name(f".making-{final.name}-{os.getpid()}-old")
    if final.exists():  # redone, or copied only in part
        final.rename(old)
    making.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _sweep(stages: Path, print_: str) -> None:
    """Remove what killed runs of this stage left behind."""
    for path in stages.glob(f".making-{print_}-*"):
        pid = int(path.name.split("-")[2])
        if pid == os.getpid() or not home.alive(pid):
            shutil.rmtree(path, ignore_errors=True)
