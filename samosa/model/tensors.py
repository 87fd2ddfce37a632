"""Reading and writing files of tensors. Reading runs nothing: a file that holds more than tensors is refused."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import torch
from torch import Tensor

from samosa.errors import BadInput, NotReady
from samosa.home import atomic_path

ANOTHER = "name another step, or copy the file again from where it came"
SYNCED = 1 << 26
"""Bytes between two waits for the disk: a small file that is synced meanwhile waits for these, not for gigabytes."""
CHUNK = 1 << 22
FORBIDDEN = ("global", "unsupported class", "unsupported operand")  # how torch says that a pickle asks for code


@dataclass(frozen=True)
class Written:
    """A file as it was written."""

    bytes: int
    sha256: str


def load_tensors(
    path: Path, *, map_location: torch.device | str = "cpu", checked: bool = False, mapped: bool = False
) -> Any:
    """Tensors, and containers, numbers and text around them, as torch.save wrote them.

    `checked` says that the bytes were compared with a hash before; otherwise the archive's own checksums are. `mapped`
    leaves the tensors in the file until they are looked at, for who copies them elsewhere.
    Raises NotReady for a file that is missing or broken and BadInput for one that asks to run code.
    """
    if not path.is_file():
        raise NotReady(f"{path} is not there", hint=ANOTHER)
    archive = zipfile.is_zipfile(path)
    if archive and not checked:
        _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's remarks on pickle versions help nobody here
            return torch.load(path, map_location=map_location, weights_only=True, mmap=mapped and archive)
    except pickle.UnpicklingError as error:
        # An intact archive that cannot be unpickled was made so; of anything else torch must say that it is code.
        if archive or any(sign in str(error).lower() for sign in FORBIDDEN):
            raise BadInput(
                f"{path} holds more than tensors and was not loaded: it could run code",
                hint="get the checkpoint from its author as plain tensors (a state_dict)",
            ) from error
        raise _broken(path, "it is not a file of tensors") from error
    except Exception as error:  # broken bytes surface as nearly any exception of the unpickler
        raise _broken(path, str(error).split("\n")[0][:120] or type(error).__name__) from error


def save_tensors(value: Any, path: Path) -> Written:
    """Write tensors whole or not at all, hashed on the way. Raises NotReady where the disk is full."""
    with atomic_path(path) as temp, temp.open("wb", buffering=0) as file:
        out = _Hashing(file)
        try:
            torch.save(value, cast(IO[bytes], out))
        except RuntimeError:
            if out.refused is None:
                raise
            raise out.refused from None  # torch's writer says only that it did not get on
        return Written(out.size, out.hash.hexdigest())


class _Hashing:
    """A file for torch.save. Hashing and writing let other threads compute, as long as the chunks are large."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.hash = file, hashlib.sha256()
        self.size = self.unsynced = 0
        self.refused: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        try:
            for start in range(0, len(view), CHUNK):
                self._chunk(view[start : start + CHUNK])
        except OSError as error:
            self.refused = error
            raise
        return len(view)

    def flush(self) -> None:
        """Nothing is held back."""

    def _chunk(self, rest: memoryview) -> None:
        self.hash.update(rest)
        while len(rest):
            written = self.file.write(rest)
            rest = rest[written:]
            self.size += written
            self.unsynced += written
        if self.unsynced >= SYNCED:
            os.fsync(self.file.fileno())
            self.unsynced = 0


def on_cpu(value: Any) -> Any:
    """The same containers with every tensor detached and on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: on_cpu(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(on_cpu(inner) for inner in value)
    return value


def size_of(value: Any) -> int:
    """Bytes of all tensors in nested containers."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(size_of(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return sum(size_of(inner) for inner in value)
    return 0


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise _broken(path, str(error) or type(error).__name__) from error
    if damaged is not None:
        raise _broken(path, f"{damaged} fails its checksum")


def _broken(path: Path, why: str) -> NotReady:
    return NotReady(f"{path} is broken: {why}", hint=ANOTHER)
