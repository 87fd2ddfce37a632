"""Where things live under $SAMOSA_HOME, which checkpoint a name means, and files that appear whole or not at all."""

import contextlib
import difflib
import errno
import fcntl
import glob
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from samosa.errors import BadInput, NotReady

Kind = Literal["base", "chat"]
FOLDERS: dict[Kind, str] = {"base": "base_checkpoints", "chat": "chatsft_checkpoints"}  # nanochat's names
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MODEL_FILE = re.compile(r"model_(\d+)\.pt")
MANIFEST_FILE = re.compile(r"manifest_(\d+)\.json")
NAME = re.compile(r"(?:(?P<kind>base|chat)/)?(?P<tag>[^@/]+)(?:@(?P<step>\d+))?")
ABANDONED = 3600  # seconds; a temporary file this old, of a process that is gone, is nobody's
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EFBIG})


def root() -> Path:
    """$SAMOSA_HOME, or ~/.cache/samosa; a nanochat base directory works as it is."""
    asked = os.environ.get("SAMOSA_HOME")
    return Path(asked).expanduser().absolute() if asked else Path.home() / ".cache" / "samosa"


def tokenizer_dir() -> Path:
    """Where tokenizer.pkl and token_bytes.pt lie."""
    return root() / "tokenizer"


def run_dir(tag: str) -> Path:
    """Where a run keeps its recipe, metrics and logs. Raises BadInput for a tag that cannot name a folder."""
    return root() / "runs" / _checked(tag)


def stage_dir(fingerprint: str) -> Path:
    """Where the stage with this fingerprint keeps what it made."""
    return root() / "stages" / _checked(fingerprint)


def evals_file() -> Path:
    """One line per evaluation, for ever."""
    return root() / "evals" / "eval_results_v2.jsonl"


def checkpoint_dir(kind: Kind, tag: str) -> Path:
    """Where the checkpoints of a tag lie. Raises BadInput for a tag that cannot name a folder."""
    return root() / FOLDERS[kind] / _checked(tag)


def _checked(tag: str) -> str:
    if TAG.fullmatch(tag) is None:
        raise BadInput(
            f"{tag!r} cannot be a tag", hint="use letters, digits, dots, dashes and underscores: d24-sft-r7b"
        )
    return tag


@dataclass(frozen=True)
class CheckpointRef:
    """One checkpoint's place on disk; nothing is read until it is loaded."""

    kind: Kind
    tag: str
    step: int
    directory: Path

    @property
    def name(self) -> str:
        """What a person calls it: tag@step."""
        return f"{self.tag}@{self.step}"

    @property
    def model_path(self) -> Path:
        return self.directory / f"model_{self.step:06d}.pt"

    @property
    def meta_path(self) -> Path:
        return self.directory / f"meta_{self.step:06d}.json"

    @property
    def manifest_path(self) -> Path:
        """Written last: with it the checkpoint is complete; one that others made has none."""
        return self.directory / f"manifest_{self.step:06d}.json"

    @property
    def train_dir(self) -> Path:
        return self.directory / f"train_{self.step:06d}"

    @property
    def keep_path(self) -> Path:
        """While this file is there, no run thins the checkpoint out: `touch` it, or call `protect`."""
        return self.directory / f"keep_{self.step:06d}"


def protect(ref: CheckpointRef, why: str) -> None:
    """Keep a checkpoint that something else rests on, whatever its own run would thin out; `why` is one line.

    Raises NotReady where its folder cannot be written.
    """
    if not ref.keep_path.exists():
        write_atomic(ref.keep_path, f"{why}\n")


def complete_steps(directory: Path) -> list[int]:
    """The steps of a folder whose checkpoint is complete, ascending."""
    if not directory.is_dir():
        return []
    return sorted(int(match[1]) for entry in directory.iterdir() if (match := MANIFEST_FILE.fullmatch(entry.name)))


def list_checkpoints(kind: Kind, tag: str) -> list[CheckpointRef]:
    """Every step of a tag that has a model file, ascending; with or without a manifest."""
    directory = checkpoint_dir(kind, tag)
    if not directory.is_dir():
        return []
    steps = sorted(int(match[1]) for entry in directory.iterdir() if (match := MODEL_FILE.fullmatch(entry.name)))
    return [CheckpointRef(kind, tag, step, directory) for step in steps]


