"""Reading and writing files of tensors. Reading runs nothing: a file that holds more than tensors is refused."""

from __future__ import annotations

import pickle
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from samosa.errors import BadInput, NotReady
from samosa.home import atomic_path

ANOTHER = "name another step, or copy the file again from where it came"
FORBIDDEN = ("global", "unsupported class", "unsupported operand")  # how torch says that a pickle asks for code


def load_tensors(path: Path, *, map_location: torch.device | str = "cpu", checked: bool = False) -> Any:
    """Tensors, and containers, numbers and text around them, as torch.save wrote them.

    `checked` says that the bytes were compared with a hash before; otherwise the archive's own checksums are.
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
            return torch.load(path, map_location=map_location, weights_only=True)
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


def save_tensors(value: Any, path: Path) -> None:
    """Write tensors whole or not at all. Raises NotReady where the disk is full."""
    with atomic_path(path) as temp:
        torch.save(value, temp)


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
