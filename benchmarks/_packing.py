"""How full packed rows are and how fast they are made: `python -m benchmarks._packing MIX SEED`.

50,000 conversations with lengths drawn like chat or like long reasoning, from each one's token and mask arrays to
packed rows of 4,096 as they are stored. Rendering text to tokens is not in it.
"""

import json
import sys
import time

import numpy as np

from samosa.data.packing import Doc, pack_documents, row_dtype

LENGTH = 4096
DOCUMENTS = 50_000
VOCAB = 32_768
MIXES = {  # lognormal (mu, sigma) of the document length in tokens, clipped to (low, LENGTH)
    "chat": (5.5, 0.9, 16),
    "reasoning": (7.3, 0.7, 64),
}
SUPERVISED = 0.35  # share of the tokens that are learnt


def lengths_of(mix: str, count: int, rng: np.random.Generator) -> np.ndarray:
    mu, sigma, low = MIXES[mix]
    return np.clip(rng.lognormal(mu, sigma, count), low, LENGTH).astype(np.int64)


def measure(mix: str, seed: int) -> dict[str, float]:
    """Share of the places that are filled, and conversations packed a minute."""
    rng = np.random.default_rng(seed)
    lengths = lengths_of(mix, DOCUMENTS, rng)
    ids = rng.integers(0, VOCAB, lengths.sum(), dtype=np.int32)
    mask = rng.random(len(ids), dtype=np.float32) < SUPERVISED
    ends = np.cumsum(lengths)
    parts = [slice(end - size, end) for end, size in zip(ends.tolist(), lengths.tolist(), strict=True)]
    docs = [Doc(ids=ids[part], mask=mask[part], source=mix, row=i) for i, part in enumerate(parts, 1)]
    began, used = time.perf_counter(), time.process_time()
    rows = pack_documents(docs, length=LENGTH, overlong="error", seed=seed, pad=0, dtype=row_dtype(VOCAB, LENGTH))
    seconds, used = time.perf_counter() - began, time.process_time() - used
    assert rows.tokens == lengths.sum()
    best = lengths.sum() / (-(-lengths.sum() // LENGTH) * LENGTH)
    return {
        "fill": rows.fill,
        "best_possible": float(best),
        "seconds": seconds,
        "processor_seconds": used,
        "per_minute": DOCUMENTS / seconds * 60,
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
