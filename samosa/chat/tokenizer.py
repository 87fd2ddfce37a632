"""The byte-pair tokenizer: nanochat's file, split pattern and special tokens, read without running what is in it."""

import hashlib
import io
import os
import pickle
import pickletools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tiktoken

from samosa.chat.markup import BOS, SPECIALS
from samosa.errors import BadInput, NotReady
from samosa.home import write_atomic

FILE_NAME = "tokenizer.pkl"

PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
"""GPT-4's split with numbers in groups of two and `\\s*[\\r\\n]` without the `+` (nanochat)."""

SMALLEST_VOCABULARY = 256 + len(SPECIALS)

_AGAIN = "copy the tokenizer directory again from where it was trained, or train one: samosa pretrain"


class Tokenizer:
    """Text to ids and back. Ids of specials come from `special`; `encode` never yields one, whatever the text."""

    def __init__(self, *, pattern: str, ranks: dict[bytes, int], specials: dict[str, int]) -> None:
        """`ranks` maps the bytes of each ordinary token to its id. Raises ValueError if these make no vocabulary."""
        _check_vocabulary(pattern, ranks, specials)
        try:
            self._encoding = tiktoken.Encoding(
                "rustbpe", pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials
            )
        except ValueError as error:
            raise ValueError(f"its split pattern is no regular expression: {error}") from error
        self.specials = dict(specials)
        self.vocab_size = len(ranks) + len(specials)
        self.bos = specials[BOS]
        self.pattern = pattern
        self._bytes = [b""] * self.vocab_size
        for token, rank in ranks.items():
            self._bytes[rank] = token
        self.hash = self._fingerprint()

    def special(self, name: str) -> int:
        """The id of a special token, "assistant_end" or "<|assistant_end|>". Raises KeyError for any other name."""
        return self.specials[name if name in self.specials else f"<|{name}|>"]

    def encode(self, text: str) -> list[int]:
        """Ordinary tokens only: marker text in `text` is text."""
        return self._encoding.encode_ordinary(text)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text, on all cores."""
        return self._encoding.encode_ordinary_batch(list(texts), num_threads=min(8, os.cpu_count() or 1))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, specials as their names; bytes that are not UTF-8 become U+FFFD. KeyError for other ids."""
        return self._encoding.decode(ids)

    def token_bytes(self, token: int) -> bytes:
        """The raw bytes of an ordinary token, b"" for specials. Raises IndexError for ids outside the vocabulary."""
        if token < 0:
            raise IndexError(f"token id {token}")
        return self._bytes[token]

    def to_pickle(self) -> bytes:
        """The file nanochat unpickles to a `tiktoken.Encoding`."""
        return pickle.dumps(self._encoding, protocol=4)

    def _fingerprint(self) -> str:
        """sha256 over what decides every id: pattern, ranks in order, specials; not over how a file stores them."""
        digest = hashlib.sha256(self.pattern.encode())
        for token in self._bytes:
            digest.update(len(token).to_bytes(4, "little") + token)
        for name, token_id in sorted(self.specials.items()):
            digest.update(f"{name}={token_id};".encode())
        return digest.hexdigest()