def local_tags() -> list[str]:
    """The tags, of either kind, that have a checkpoint on this machine."""
    return sorted({tag for kind in FOLDERS for tag in _tags(kind)})


def _tags(kind: Kind) -> list[str]:
    folder = root() / FOLDERS[kind]
    if not folder.is_dir():
        return []
    named = [entry.name for entry in folder.iterdir() if entry.is_dir() and TAG.fullmatch(entry.name)]
    return [tag for tag in named if list_checkpoints(kind, tag)]


def find_checkpoint(name: str, *, kind: str | None = None) -> CheckpointRef:
    """The checkpoint meant by `tag`, `tag@step`, `base/tag` or `chat/tag@step`.

    Without a step it is the latest one whose manifest exists. One that has no manifest was made by others and is
    found when its step is named. Raises BadInput, which lists what is there, for a tag or step that is not, for a tag
    that both kinds have and the step does not settle, and for a tag without any manifest when no step is named.
    """
    match = NAME.fullmatch(name)
    if match is None or TAG.fullmatch(match["tag"]) is None:
        raise BadInput(
            f"{name!r} is not the name of a checkpoint", hint="write tag, tag@step, base/tag or chat/tag@step"
        )
    if kind and match["kind"] and match["kind"] != kind:
        raise BadInput(f"{name} is a {match['kind']} checkpoint; a {kind} checkpoint is needed here", hint=_have())
    tag, wanted = match["tag"], match["kind"] or kind
    step = int(match["step"]) if match["step"] else None

    found = {k: refs for k in FOLDERS if wanted in (None, k) and (refs := list_checkpoints(k, tag))}
    if not found:
        raise BadInput(f"no {wanted + ' ' if wanted else ''}checkpoint is called {tag}", hint=_have(like=tag))
    if step is not None:
        chosen = {k: refs for k, all_refs in found.items() if (refs := [r for r in all_refs if r.step == step])}
        if not chosen:
            raise BadInput(f"{tag} has no step {step}", hint=f"have: {_names(found)}")
        found = chosen
    if len(found) > 1:
        suffix = "" if step is None else f"@{step}"
        both = [f"{k}/{tag}{suffix}" for k in found]
        raise BadInput(f"{tag}{suffix} is both a base and a chat checkpoint", hint=f"say {' or '.join(both)}")
    (refs,) = found.values()
    if step is not None:
        return refs[0]
    complete = [ref for ref in refs if ref.manifest_path.is_file()]
    if not complete:
        raise BadInput(f"{tag} has no manifest, so which step is meant must be said", hint=f"have: {_names(found)}")
    return complete[-1]


def _names(found: dict[Kind, list[CheckpointRef]]) -> str:
    return ", ".join(ref.name for refs in found.values() for ref in refs)


