"""Token shards: a text shard's documents as ids, mapped into memory, with where each begins.

A token shard is a folder, under data/tokens/<tokenizer's hash>/<text shards' folder>/<text shard's name>/:
`tokens.bin`, ids end to end, each document begun by bos (uint16 or uint32, little-endian); `offsets.npy`, int64
[documents + 1], where each begins and the last one ends; `header.json`, written last: the tokenizer's hash, the text
shard's sha256, counts, and the size and sha256 of the files. The folder appears whole or not at all.
"""

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samosa import home
from samosa.chat.tokenizer import Tokenizer
from samosa.data.packing import Doc
from samosa.data.shards import documents, pretraining_docs
from samosa.data.tokens.encoder import id_dtype
from samosa.errors import BadInput, NotReady

FORMAT = 1
TOKENS, OFFSETS, HEADER = "tokens.bin", "offsets.npy", "header.json"
LENGTHS = "lengths.npy"  # of a part: each document's number of ids
HASH_LETTERS = 16  # of the tokenizer's hash in a folder's name; the header has all of it
COPIED_AT_ONCE = 1 << 22  # bytes


@dataclass(frozen=True)
class TokenShard:
    """A token shard that was verified. tokens [n] and offsets [documents + 1] are mapped, not read."""

    tokens: NDArray[Any]
    offsets: NDArray[np.int64]
    header: dict[str, Any]

    def documents(self) -> Iterator[NDArray[Any]]:
        """Each document's ids, bos first, in the text shard's order."""
        for start, end in itertools.pairwise(self.offsets.tolist()):
            yield self.tokens[start:end]


def all_tokens() -> Path:
    """Where the token shards of every tokenizer lie."""
    return home.root() / "data" / "tokens"


def token_folder(text_shard: Path, tokenizer_hash: str) -> Path:
    """Where a text shard's token shard lies, or would."""
    return all_tokens() / tokenizer_hash[:HASH_LETTERS] / text_shard.parent.name / text_shard.stem


def write_token_shard(folder: Path, parts: Sequence[Path], *, tokenizer: Tokenizer, text: dict[str, Any]) -> None:
    """Join parts, folders with tokens.bin and lengths.npy, into a token shard of the text shard that `text` describes.

    Raises NotReady where the disk is too full.
    """
    dtype, none = id_dtype(tokenizer.vocab_size), np.empty(0, np.int64)
    lengths = np.concatenate([none, *(np.load(part / LENGTHS, allow_pickle=False) for part in parts)])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    with home.atomic_path(folder) as temp:
        temp.mkdir()
        with (temp / TOKENS).open("wb") as out:
            for part in parts:
                with (part / TOKENS).open("rb") as file:
                    shutil.copyfileobj(file, out, COPIED_AT_ONCE)
        np.save(temp / OFFSETS, offsets, allow_pickle=False)
        header = {
            "format": FORMAT,
            "tokenizer": tokenizer.hash,
            "vocab_size": tokenizer.vocab_size,
            "bos": tokenizer.bos,
            "dtype": dtype.name,
            "documents": lengths.size,
            "tokens": int(offsets[-1]),
            "text": text,
            "files": {name: _described(temp / name) for name in (TOKENS, OFFSETS)},
        }
        (temp / HEADER).write_text(json.dumps(header, indent=1) + "\n")
        if folder.is_dir():  # a broken one
            shutil.rmtree(folder)


def open_token_shard(folder: Path, tokenizer_hash: str, *, text_shard: Path | None = None) -> TokenShard:
    """Map a token shard, every bit verified, and that it is of this text shard where one is given.

    Raises BadInput for one that another tokenizer made, NotReady for one that is missing, broken or of other text.
    """
    header = _header(folder)
    if header["tokenizer"] != tokenizer_hash:
        raise BadInput(
            f"{folder} was made by tokenizer {header['tokenizer'][:HASH_LETTERS]}, and yours is "
            f"{tokenizer_hash[:HASH_LETTERS]}",
            hint="use the tokenizer it was made with, or make token shards with yours: samosa tokenize",
        )
    try:
        for name, wanted in header["files"].items():
            if _described(folder / name) != wanted:
                raise ValueError(f"{name} is not what the header says")
        offsets = np.load(folder / OFFSETS, mmap_mode="r", allow_pickle=False)
        dtype = np.dtype(header["dtype"]).newbyteorder("<")
        size = (folder / TOKENS).stat().st_size // dtype.itemsize
        tokens = np.memmap(folder / TOKENS, dtype, mode="r") if size else np.empty(0, dtype)
        if offsets.dtype != np.int64 or offsets.size != header["documents"] + 1 or offsets[-1] != size:
            raise ValueError("offsets and tokens do not go together")
        text = header["text"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise _broken(folder, str(error)) from error
    if text_shard is not None and home.sha256_file(text_shard) != text:
        raise _broken(folder, f"it was made from other text than {text_shard.name} has now")
    return TokenShard(tokens, offsets, header)


def docs_of_shards(paths: Iterable[Path], tokenizer: Tokenizer, *, source: str) -> Iterator[Doc]:
    """The documents of text shards, to learn whole: from their token shards where they have one, else from their text.

    Either way they are the same, in the same order. Raises as `documents` and `open_token_shard` do, and BadInput for
    a shard of which only another tokenizer's ids are there.
    """
    rows = itertools.count(1)
    for path in paths:
        folder = token_folder(path, tokenizer.hash)
        if not folder.is_dir():
            _check_no_other(path, tokenizer.hash)
            yield from pretraining_docs(documents([path]), tokenizer, source=source, rows=rows)
            continue
        for ids in open_token_shard(folder, tokenizer.hash, text_shard=path).documents():
            yield Doc(
                ids=ids.astype(np.int32),
                mask=np.ones(ids.size, dtype=np.uint8),
                end_target=tokenizer.bos,
                source=source,
                row=next(rows),
            )


def _check_no_other(path: Path, tokenizer_hash: str) -> None:
    others = sorted(all_tokens().glob(f"*/{path.parent.name}/{path.stem}/{HEADER}"))
    if others:
        made_by = others[0].parents[2]
        raise BadInput(
            f"{path.name} has token shards of tokenizer {made_by.name}, and yours is {tokenizer_hash[:HASH_LETTERS]}",
            hint=f"samosa tokenize {path} makes them with yours; without {made_by} its text is read",
        )


def _header(folder: Path) -> dict[str, Any]:
    try:
        header = json.loads((folder / HEADER).read_text())
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}, not {FORMAT}")
        if not isinstance(header["tokenizer"], str):
            raise ValueError("its header names no tokenizer")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(folder, str(error)) from error
    return header


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _broken(folder: Path, why: str) -> NotReady:
    return NotReady(
        f"token shard {folder} is broken: {why}",
        hint="delete that folder; samosa tokenize makes it again from the text shard",
    )
