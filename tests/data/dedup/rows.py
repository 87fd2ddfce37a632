"""Rows with known duplicates, a search by comparing all with all, and the command's way to search files."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from samosa.data.dedup.bands import banding
from samosa.data.dedup.chunkwork import Near
from samosa.data.dedup.deduplicate import Report, deduplicate
from samosa.data.dedup.search import Asked
from samosa.data.manifest import chunks_of
from samosa.data.sidecars import places_of

WORDS = 5


def chat(text: str, **more) -> dict:
    question, _, answer = text.partition(" ")
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def made_up(count: int, seed: int, *, repeat: float = 0.4) -> list[dict]:
    """Rows of which a share repeat an earlier one, exactly or with words changed, more or fewer of them."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices("abcdefghijklmnop", k=5)) for _ in range(3000)]
    texts: list[str] = []
    for _ in range(count):
        words = draw.choices(vocabulary, k=draw.randint(2, 90))
        if texts and draw.random() < repeat:
            words = draw.choice(texts).split()
            for _ in range(draw.choice([0, 0, 1, 1, 2, 5])):
                words[draw.randrange(len(words))] = draw.choice(vocabulary)
        texts.append(" ".join(words))
    return [chat(draw.choice([str, str.upper, str.title])(text), number=i) for i, text in enumerate(texts)]


def write(path: Path, rows: Sequence[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def words_of(row: dict) -> str:
    return " ".join(turn["content"] for turn in row["messages"]).lower()


def slowly(rows: Sequence[dict], *, threshold: float | None) -> list[int]:
    """For each row the one that stays for it, by comparing all with all."""
    texts = [words_of(row).split() for row in rows]
    sets = [{tuple(text[i : i + WORDS]) for i in range(max(1, len(text) - WORDS + 1))} for text in texts]
    first = list(range(len(rows)))
    for i in range(len(rows)):
        for j in range(i):
            alike = texts[i] == texts[j]
            if threshold is not None:
                alike = len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j])
            if alike and first[i] != first[j]:
                low, high = sorted((first[i], first[j]))
                first = [low if one == high else one for one in first]
    return first


def run(
    files: Sequence[Path], out: Path, *, near: bool = True, workers: int = 1, chunk_bytes: int = 1 << 24, seed: int = 0,
    threshold: float = 0.8, recall: float = 0.999999, slots: int = 280, canaries: int = 4,
) -> Report:  # fmt: skip
    asked = Asked(
        chunks=tuple(chunks_of(files, chunk_bytes=chunk_bytes)),
        parts=out,
        near=Near(WORDS, banding(threshold, recall, slots), seed) if near else None,
        threshold=threshold,
        canaries=canaries,
        seed=seed,
        workers=workers,
        progress=lambda doing, chunks, result: None,
    )
    return deduplicate(places_of(files, out), out, asked)


def kept_lines(files: Sequence[Path], out: Path) -> list[list[bytes]]:
    return [(out / path.name).read_bytes().splitlines() for path in files]


def dropped(path: Path, out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / f"{path.stem}.duplicates.jsonl").read_bytes().splitlines()]


def outputs(out: Path) -> dict[str, bytes]:
    """Every file that was written, but for the record (it names when its sources were changed) and for what a killed
    process began: that goes when it is old."""
    written = (path for path in sorted(out.iterdir()) if not path.name.startswith(".tmp-"))
    return {path.name: path.read_bytes() for path in written if path.name != "dedup.json"}