def _have(*, like: str = "") -> str:
    tags = local_tags()
    if not tags:
        return f"there are no checkpoints in {root()}; set SAMOSA_HOME if they are elsewhere"
    close = difflib.get_close_matches(like, tags, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"have: {', '.join(tags)}"


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A path beside `path` to write a file (or folder) at; it takes its place only when the block succeeds.

    The temporary name keeps the suffix, which some writers look at. Raises NotReady where the disk is full or `path`
    cannot be written; whatever stood there before stays as it was.
    """
    path = Path(path)
    temp = path.with_name(f".tmp-{os.getpid()}-{os.urandom(4).hex()}-{path.name}")
    try:
        make_folder(path.parent)
        with failure_said(path):
            _sweep(path)
            yield temp
            for entry in [*temp.rglob("*"), temp]:
                _sync(entry)
            temp.replace(path)
            _sync(path.parent)
    finally:
        with contextlib.suppress(OSError):  # what went wrong is being said already
            if temp.is_dir():
                shutil.rmtree(temp, ignore_errors=True)
            else:
                temp.unlink(missing_ok=True)


def plain_name(path: Path) -> str:
    """A file's name as text, whatever bytes it is of: what is no UTF-8 in it is spelled out."""
    return os.fsencode(path.name).decode(errors="backslashreplace")


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are missing. Raises NotReady where that cannot be."""
    with failure_said(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, FileNotFoundError) as error:  # a file stands there; /proc and its like make nothing
            reason = os.strerror(errno.ENOTDIR) if isinstance(error, FileExistsError) else error.strerror
            raise _unwritable(path, str(reason)) from error


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write a file that appears whole or not at all. Raises NotReady where the disk is full or read-only."""
    with atomic_path(path) as temp:
        temp.write_bytes(data.encode() if isinstance(data, str) else data)


def append_line(path: Path | str, text: str) -> None:
    """Append one line, whole, after any that other processes append. Raises NotReady as write_atomic does."""
    path, line = Path(path), text.rstrip("\n").encode() + b"\n"
    assert line.count(b"\n") == 1, "one line at a time"
    make_folder(path.parent)
    with failure_said(path):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # a line torn by a power cut must not swallow this one
            _append(descriptor, line, size)
        finally:
            os.close(descriptor)


def _append(descriptor: int, line: bytes, size: int) -> None:
    try:
        written = 0
        while written < len(line):
            written += os.write(descriptor, line[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def sha256_file(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_space(path: Path | str, bytes_needed: int) -> None:
    """Raise NotReady unless the disk that holds (or will hold) `path` has that many bytes free."""
    free = free_space(Path(path))
    if free < bytes_needed:
        raise NotReady(
            f"{path} needs {_size(bytes_needed)} and its disk has {_size(free)} free",
            hint="free some space, or set SAMOSA_HOME to a folder on a larger disk",
        )


def require_writable(path: Path | str) -> None:
    """Raise NotReady unless files can be made at `path`, or where it will be made."""
    there = _nearest(Path(path))
    if not there.is_dir():
        raise _unwritable(there, os.strerror(errno.ENOTDIR))
    if not os.access(there, os.W_OK | os.X_OK):
        raise _unwritable(there, os.strerror(errno.EACCES))


@contextlib.contextmanager
def failure_said(path: Path) -> Iterator[None]:
    """Turn a write that the disk or its permissions refuse into an error a person can act on."""
    try:
        yield
    except OSError as error:
        if error.errno in UNWRITABLE and _is_about(error, path):
            raise _unwritable(path, str(error.strerror)) from error
        if error.errno not in NO_SPACE:
            raise
        raise NotReady(
            f"the disk is full: could not write {path} ({_size(free_space(path))} free)",
            hint="free some space, or set SAMOSA_HOME to a larger disk, and run it again; earlier files are untouched",
        ) from error


def _is_about(error: OSError, path: Path) -> bool:
    """Whether it is `path` or its folders that failed, and not another file that the writer reads."""
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return True
    failed, folder = Path(os.fsdecode(error.filename)), path.parent
    return failed == folder or folder in failed.parents or failed in folder.parents


def _unwritable(path: Path, reason: str) -> NotReady:
    return NotReady(
        f"cannot write {path}: {reason}",
        hint="make it writable, or export SAMOSA_HOME=/path/you/can/write, or name another --out",
    )


def free_space(path: Path) -> int:
    """Bytes free on the disk that holds, or will hold, `path`."""
    return shutil.disk_usage(_nearest(path)).free


def _nearest(path: Path) -> Path:
    """The path itself, or the closest folder above it that is there."""
    while not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a folder that may not be entered
        path = path.parent
    return path


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(path: Path) -> None:
    """Remove what a killed process left of an earlier attempt at the same file: it may be gigabytes."""
    for left in path.parent.glob(f".tmp-*-{glob.escape(path.name)}"):
        owner = left.name.split("-")[1]
        with contextlib.suppress(OSError):  # another process may be sweeping as well
            if owner.isdigit() and not alive(int(owner)) and time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def alive(pid: int) -> bool:
    """Whether a process of this machine runs under `pid`, whosever it is; one that ended and waits for its parent to
    take notice does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:  # it has just gone, or this is no Linux
        return not Path("/proc/self/stat").exists()
    return state not in ("Z", "X")
