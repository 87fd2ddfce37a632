"""How full packed rows are and how fast they are made, on lengths drawn like chat and like long reasoning."""

import argparse
import json
import time

import numpy as np

from samosa.data.packing import Doc, best_fit, pack_documents

LENGTH = 4096
DOCUMENTS = 50_000
MIXES = {  # lognormal (mu, sigma) of the document length in tokens, clipped to (low, LENGTH)
    "chat": (5.5, 0.9, 16),
    "reasoning": (7.3, 0.7, 64),
}
SUPERVISED = 0.35  # share of the tokens that are learnt


def measure(mix: str, seed: int) -> dict[str, float | int | str]:
    """Fill and speed of one mix: the placement alone, and the whole way from token lists to rows."""
    mu, sigma, low = MIXES[mix]
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(mu, sigma, DOCUMENTS), low, LENGTH).astype(np.int64)
    started = time.perf_counter()
    bins = best_fit(lengths, LENGTH)
    placing = time.perf_counter() - started
    docs = [Doc(ids=[7] * n, mask=(rng.random(n) < SUPERVISED).astype(np.int8).tolist(), source=mix) for n in lengths]
    started = time.perf_counter()
    rows = pack_documents(docs, length=LENGTH, overlong="error", seed=seed, pad=0)
    packing = time.perf_counter() - started
    assert len(rows) == len(bins) and rows.tokens == lengths.sum()
    return {
        "mix": mix,
        "seed": seed,
        "rows": len(rows),
        "fill": round(rows.fill, 5),
        "best_possible": round(lengths.sum() / (-(-lengths.sum() // LENGTH) * LENGTH), 5),
        "placed_per_minute": round(DOCUMENTS / placing * 60),
        "packed_per_minute": round(DOCUMENTS / packing * 60),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object per mix instead of lines to read")
    args = parser.parse_args()
    for mix in MIXES:
        result = measure(mix, args.seed)
        if args.json:
            print(json.dumps(result))
        else:
            print(
                f"{mix:10s} {result['fill']:.2%} full, {result['rows']} rows of {LENGTH};"
                f" {result['placed_per_minute']:,} documents a minute placed, {result['packed_per_minute']:,} packed"
            )


if __name__ == "__main__":
    main()
