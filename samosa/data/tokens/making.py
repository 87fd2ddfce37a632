"""Token shards of text shards, piece by piece: a piece is some row groups, and a stop costs the pieces at work."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from samosa import home
from samosa.chat.tokenizer import load_tokenizer
from samosa.data import parallel
from samosa.data.manifest import Chunk, chunks_of
from samosa.data.parallel import Counts, Result
from samosa.data.tokens.encoder import DocumentEncoder
from samosa.data.tokens.reading import documents_of
from samosa.data.tokens.shard import TOKENS, token_folder, write_token_shard

PIECE_BYTES = 1 << 24  # of text
ENCODED_TOGETHER = 1 << 20  # bytes of text whose ids are held at once


def encode_piece(chunk: Chunk, folder: Path, *, tokenizer_dir: Path) -> Counts:
    """Write the ids of some row groups of a text shard as tokens.bin and lengths.npy."""
    encoder = _encoder(tokenizer_dir)
    lengths = [np.empty(0, np.int64)]
    texts: list[str] = []
    held = size = 0
    with (folder / TOKENS).open("wb") as out:

        def flush() -> None:
            ids, counts = encoder.encode(texts)
            out.write(ids.data)
            lengths.append(counts)

        for text, _, _ in documents_of(chunk, "text"):
            texts.append(text.decode())
            held += len(text)
            size += len(text)
            if held >= ENCODED_TOGETHER:
                flush()
                texts, held = [], 0
        flush()
    every = np.concatenate(lengths)
    np.save(folder / "lengths.npy", every, allow_pickle=False)
    return {"documents": int(every.size), "tokens": int(every.sum()), "bytes": size}


def make_token_shards(
    paths: Sequence[Path], work: Path, *, tokenizer_dir: Path, workers: int, progress: Callable[[Result | None], None]
) -> list[Counts]:
    """Make the token shards of text shards that have none; each appears as soon as its last piece is done.

    Returns documents, tokens and bytes of text for each. Raises as `encode_piece` and `write_token_shard` do.
    """
    tokenizer = load_tokenizer(tokenizer_dir)
    chunks = chunks_of(paths, chunk_bytes=PIECE_BYTES)
    left = {path: [chunk.index for chunk in chunks if chunk.path == path] for path in paths}
    results: dict[int, Result] = {}
    totals: dict[Path, Counts] = defaultdict(dict)

    def gather(result: Result | None) -> None:
        progress(result)
        if result is None:
            return
        results[result.chunk.index] = result
        path = result.chunk.path
        if all(index in results for index in left[path]):
            pieces = [results[index] for index in left[path]]
            total = {name: sum(piece.counts[name] for piece in pieces) for name in ("documents", "tokens", "bytes")}
            text = {"name": path.name, "bytes": path.stat().st_size, "sha256": home.sha256_file(path)}
            folder = token_folder(path, tokenizer.hash)
            write_token_shard(folder, [piece.folder for piece in pieces], tokenizer=tokenizer, text=text)
            totals[path] = total

    make = partial(encode_piece, tokenizer_dir=tokenizer_dir)
    done = parallel.map_chunks(make, chunks, work, key=f"tokens 1 {tokenizer.hash}", workers=workers, progress=gather)
    parallel.remove(done, work)
    return [totals[path] for path in paths]


@lru_cache(maxsize=1)
def _encoder(tokenizer_dir: Path) -> DocumentEncoder:
    return DocumentEncoder(load_tokenizer(tokenizer_dir))
