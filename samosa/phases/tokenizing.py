"""`samosa tokenize`: text into numbered parquet shards and token shards, once, and proof that older shards are as they
were."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samosa import console, home
from samosa.chat.tokenizer import Tokenizer, load_tokenizer
from samosa.config import Options, load
from samosa.console import clock
from samosa.data import parallel, shards
from samosa.data.manifest import chunks_of, format_of
from samosa.data.tokens import making, placing
from samosa.data.tokens.placing import Run
from samosa.data.tokens.settings import Tokenize
from samosa.data.tokens.shard import HEADER, token_folder
from samosa.errors import BadInput, NotReady
from samosa.phases.text_shards import MB, Job, folder_of, left_out, numbers, watch

LEFT_OUT = ("kept_out", "held_out", "empty")
KINDS = ("*.jsonl", "*.jsonl.zst", "*.jsonl.gz", "*.parquet")


def run(
    options: Options, *, inputs: Sequence[str] = (), first_shard: int | None = None, workers: int | None = None
) -> int:
    """Make shards of files and pulled sources, or only token shards of text shards; returns the exit code.

    Raises BadInput for rows without text and a number that is not next, NotReady for files that are missing, a disk
    that is full and shards that are not what the register says.
    """
    cfg = load(Tokenize, "tokenize", recipe=options.recipe, sets=options.sets)
    files = files_of(inputs, cfg)
    tokenizer, hands = load_tokenizer(home.tokenizer_dir()), workers or parallel.default_workers()
    if any(path.absolute().parent == folder_of(cfg) for path in files):
        return _only_tokens(options, cfg, files, tokenizer, hands)
    if options.plan:
        from samosa.phases.tokenizing_plan import show_plan

        job = Job(cfg, files, tokenizer, hands, planning=True)
        return show_plan(options, job, job.first(first_shard))
    with placing.only_one():
        began = time.monotonic()
        job = Job(cfg, files, tokenizer, hands)
        made = job.add(first_shard)
        _make_tokens(job.placed(made), tokenizer, hands)
        job.clear(made)
        return _tell(options, made, cfg, tokenizer, seconds=time.monotonic() - began)


def files_of(inputs: Sequence[str], cfg: Tokenize) -> list[Path]:
    """The files meant by paths, folders and names of pulled sources. Raises BadInput for what is none of them."""
    files: list[Path] = []
    for name in inputs:
        path, pulled = Path(name), home.root() / cfg.pulled / name
        if path.is_file():
            files.append(path)
            continue
        place = path if path.is_dir() else pulled
        found = sorted(file for kind in KINDS for file in place.glob(kind))
        if not found:
            raise _nothing(name, place)
        files += found
    resolved = [path.resolve() for path in files]
    for path in resolved:
        if resolved.count(path) > 1:
            raise BadInput(f"{path} is named twice", hint="name every file once")
    return files


def _nothing(name: str, place: Path) -> BadInput | NotReady:
    from samosa.data.sources.registry import known_sources

    if place.is_dir():
        return BadInput(f"{place} has no files of text", hint=f"text lies in files called {', '.join(KINDS)}")
    if name in known_sources():
        return NotReady(f"source {name} is not on this machine", hint=f"samosa pull {name}")
    hint = "name JSONL or parquet files, a folder of them, or a source: samosa pull --plan lists those"
    return BadInput(f"{name} does not exist", hint=hint)


def _only_tokens(options: Options, cfg: Tokenize, files: list[Path], tokenizer: Tokenizer, workers: int) -> int:
    """Token shards of text shards that are in their place."""
    folder = folder_of(cfg)
    for path in files:
        if path.absolute().parent != folder:
            raise BadInput(
                f"{path} is no text shard of {folder}, and other files named are", hint="tokenize them apart"
            )
        if format_of(path) != "parquet":
            raise BadInput(f"{path} is no parquet", hint=f"in {folder} lie text shards and nothing else")
    shards.require_column(files)
    began = time.monotonic()
    if options.plan:
        left = [path.name for path in files if not token_folder(path, tokenizer.hash).is_dir()]
        console.say(f"{len(files) - len(left)} of {len(files)} shards have token shards of this tokenizer")
        if options.json:
            console.emit_json({"plan": True, "missing": left})
        return 0
    with placing.only_one():
        _make_tokens(files, tokenizer, workers)
    headers = [_header(path, tokenizer) for path in files]
    console.say(f"✓ token shards of {len(files)} text shards in {clock(time.monotonic() - began)}")
    if options.json:
        console.emit_json({"tokenizer": tokenizer.hash, "shards": headers})
    console.say("next: samosa cpt --plan")
    return 0


def _make_tokens(paths: Sequence[Path], tokenizer: Tokenizer, workers: int) -> None:
    left = [path for path in paths if not token_folder(path, tokenizer.hash).is_dir()]
    if not left:
        return
    total = len(chunks_of(left, chunk_bytes=making.PIECE_BYTES))
    making.make_token_shards(
        left,
        placing.runs_folder() / "pieces",
        tokenizer_dir=home.tokenizer_dir(),
        workers=workers,
        progress=watch("pieces tokenized", total),
    )


def _header(path: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    header = json.loads((token_folder(path, tokenizer.hash) / HEADER).read_text())
    return {"name": path.name, **{key: header[key] for key in ("documents", "tokens", "dtype")}}


def _tell(options: Options, run: Run, cfg: Tokenize, tokenizer: Tokenizer, *, seconds: float) -> int:
    folder = folder_of(cfg)
    headers = [_header(folder / shard.name, tokenizer) for shard in run.shards]
    rows = [
        (
            shard.name,
            f"{shard.documents:,}",
            f"{shard.characters:,}",
            f"{header['tokens']:,}",
            f"{shard.bytes / MB:,.1f}",
        )
        for shard, header in zip(run.shards, headers, strict=True)
    ]
    console.table(("shard", "documents", "characters", "tokens", "MB"), rows)
    if any(run.counts.get(name) for name in LEFT_OUT):
        console.say(left_out(run.counts))
    tokens = sum(header["tokens"] for header in headers)
    console.say(f"✓ {numbers(run.shards)}, {tokens:,} tokens in {clock(seconds)}, in {folder}")
    if options.json:
        made = [{**vars(shard), "tokens": h["tokens"]} for shard, h in zip(run.shards, headers, strict=True)]
        console.emit_json(
            {
                "folder": str(folder),
                "tokenizer": tokenizer.hash,
                "dtype": headers[0]["dtype"],
                "shards": made,
                "left_out": {name: run.counts.get(name, 0) for name in LEFT_OUT},
                "tokens": tokens,
                "seconds": round(seconds, 2),
            }
        )
    console.say("next: samosa cpt --plan")
    return 0
