"""`samosa tokenize` end to end beside the bare encoder, on the same text in the same run.

`python -m benchmarks.tokenize` makes 200 MB of JSONL from the text every Python carries (prose and code), trains a
vocabulary of 32,768, and measures A B A B. A: tiktoken alone, `encode_ordinary` for each text, in as many processes as
B has, the texts in memory already; a call for each is its fastest way, 1.8 times `encode_ordinary_batch` per processor.
B: the whole command in an empty home, from starting Python to the last token shard: reading, shuffling, parquet,
encoding, hashing. The better of each counts. Prints a table; with --json it ends with one JSON line.

vs_bare_encoder is the smaller of two quotients of throughput, B by A: per second of processor time and per second of
the clock.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import orjson

from samosa import console
from samosa.chat.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from samosa.data.shards import stdlib_documents

VOCABULARY = 32_768
TRAINING_CHARACTERS = 13_000_000
PROSE = 0.6  # of the documents; the library alone is a quarter prose
SHORT, LONG = 500, 8_000  # characters of a document


@dataclass(frozen=True)
class Spent:
    """What one pass took, and how many tokens it made."""

    tokens: int
    seconds: float
    processor: float


def measure(*, megabytes: int, workers: int, rounds: int, folder: Path) -> dict[str, float]:
    """The quotients and rates of the better of some passes; work lies in `folder`."""
    text, tokenizer = folder / "text.jsonl", folder / "tokenizer"
    write_text(text, megabytes * 1_000_000)
    words = train_tokenizer(stdlib_documents(limit_chars=TRAINING_CHARACTERS, seed=1), VOCABULARY)
    save_tokenizer(words, tokenizer)
    bare, whole = [], []
    for number in range(rounds):
        bare.append(encode_bare(text, tokenizer, workers))
        whole.append(tokenize(text, tokenizer, workers, folder / f"home{number}"))
        assert bare[-1].tokens + documents(text) == whole[-1].tokens, "each document has a bos, and else they are one"
    a, b = best(bare), best(whole)
    per_processor, by_clock = a.processor / b.processor, a.seconds / b.seconds
    tokens = whole[0].tokens
    return {
        "vs_bare_encoder": round(min(per_processor, by_clock), 4),
        "tokens_per_s_per_core": round(tokens / b.processor),
        "vs_bare_per_processor": round(per_processor, 4),
        "vs_bare_by_clock": round(by_clock, 4),
        "bare_tokens_per_s_per_core": round(bare[0].tokens / a.processor),
        "tokens_per_s": round(tokens / b.seconds),
        "text_mb_per_s": round(text.stat().st_size / 1e6 / b.seconds, 2),
        "workers": workers,
    }


def best(passes: list[Spent]) -> Spent:
    """The least of each: other work on the machine only ever adds."""
    return Spent(passes[0].tokens, min(p.seconds for p in passes), min(p.processor for p in passes))


def write_text(path: Path, characters: int) -> None:
    """Stretches of Python's prose and code as JSON lines, the same every time."""
    draw = random.Random(1)
    library = list(stdlib_documents(limit_chars=None, seed=1))
    half = [i for i, text in enumerate(library) if "\nimport " in text or "\ndef " in text]
    code, prose = [library[i] for i in half], [library[i] for i in set(range(len(library))) - set(half)]
    with path.open("wb") as out:
        while characters > 0:
            text = draw.choice(prose if draw.random() < PROSE else code)
            start = draw.randrange(max(1, len(text) - SHORT))
            text = text[start : start + draw.randrange(SHORT, LONG)]
            out.write(orjson.dumps({"text": text}) + b"\n")
            characters -= len(text)


def documents(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def encode_bare(text: Path, tokenizer: Path, workers: int) -> Spent:
    """Every text by `encode_ordinary`, each of some processes its share."""
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(workers), spawn.SimpleQueue()
    processes = [
        spawn.Process(target=_encode_share, args=(text, tokenizer, rank, workers, barrier, results))
        for rank in range(workers)
    ]
    for process in processes:
        process.start()
    spent = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return Spent(sum(s.tokens for s in spent), max(s.seconds for s in spent), sum(s.processor for s in spent))


def _encode_share(text: Path, tokenizer: Path, rank: int, workers: int, barrier: Barrier, results) -> None:  # type: ignore[no-untyped-def]
    encode = load_tokenizer(tokenizer).encode
    with text.open("rb") as lines:
        texts = [orjson.loads(line)["text"] for i, line in enumerate(lines) if i % workers == rank]
    barrier.wait()
    clock, processor = time.perf_counter(), time.process_time()
    tokens = sum(len(encode(text)) for text in texts)
    results.put(Spent(tokens, time.perf_counter() - clock, time.process_time() - processor))


def tokenize(text: Path, tokenizer: Path, workers: int, home: Path) -> Spent:
    """The command, as a person runs it."""
    home.mkdir()
    (home / "tokenizer").symlink_to(tokenizer)
    code = "import sys; from samosa.cli import main; sys.exit(main())"
    held_out = ["--set", "validation=validation_00040.parquet", "--set", "hold_out=0.001"]
    command = [sys.executable, "-c", code, "tokenize", str(text), "--workers", str(workers), "--json", *held_out]
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "SAMOSA_HOME": str(home)}, stdout=subprocess.PIPE, check=True)
    seconds, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Spent(json.loads(done.stdout.splitlines()[-1])["tokens"], seconds, processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    parser.add_argument("--megabytes", type=int, default=200, help="of text")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="of A and B")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(megabytes=asked.megabytes, workers=asked.workers, rounds=asked.rounds, folder=Path(folder))
    console.table(("", ""), [(name, f"{value:,}") for name, value in found.items()])
    if asked.json:
        console.emit_json(found)


if __name__ == "__main__":
    main()
