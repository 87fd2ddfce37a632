"""Token shards of text shards, piece by piece: a piece is some row groups, and a stop costs the pieces at work."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from samosa import home
from samosa.chat.tokenizer import load_tokenizer
from samosa.data import parallel
from samosa.data.manifest import Chunk, chunks_of
from samosa.data.parallel import Counts, Result
from samosa.data.tokens import sorting
from samosa.data.tokens.encoder import DocumentEncoder
from samosa.data.tokens.reading import documents_of
from samosa.data.tokens.shard import LENGTHS, TOKENS, token_folder, write_token_shard

PIECE_BYTES = 1 << 23  # of text
ENCODED_TOGETHER = 1 << 20  # characters whose ids are held at once


def make_part(chunk: Chunk, folder: Path, *, row_group: int, level: int, tokenizer_dir: Path) -> Counts:
    """Write a stretch of sorted documents as parquet, or the ids of a piece of it, as the chunk's kind says."""
    if chunk.kind == "parquet":
        return sorting.write_shard(chunk, folder, row_group=row_group, level=level)
    texts = (text for array, _ in sorting.sorted_texts(chunk, row_group) for text in array.to_pylist())
    return _encode(texts, folder, tokenizer_dir)


def encode_piece(chunk: Chunk, folder: Path, *, tokenizer_dir: Path) -> Counts:
    """Write the ids of some row groups of a text shard as tokens.bin and lengths.npy."""
    return _encode((text.decode() for text, _, _ in documents_of(chunk, "text")), folder, tokenizer_dir)


def _encode(texts: Iterable[str], folder: Path, tokenizer_dir: Path) -> Counts:
    encoder = _encoder(tokenizer_dir)
    lengths = [np.empty(0, np.int64)]
    with (folder / TOKENS).open("wb") as out:
        for together in _together(texts):
            ids, counts = encoder.encode(together)
            out.write(ids.data)
            lengths.append(counts)
    every = np.concatenate(lengths)
    np.save(folder / LENGTHS, every, allow_pickle=False)
    return {"documents": int(every.size), "tokens": int(every.sum())}


def _together(texts: Iterable[str]) -> Iterator[list[str]]:
    gathered: list[str] = []
    held = 0
    for text in texts:
        gathered.append(text)
        held += len(text)
        if held >= ENCODED_TOGETHER:
            yield gathered
            gathered, held = [], 0
    if gathered:
        yield gathered


def make_token_shards(
    paths: Sequence[Path], work: Path, *, tokenizer_dir: Path, workers: int, progress: Callable[[Result | None], None]
) -> None:
    """Make the token shards of text shards; each appears as soon as its last piece is done.

    Raises as `encode_piece` and `write_token_shard` do.
    """
    tokenizer = load_tokenizer(tokenizer_dir)
    chunks = chunks_of(paths, chunk_bytes=PIECE_BYTES)
    results: dict[Chunk, Result] = {}

    def gather(result: Result | None) -> None:
        progress(result)
        if result is None:
            return
        results[result.chunk] = result
        path = result.chunk.path
        pieces = [chunk for chunk in chunks if chunk.path == path]
        if all(chunk in results for chunk in pieces):
            text = {"name": path.name, "bytes": path.stat().st_size, "sha256": home.sha256_file(path)}
            folders = [results[chunk].folder for chunk in pieces]
            write_token_shard(token_folder(path, tokenizer.hash), folders, tokenizer=tokenizer, text=text)

    make = partial(encode_piece, tokenizer_dir=tokenizer_dir)
    done = parallel.map_chunks(make, chunks, work, key=f"tokens 1 {tokenizer.hash}", workers=workers, progress=gather)
    parallel.remove(done, work)


@lru_cache(maxsize=1)
def _encoder(tokenizer_dir: Path) -> DocumentEncoder:
    return DocumentEncoder(load_tokenizer(tokenizer_dir))