def load_tokenizer(directory: Path | str) -> Tokenizer:
    """Read `tokenizer.pkl`. Nothing in the file is called or imported, not even tiktoken.

    Raises NotReady when there is none, BadInput when the file is broken, poisoned or holds another vocabulary.
    """
    path = Path(directory) / FILE_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotReady(f"no tokenizer at {path} ({error.strerror})", hint=_AGAIN) from error
    state = _read_state(data, path)
    try:
        return Tokenizer(
            pattern=state.get("pat_str"),  # type: ignore[arg-type]
            ranks=state.get("mergeable_ranks"),  # type: ignore[arg-type]
            specials=state.get("special_tokens"),  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise BadInput(f"{path}: not a nanochat vocabulary, {error}", hint=_AGAIN) from error


def save_tokenizer(tokenizer: Tokenizer, directory: Path | str) -> None:
    """Write `tokenizer.pkl` as nanochat reads it; it appears whole or not at all."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    write_atomic(Path(directory) / FILE_NAME, tokenizer.to_pickle())


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learn merges with rustbpe; `vocab_size` counts the nine specials. The same texts give the same tokenizer.

    Raises BadInput when the size is below 265 (bytes and specials) or the texts have too few distinct pairs for it.
    """
    import rustbpe

    if vocab_size < SMALLEST_VOCABULARY:
        raise BadInput(
            f"a vocabulary of {vocab_size} is too small",
            hint=f"256 bytes and {len(SPECIALS)} specials need at least {SMALLEST_VOCABULARY}",
        )
    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(texts), vocab_size - len(SPECIALS), pattern=PATTERN)
    ranks = {bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}
    if len(ranks) + len(SPECIALS) != vocab_size:
        raise BadInput(
            f"these texts give only {len(ranks) + len(SPECIALS)} tokens, not {vocab_size}",
            hint="more text, or a smaller vocabulary",
        )
    specials = {name: len(ranks) + place for place, name in enumerate(SPECIALS)}
    return Tokenizer(pattern=PATTERN, ranks=ranks, specials=specials)


# ---- reading a pickle without trusting it


class _State:
    """Stands where the pickle says tiktoken.core.Encoding, and only remembers what it is given.

    The real class would fetch an encoding from the network when its state is a name.
    """

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Forbidden(Exception):
    """The pickle asks for a global other than the one allowed."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) == ("tiktoken.core", "Encoding"):
            return _State
        raise _Forbidden(f"{module_name}.{global_name}")


MEMO_WRITES = ("PUT", "BINPUT", "LONG_BINPUT")

# What pickle raises on bytes that are not a pickle, or are part of one.
_BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
    MemoryError, ImportError, RecursionError,
)  # fmt: skip


def _read_state(data: bytes, path: Path) -> dict[str, Any]:
    try:
        _check_memo(data)
        loaded = _Unpickler(io.BytesIO(data)).load()
    except _Forbidden as error:
        raise BadInput(
            f"{path}: asks to load {error}, which a tokenizer has no use for; nothing was run",
            hint="do not trust this file or where it came from; " + _AGAIN,
        ) from error
    except _BROKEN as error:
        raise BadInput(f"{path}: truncated or not a pickle ({error})", hint=_AGAIN) from error
    if not isinstance(loaded, _State) or not isinstance(loaded.state, dict):
        raise BadInput(f"{path}: holds no tiktoken.Encoding with its own vocabulary", hint=_AGAIN)
    return loaded.state


def _check_memo(data: bytes) -> None:
    """Raise ValueError for a pickle of few bytes that makes pickle take tens of gigabytes: its memo is an array."""
    for opcode, place, _ in pickletools.genops(data):
        if opcode.name in MEMO_WRITES and place is not None and place > len(data):
            raise ValueError(f"memo place {place} in {len(data)} bytes")


def _check_vocabulary(pattern: Any, ranks: Any, specials: Any) -> None:
    if not isinstance(pattern, str):
        raise ValueError("its split pattern is not a string")
    if not isinstance(ranks, dict) or not isinstance(specials, dict):
        raise ValueError("its ranks or specials are not a dict")
    if not all(type(token) is bytes and token and type(rank) is int for token, rank in ranks.items()):
        raise ValueError("its ranks do not map bytes to integers")
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise ValueError("its ranks are not 0 to n-1, each once")
    if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
        raise ValueError(f"{len(missing)} of the 256 single bytes have no token")
    if set(specials) != set(SPECIALS):
        odd = sorted(set(SPECIALS).symmetric_difference(map(str, specials)))
        raise ValueError(f"its special tokens are not the nine of nanochat (differs in {', '.join(odd)})")
    after = range(len(ranks), len(ranks) + len(SPECIALS))
    if not all(type(token) is int for token in specials.values()) or sorted(specials.values()) != list(after):
        raise ValueError("its special tokens do not follow the last rank")
