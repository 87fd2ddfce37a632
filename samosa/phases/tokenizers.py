"""`samosa tokenizer`: learn a vocabulary from text, and measure how well one compresses each domain."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samosa import console, home
from samosa.chat.tokenizer import FILE_NAME, Tokenizer, load_tokenizer, save_tokenizer, train_tokenizer
from samosa.config import Options, load
from samosa.console import clock
from samosa.data.manifest import Chunk, chunks_of
from samosa.data.tokens.encoder import DocumentEncoder
from samosa.data.tokens.reading import documents_of
from samosa.data.tokens.settings import Tokenize
from samosa.errors import BadInput
from samosa.phases.text_shards import MB
from samosa.phases.tokenizing import files_of

ACTIONS = ("train", "report")


@dataclass(frozen=True)
class Compression:
    """What became of one file's text."""

    file: str
    documents: int
    bytes: int
    tokens: int
    was: int | None = None
    """Tokens by the home's tokenizer, where another one is looked at."""


def run(
    options: Options, *, action: str, inputs: Sequence[str], vocab_size: int | None = None, out: Path | None = None
) -> int:
    """Train a tokenizer, or report on the one in `out` (default: the home's); returns the exit code.

    Raises BadInput for another action, text that cannot be read, and a tokenizer that would be written over.
    """
    if action not in ACTIONS:
        raise BadInput(f"{action!r} is no action", hint=f"samosa tokenizer {' or '.join(ACTIONS)} FILES...")
    cfg = load(Tokenize, "tokenize", recipe=options.recipe, sets=options.sets)
    files, folder = files_of(inputs, cfg), out or home.tokenizer_dir()
    if action == "report":
        if vocab_size is not None:
            raise BadInput("--vocab-size goes with train", hint="samosa tokenizer report FILES...")
        _report(options, cfg, files, load_tokenizer(folder))
        console.say(f"next: samosa tokenize {' '.join(inputs)} --plan")
        return 0
    if vocab_size is None:
        raise BadInput("train needs --vocab-size", hint="--vocab-size 32768, special tokens among them")
    _train(options, cfg, files, folder, vocab_size)
    where = "" if folder == home.tokenizer_dir() else f" --out {folder}"
    console.say(f"next: samosa tokenizer report{where} FILES..., with text it was not trained on")
    return 0


def _train(options: Options, cfg: Tokenize, files: Sequence[Path], folder: Path, vocab_size: int) -> None:
    from samosa.model.checkpoint import save_token_bytes

    if (folder / FILE_NAME).exists():
        raise BadInput(
            f"there is a tokenizer in {folder}: models and token shards rest on it",
            hint="write the new one elsewhere: --out DIR",
        )
    home.require_writable(folder)
    began = time.monotonic()
    limit = cfg.tokenizer
    texts = _first(_every(files, cfg.column), limit.characters, of_each=limit.document_characters)
    tokenizer = train_tokenizer(texts, vocab_size)
    home.make_folder(folder)
    save_token_bytes(tokenizer, folder)
    save_tokenizer(tokenizer, folder)  # last: with it the folder holds a tokenizer
    console.say(f"✓ {tokenizer.vocab_size:,} tokens in {folder}, in {clock(time.monotonic() - began)}")
    _report(options, cfg, files, tokenizer)


def _report(options: Options, cfg: Tokenize, files: Sequence[Path], tokenizer: Tokenizer) -> None:
    """Bytes a token on a part of each file, beside the home's tokenizer where that is another."""
    other = _current()
    if other is not None and other.hash == tokenizer.hash:
        other = None
    found = [_compression(path, cfg, tokenizer, other) for path in files]
    columns = ["file", "documents", "bytes", "tokens", "bytes a token"]
    rows = [[c.file, *(f"{n:,}" for n in (c.documents, c.bytes, c.tokens)), _rate(c.bytes, c.tokens)] for c in found]
    if other is not None:
        columns.append("the home's")
        rows = [[*row, _rate(c.bytes, c.was)] for row, c in zip(rows, found, strict=True)]
    console.table(columns, rows)
    if options.json:
        console.emit_json(
            {
                "tokenizer": tokenizer.hash,
                "vocab_size": tokenizer.vocab_size,
                "files": [
                    {
                        "file": c.file,
                        "documents": c.documents,
                        "bytes": c.bytes,
                        "tokens": c.tokens,
                        "bytes_per_token": round(c.bytes / c.tokens, 4) if c.tokens else None,
                        "bytes_per_token_of_home": round(c.bytes / c.was, 4) if c.was else None,
                    }
                    for c in found
                ],
            }
        )


def _compression(path: Path, cfg: Tokenize, tokenizer: Tokenizer, other: Tokenizer | None) -> Compression:
    chunks = chunks_of([path], chunk_bytes=MB)
    random.Random(cfg.seed).shuffle(chunks)
    texts = list(_first(_of_chunks(chunks, cfg.column), cfg.tokenizer.report_characters))
    size = sum(len(text.encode()) for text in texts)
    return Compression(
        str(path), len(texts), size, _tokens(tokenizer, texts), None if other is None else _tokens(other, texts)
    )


def _tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> int:
    """Without bos, which is no part of the text."""
    return int(DocumentEncoder(tokenizer).encode(texts)[1].sum()) - len(texts) if texts else 0


def _every(files: Sequence[Path], column: str) -> Iterator[str]:
    return _of_chunks(chunks_of(files, chunk_bytes=64 * MB), column)


def _of_chunks(chunks: Sequence[Chunk], column: str) -> Iterator[str]:
    return (text.decode() for chunk in chunks for text, _, _ in documents_of(chunk, column))


def _first(texts: Iterator[str], limit: int, *, of_each: int | None = None) -> Iterator[str]:
    for text in texts:
        if limit <= 0:
            return
        yield text[:of_each]
        limit -= min(len(text), of_each or len(text))


def _current() -> Tokenizer | None:
    folder = home.tokenizer_dir()
    return load_tokenizer(folder) if (folder / FILE_NAME).is_file() else None


def _rate(size: int, tokens: int | None) -> str:
    return f"{size / tokens:.3f}" if tokens else "-"
