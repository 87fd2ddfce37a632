"""What `samosa tokenize` would make, from a look at stretches of every file."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from samosa import console
from samosa.config import Options
from samosa.console import clock
from samosa.data.manifest import Chunk, chunks_of
from samosa.data.tokens.encoder import DocumentEncoder
from samosa.data.tokens.placing import shard_name
from samosa.data.tokens.reading import documents_of, footer_of
from samosa.phases.text_shards import MB, Job, text_bytes

LOOKS = 4  # at each file, evenly spread
LOOK_CHARACTERS = 250_000
PACKED = 0.4  # zstd's share of text, of Python's library and of English alike
BESIDE = 1.35  # processor time of everything over that of encoding, measured by benchmarks/tokenize.py


@dataclass(frozen=True)
class Guess:
    """What a file comes to."""

    path: Path
    text_bytes: float
    documents: float
    characters: float
    tokens: float
    seconds: float
    """Of one processor, to encode it."""


def show_plan(options: Options, job: Job, first: int) -> int:
    """Print what the files would come to; returns the exit code."""
    encoder = DocumentEncoder(job.tokenizer)
    guesses = [_guess(path, job, encoder) for path in job.files]
    characters, tokens = sum(g.characters for g in guesses), sum(g.tokens for g in guesses)
    count = max(1, round(characters / job.cfg.shard_characters))
    text = sum(guess.text_bytes for guess in guesses)
    seconds = BESIDE * sum(guess.seconds for guess in guesses) / job.workers
    needs = int(text * (1 + PACKED) + 2 * tokens * encoder.dtype.itemsize)
    rows = [(g.path.name, *(f"~{n:,.0f}" for n in (g.documents, g.characters, g.tokens))) for g in guesses]
    rows += [("all", *(f"~{sum(n):,.0f}" for n in zip(*(g[1:] for g in map(_numbers, guesses)), strict=True)))]
    console.table(("file", "documents", "characters", "tokens"), rows)
    names = shard_name(first) + (f" to {shard_name(first + count - 1)}" if count > 1 else "")
    if job.found.done:
        console.say("these files are shards already: nothing would be written")
    console.say(f"{names} in {job.folder}, about {clock(seconds)} on {job.workers} processors (sampled)")
    console.say(f"disk: about {needs / MB:,.0f} MB while it runs, {(needs - text) / MB:,.0f} MB when it is done")
    if options.json:
        console.emit_json(
            {
                "plan": True,
                "first_shard": first,
                "shards": count,
                "done": job.found.done,
                "documents": round(sum(guess.documents for guess in guesses)),
                "characters": round(characters),
                "tokens": round(tokens),
                "disk_bytes": needs,
                "seconds": round(seconds, 1),
                "basis": "sampled",
            }
        )
    console.say("next: the same command without --plan")
    return 0


def _numbers(guess: Guess) -> tuple[Path, float, float, float]:
    return guess.path, guess.documents, guess.characters, guess.tokens


def _guess(path: Path, job: Job, encoder: DocumentEncoder) -> Guess:
    chunks = chunks_of([path], chunk_bytes=job.cfg.chunk_mb * MB)
    looked_at = chunks[:: math.ceil(len(chunks) / LOOKS)]
    seen = [_look(chunk, job.cfg.column) for chunk in looked_at]
    texts = [text for texts, _, _ in seen for text in texts]
    began = time.process_time()
    tokens = int(encoder.encode(texts)[1].sum()) if texts else 0
    spent = time.process_time() - began
    if len(looked_at) == len(chunks) and all(whole for _, _, whole in seen):
        scale = 1.0
    elif chunks[0].kind == "parquet":
        scale = footer_of(path).num_rows / max(1, len(texts))
    else:
        scale = max(1.0, text_bytes(path) / max(1, sum(size for _, size, _ in seen)))
    size = sum(len(text.encode()) for text in texts)
    return Guess(path, scale * size, *(scale * n for n in (len(texts), sum(map(len, texts)), tokens, spent)))


def _look(chunk: Chunk, column: str) -> tuple[list[str], int, bool]:
    """Documents from a chunk's beginning, the bytes they take of the file's text, and whether they are all of it."""
    texts: list[str] = []
    left, size = LOOK_CHARACTERS, 0
    for text, characters, taken in documents_of(chunk, column):
        texts.append(text.decode())
        size += taken
        left -= characters
        if left <= 0:
            return texts, size, False
    return texts, size, True
