"""Adding text shards to a folder: sorted by seed, numbered on from the last, put in place and in the register, once."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from samosa import console, home
from samosa.chat.tokenizer import Tokenizer
from samosa.console import clock
from samosa.data import parallel, shards
from samosa.data.manifest import Chunk, chunks_of, format_of
from samosa.data.parallel import Result
from samosa.data.tokens import making, placing, register, sorting
from samosa.data.tokens.placing import SHARD, Run, Shard, shard_name
from samosa.data.tokens.reading import footer_of
from samosa.data.tokens.register import Role
from samosa.data.tokens.settings import Tokenize
from samosa.data.tokens.shard import token_folder, write_token_shard
from samosa.data.tokens.sorting import Stretch
from samosa.errors import BadInput, NotReady
from samosa.phases.init import sampled

VERSION = "1"  # raise it when the same text gives other shards
MB = 1_000_000
VALIDATION = "validation.json"  # the plan of what is held out
DISK = 2  # bytes for a byte of text: sorted 1, parquet 0.4, ids 0.5
STRETCH = 4  # bytes of text in a byte of zst or gz, about


@dataclass
class Job:
    """One set of files to add to the shards."""

    cfg: Tokenize
    files: list[Path]
    tokenizer: Tokenizer
    workers: int
    planning: bool = False
    """Nothing is to be made, so the files need not be read to know them again, unless their sizes are known."""

    def __post_init__(self) -> None:
        self.folder = folder_of(self.cfg)
        self.apart = [self.folder / name for name in dict.fromkeys([self.cfg.validation, *self.cfg.aside])]
        self.kept_out = [path for path in self.apart if path.is_file()]
        self.inputs: list[dict[str, Any]] = [
            {"path": str(path.absolute()), "bytes": path.stat().st_size} for path in self.files
        ]
        self.found = self._earlier()

    @property
    def validation(self) -> Path:
        return self.folder / self.cfg.validation

    def first(self, asked: int | None) -> int:
        """The number of the first shard. Raises as `placing.next_number` does, and what stands in the way of a run."""
        run = self.found
        if run.shards:
            number = min(int(match[1]) for shard in run.shards if (match := SHARD.fullmatch(shard.name)))
            if asked not in (None, number):
                what = "are" if run.done else "are being made"
                raise BadInput(
                    f"--first-shard {asked}: these files {what} shards from {number} on already",
                    hint=f"--first-shard {number}, or leave it out",
                )
            return number
        self._makes_validation()
        if (other := placing.unfinished(self.cfg.folder, run.key)) is not None:
            paths = " ".join(str(entry["path"]) for entry in other.inputs)
            raise BadInput(
                f"other files are only partly in {self.folder}", hint=f"finish them first: samosa tokenize {paths}"
            )
        names = [path.name for path in self.apart]
        return placing.next_number(self.folder, first=self.cfg.first_shard, aside=names, asked=asked)

    def add(self, asked: int | None) -> Run:
        """Make the text shards and token shards that are not in their place yet; the run is done then."""
        run, first = self.found, self.first(asked)
        if run.done:
            gone = [shard.name for shard in run.shards if not (self.folder / shard.name).is_file()]
            if gone:
                raise NotReady(
                    f"{gone[0]} was made of these files and is not in {self.folder}",
                    hint=f"fetch it again, or make all of them anew: rm {run.work.with_suffix('.json')}",
                )
            console.say(f"✓ these files are {numbers(run.shards)} already")
            return run
        makes_validation = any(s.role == "validation" for s in run.shards) if run.shards else self._makes_validation()
        before = self._untouched()
        self._forget_abandoned()
        try:
            planned, parts = self._made(run, first, makes_validation)
        except BadInput:
            self.clear(run)  # the files have to change, and then none of it is of use
            raise
        if not run.shards:
            run.shards = [_shard(part, parts[part.whole], first, self.cfg.validation) for part in planned]
            run.save()
        run.place([parts[part.whole].folder / sorting.TEXT_SHARD for part in planned])
        for shard, part in zip(run.shards, planned, strict=True):
            if not self._tokens_of(shard).is_dir():
                self._write_tokens(shard, [parts[piece].folder for piece in part.pieces])
        register.prove_untouched(before, workers=self.workers)
        console.say(f"✓ {len(before)} older files untouched: bytes, sha256 and time are as before")
        run.done = True
        run.save()
        return run

    def _tokens_of(self, shard: Shard) -> Path:
        return token_folder(self.folder / shard.name, self.tokenizer.hash)

    def _write_tokens(self, shard: Shard, pieces: Sequence[Path]) -> None:
        text = {"name": shard.name, "bytes": shard.bytes, "sha256": shard.sha256}
        write_token_shard(self._tokens_of(shard), pieces, tokenizer=self.tokenizer, text=text)
        for piece in pieces:
            shutil.rmtree(piece)  # its disk is needed for the next

    def placed(self, run: Run) -> list[Path]:
        """Where the run's shards lie."""
        return [self.folder / shard.name for shard in run.shards]

    def clear(self, run: Run) -> None:
        """Remove what was only needed on the way."""
        shutil.rmtree(run.work, ignore_errors=True)

    def _earlier(self) -> Run:
        """The run of these files as it was left, or a new one. A validation file of its own is no input of a run."""
        sizes = sorted(entry["bytes"] for entry in self.inputs)
        if self.planning and not any(sizes == sorted(e["bytes"] for e in run.inputs) for run in placing.all_runs()):
            return Run("", self.cfg.folder, self.inputs)
        console.live_line("  reading the files to know them again")
        with ThreadPoolExecutor(self.workers) as threads:  # hashing lets go of the interpreter
            for entry, sha256 in zip(self.inputs, threads.map(home.sha256_file, self.files), strict=True):
                entry["sha256"] = sha256
        others = [path for path in self.kept_out if path != self.validation]
        for kept_out in (others, self.kept_out):
            run = Run.load(self._key(kept_out))
            if run is not None and (kept_out == self.kept_out or any(s.role == "validation" for s in run.shards)):
                self.kept_out = kept_out
                return run
        return Run(self._key(self.kept_out), self.cfg.folder, self.inputs)

    def _key(self, kept_out: Sequence[Path]) -> str:
        cfg = self.cfg
        decides = cfg.model_dump(include={
            "folder", "first_shard", "validation", "hold_out", "shard_characters", "row_group", "compression_level",
            "column", "seed",
        })  # fmt: skip
        contents = sorted(entry["sha256"] for entry in self.inputs)
        known = sorted(sampled(path) for path in kept_out)
        text = json.dumps([VERSION, decides, contents, known], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _makes_validation(self) -> bool:
        """Whether this run makes the validation file. Raises where it neither is there nor may be made."""
        cfg, name = self.cfg, self.cfg.validation
        if self.validation.is_file():
            if cfg.hold_out is not None and name not in register.validation_names(self.folder):
                raise BadInput(
                    f"hold_out: {self.validation} is there and was not made by samosa tokenize",
                    hint="leave hold_out out, or make another file: --set validation=validation_00040.parquet",
                )
            return False
        if cfg.hold_out is None:
            raise NotReady(
                f"the validation file {name} is not in {self.folder}, so its documents cannot be kept out",
                hint="copy it there, or hold out a share of these documents: "
                "--set validation=validation_00040.parquet --set hold_out=0.001",
            )
        if SHARD.fullmatch(name):
            raise BadInput(
                f"validation = {name!r} is a shard's name, which a file made by hold_out must not have",
                hint="--set validation=validation_00040.parquet",
            )
        return True

    def _untouched(self) -> list[register.Entry]:
        """Every older shard and validation file as it is, in the register."""
        files: dict[Path, Role] = dict.fromkeys(sorted(self.folder.glob("shard_*.parquet")), "shard")
        files |= {path: "validation" for path in self.apart if path.is_file()}
        mine = {self.folder / shard.name for shard in self.found.shards}
        files = {path: role for path, role in files.items() if path not in mine}
        return register.check_files(files, workers=self.workers, tell=console.live_line)

    def _made(self, run: Run, first: int, makes_validation: bool) -> tuple[list[Stretch], dict[Chunk, Result]]:
        """Sort the documents, and write them as parquet and as ids, all in the run's work folder."""
        cfg, work = self.cfg, run.work
        runs = self._sorted(run)
        planned = sorting.plan_shards(runs[sorting.TRAINING], work / "shards.json", characters=cfg.shard_characters)
        if not planned:
            raise BadInput("there is no document to train on in these files", hint=left_out(run.counts))
        if makes_validation:
            held = sorting.plan_shards(runs[sorting.HELD], work / VALIDATION, characters=sys.maxsize)
            if not held:
                raise BadInput("not one document is held out for validation", hint="raise it: --set hold_out=0.01")
            planned += held
        make = partial(
            making.make_part,
            row_group=cfg.row_group, level=cfg.compression_level, tokenizer_dir=home.tokenizer_dir(),
        )  # fmt: skip
        encoded = {shard.name for shard in run.shards if self._tokens_of(shard).is_dir()}  # before a stop
        names = [_name(part, first, cfg.validation) for part in planned]
        chunks = [part.whole for part in planned]
        chunks += [p for part, name in zip(planned, names, strict=True) if name not in encoded for p in part.pieces]
        key = f"{run.key} {self.tokenizer.hash}"
        progress = watch("shards written and encoded", len(chunks))
        results = parallel.map_chunks(make, chunks, work / "made", key=key, workers=self.workers, progress=progress)
        return planned, {result.chunk: result for result in results}

    def _sorted(self, run: Run) -> dict[str, list[Path]]:
        """The documents as sorted runs, those to train on and those held out."""
        cfg, work, size = self.cfg, run.work, self.cfg.chunk_mb * MB
        there = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())  # before a stop
        home.require_space(work, int(DISK * sum(map(text_bytes, self.files))) - there)
        digests = work / "kept_out.npy"
        if not digests.is_file():
            sorting.write_digests(lambda: shards.documents(self.kept_out), digests)
        chunks = chunks_of(self.files, chunk_bytes=size)
        sort = partial(
            sorting.sort_chunk,
            column=cfg.column, seed=cfg.seed, hold_out=cfg.hold_out or 0.0, kept_out=digests, run_bytes=size,
        )  # fmt: skip
        progress = watch("pieces of text sorted", len(chunks))
        parts = parallel.map_chunks(sort, chunks, work / "sorted", key=run.key, workers=self.workers, progress=progress)
        run.counts = {
            name: sum(part.counts[name] for part in parts)
            for name in ("documents", "characters", "held_out", "kept_out", "empty")
        }
        return {
            name: [sorting.run_file(part.folder, name, i) for part in parts for i in range(part.counts[name])]
            for name in (sorting.TRAINING, sorting.HELD)
        }

    def _forget_abandoned(self) -> None:
        """Remove what stopped runs left a day ago and never came back for: it may be as large as their text."""
        for left in placing.runs_folder().glob("*"):
            old = left.is_dir() and time.time() - left.stat().st_mtime > parallel.STALE
            if old and left.name != self.found.key and not left.with_suffix(".json").exists():
                console.say(f"removing {left}, which a stopped run left")
                shutil.rmtree(left, ignore_errors=True)


