"""One side of the comparison of near-duplicate searches: `python -m benchmarks._dedup SIDE FILE`.

Prints the processor seconds and the time it took, and the lines (from 1) that it would drop.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

WORDS, THRESHOLD, PERMUTATIONS = 5, 0.8, 128


def samosa(path: Path) -> list[int]:
    """`samosa dedup --near` as it is, reading and writing and canaries included, in one process."""
    from samosa.config import Options
    from samosa.phases import dedup

    with tempfile.TemporaryDirectory() as folder:
        assert dedup.run(Options(), files=[path], out=Path(folder), near=True, threshold=THRESHOLD, workers=1) == 0
        dropped = (Path(folder) / f"{path.stem}.duplicates.jsonl").read_bytes().splitlines()
    return [json.loads(line)["line"] for line in dropped]


def datasketch(path: Path) -> list[int]:
    """Its own way at its fastest: n-grams hashed in one batch a row, LSH queried and then given the row; no check."""
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    dropped = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            words = " ".join(turn["content"] for turn in json.loads(line)["messages"]).lower().split()
            shingles = {" ".join(words[i : i + WORDS]).encode() for i in range(max(1, len(words) - WORDS + 1))}
            sketch = MinHash(num_perm=PERMUTATIONS)
            sketch.update_batch(shingles)
            if lsh.query(sketch):
                dropped.append(number)
            else:
                lsh.insert(number, sketch, check_duplication=False)
    return dropped


if __name__ == "__main__":
    side, file = {"samosa": samosa, "datasketch": datasketch}[sys.argv[1]], Path(sys.argv[2])
    began, before = time.perf_counter(), os.times()
    found = side(file)
    spent = [now - then for now, then in zip(os.times()[:4], before[:4], strict=True)]
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu_seconds": sum(spent), "dropped": found}))