def folder_of(cfg: Tokenize) -> Path:
    """Where the text shards lie."""
    return home.root() / cfg.folder


def watch(what: str, total: int) -> Callable[[Result | None], None]:
    """Progress of work on chunks, as one line."""
    began, done, cached = time.monotonic(), 0, 0

    def see(result: Result | None) -> None:
        nonlocal done, cached
        if result is not None:
            done += 1
            cached += result.cached
        line = f"  {what}: {done} of {total}"
        if done > cached and done < total:
            line += f", {clock((total - done) * (time.monotonic() - began) / (done - cached))} to go"
        console.live_line(line)

    return see


def left_out(counts: dict[str, int]) -> str:
    return (
        f"left out: {counts.get('kept_out', 0):,} documents that a validation file has, "
        f"{counts.get('held_out', 0):,} held out, {counts.get('empty', 0):,} without a character"
    )


def numbers(made: Sequence[Shard]) -> str:
    names = [shard.name for shard in made if shard.role == "shard"]
    several = f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]
    held = [shard.name for shard in made if shard.role == "validation"]
    return several + (f" and {held[0]}" if held else "")


def text_bytes(path: Path) -> int:
    """About how many bytes of text a file holds; of compressed lines a guess. Raises BadInput for broken parquet."""
    found = format_of(path)
    if found == "parquet":
        footer = footer_of(path)
        return sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
    return path.stat().st_size * (1 if found == "plain" else STRETCH)


def _shard(part: Stretch, written: Result, first: int, validation: str) -> Shard:
    role: Role = "validation" if part.whole.path.name == VALIDATION else "shard"
    return Shard(name=_name(part, first, validation), role=role, **written.counts)


def _name(part: Stretch, first: int, validation: str) -> str:
    """What a shard is called in its place: by number, or as the recipe names what is held out."""
    return validation if part.whole.path.name == VALIDATION else shard_name(first + part.whole.index)
