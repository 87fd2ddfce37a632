"""The same work on every chunk, by any number of processes on any number of machines, with the same bytes at the end.

A chunk's outcome is a folder of its own (a part) that appears whole, under a name that says what it was made from. So
work that was killed goes on from its last chunk, other ranks' parts are found, and nothing is done or written twice.
Parts lie beside what they will be merged into and are removed once it stands.
"""

import contextlib
import fcntl
import glob
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from samosa import home
from samosa.data.manifest import Chunk
from samosa.errors import SamosaError

Counts = dict[str, Any]
Work = Callable[[Chunk, Path], Counts]
"""Writes a chunk's files into a folder and returns what to remember of them, as JSON has it. Its outcome follows from
the chunk alone; to run in other processes it is a function at the top of a module, or a partial of one."""

RESULT, LOCK = "result.json", "lock"
COPIED_AT_ONCE = 1 << 20  # bytes
TICK = 0.2  # seconds between looks at the progress
FORKED_WELL = {"jemalloc_bg_thd"}  # pyarrow's, idle; jemalloc sees to it at a fork (pthread_atfork)
KEPT_FREE = 31 << 20  # bytes, see keep_freed_memory
LOOKS, LOOK_SECONDS = 10, 0.005  # for threads, before it is certain that some stay
GONE = 1.0  # seconds for the threads of a pool to end when its processes have
STALE = 24 * 3600  # seconds; a part this old that nobody merged was left by a command that will not come back


@dataclass(frozen=True)
class Result:
    """What became of one chunk."""

    chunk: Chunk
    folder: Path
    """Where its files lie until they are merged."""
    counts: Counts
    cached: bool
    """Whether it was there already."""


def map_chunks(
    work: Work,
    chunks: Sequence[Chunk],
    out: Path,
    *,
    key: str,
    workers: int,
    rank: int = 0,
    of: int = 1,
    progress: Callable[[Result | None], None] = lambda result: None,
) -> list[Result]:
    """Do `work` on every `of`-th chunk from `rank` on, and return the results of all that are done, in chunk order.

    `out` is the folder of the parts; `key` says everything but the chunk that decides the outcome: settings, and the
    code's version. Fewer results than chunks are back while other ranks still have theirs to do. `progress` is given
    each result as it comes, and None now and then between them. Raises what `work` raises, and SamosaError when a
    process dies; chunks that are done stay done.
    """
    assert 0 <= rank < of and workers > 0, "rank counts from 0 up to of"
    home.make_folder(out)
    _sweep(out)
    places = {chunk: out / _name(chunk, key) for chunk in chunks}
    done: dict[Chunk, Result] = {}
    for chunk in chunks[rank::of]:
        if (found := _read(chunk, places[chunk])) is not None:
            done[chunk] = found
            progress(found)
    left = [chunk for chunk in chunks[rank::of] if chunk not in done]
    for result in _run(work, left, places, workers, progress):
        done[result.chunk] = result
    for chunk in chunks:
        if chunk not in done and (found := _read(chunk, places[chunk])) is not None:
            done[chunk] = found
    return [done[chunk] for chunk in chunks if chunk in done]


def merge(results: Iterable[Result], name: str, target: Path) -> None:
    """Join the files called `name` of all parts in their order; the target appears whole or not at all.

    Raises NotReady where the disk is too full.
    """
    with home.atomic_path(target) as temp, temp.open("wb") as joined:
        for result in results:
            with (result.folder / name).open("rb") as part:
                shutil.copyfileobj(part, joined, COPIED_AT_ONCE)


def remove(results: Iterable[Result], out: Path) -> None:
    """Remove parts that were merged, those a day old, and the folder where that leaves it empty."""
    for result in results:
        shutil.rmtree(result.folder, ignore_errors=True)
    _sweep(out)  # workers outlive a killed parent by a moment
    with contextlib.suppress(OSError):  # another command may be removing as well
        for entry in out.iterdir():
            if entry.is_dir() and time.time() - entry.stat().st_mtime > STALE:
                shutil.rmtree(entry, ignore_errors=True)
        if {entry.name for entry in out.iterdir()} <= {LOCK}:
            (out / LOCK).unlink(missing_ok=True)
            out.rmdir()


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Have the parts in `out` to oneself: of ranks that finish together one merges. A killed holder lets go."""
    home.make_folder(out)
    with (out / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def default_workers() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(
    work: Work, chunks: Sequence[Chunk], places: Mapping[Chunk, Path], workers: int, progress: Callable[..., None]
) -> Iterator[Result]:
    if min(workers, len(chunks)) <= 1:  # a process of its own takes a fifth of a second to start
        keep_freed_memory()
        for chunk in chunks:
            result = _part(work, chunk, places[chunk])
            progress(result)
            yield result
        return
    pool = ProcessPoolExecutor(min(workers, len(chunks)), mp_context=_context(), initializer=_begin)
    try:
        waiting = {pool.submit(_part, work, chunk, places[chunk]) for chunk in chunks}
        while waiting:
            finished, waiting = wait(waiting, timeout=TICK, return_when="FIRST_COMPLETED")
            progress(None)
            for future in finished:
                result = _outcome(future)
                progress(result)
                yield result
    finally:
        end_workers(pool)


def _context() -> BaseContext:
    """How workers are started: forked, which takes no time, where no library has threads that a fork would tear."""
    for _ in range(LOOKS):
        if _is_alone():
            return multiprocessing.get_context("fork")
        if threading.active_count() > 1:
            break
        time.sleep(LOOK_SECONDS)  # a thread that Python has joined takes a moment more to end
    return multiprocessing.get_context("spawn")


def _is_alone() -> bool:
    threads = Path("/proc/self/task")  # Linux; threads of libraries are counted, too
    names = map(_name_of, threads.iterdir()) if threads.is_dir() else ()
    return sum(name is not None and name not in FORKED_WELL for name in names) == 1


def _name_of(thread: Path) -> str | None:
    """None for one that has just ended."""
    with contextlib.suppress(OSError):
        return (thread / "comm").read_text().strip()
    return None


def _begin() -> None:
    die_with_parent()
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Blocks of up to 31 MB that are freed are used again, instead of going back to the system each time.

    glibc maps what is larger than the largest such block that was freed, at first 128 kB, and gives back what is free
    at the heap's end beyond twice that; a page that comes anew costs up to 10 us on virtual machines. Encoding 8 MB of
    text took 0.50 s instead of 0.32 where no large block had been freed by chance.
    """
    bytes(KEPT_FREE)  # zeros that calloc maps and nobody touches


def _outcome(future: Future[Result]) -> Result:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise SamosaError(
            "a worker process died: out of memory, or somebody killed it",
            hint="run the same command again, with fewer --workers: it goes on from the chunks that are done",
        ) from error


def end_workers(pool: ProcessPoolExecutor) -> None:
    """End the workers, in the middle of a chunk if need be: it is done again the next time."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    manager = getattr(pool, "_executor_manager_thread", None)
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    if manager is not None:  # else the next pool may find its threads, and spawn what it could fork
        manager.join(GONE)


@contextlib.contextmanager
def scratch(out: Path) -> Iterator[Path]:
    """An empty folder among the parts in `out`, removed when the block ends; what a killed process leaves of its own is
    removed by the next one."""
    folder = out / f"{_making()}{os.getpid()}-{os.urandom(4).hex()}"
    home.make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _part(work: Work, chunk: Chunk, place: Path) -> Result:
    """Do one chunk in a folder beside its place and move it there when it is whole."""
    with scratch(place.parent) as making, home.failure_said(place.parent):
        counts = work(chunk, making)
        sizes = {entry.name: entry.stat().st_size for entry in making.iterdir()}
        said = json.dumps({"counts": counts, "sizes": sizes})
        (making / RESULT).write_text(said)
        _put_in_place(making, place, chunk)
    return Result(chunk, place, json.loads(said)["counts"], cached=False)


def _put_in_place(making: Path, place: Path, chunk: Chunk) -> None:
    if place.exists() and _read(chunk, place) is None:  # a power cut left it
        shutil.rmtree(place, ignore_errors=True)
    try:
        making.rename(place)
    except OSError:
        if _read(chunk, place) is None:  # else another process did the same chunk, with the same outcome
            raise


def _read(chunk: Chunk, place: Path) -> Result | None:
    """A part that is whole, or None."""
    try:
        record = json.loads((place / RESULT).read_text())
        if all((place / name).stat().st_size == size for name, size in record["sizes"].items()):
            return Result(chunk, place, record["counts"], cached=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _name(chunk: Chunk, key: str) -> str:
    """Says what a part is made from: a changed file has another size or time, and so another part."""
    stat = chunk.path.stat()
    made_from = (key, str(chunk.path.resolve()), stat.st_size, stat.st_mtime_ns, chunk.kind, chunk.start, chunk.end)
    return hashlib.sha256(repr(made_from).encode()).hexdigest()[:20]


def _making() -> str:
    """What the names of this machine's unfinished parts begin with."""
    return f".making-{socket.gethostname()}-"


def _sweep(out: Path) -> None:
    """Remove the unfinished parts of killed processes; only of this machine, whose processes can be looked up."""
    for path in out.glob(f"{glob.escape(_making())}*"):
        owner = path.name.removeprefix(_making()).split("-")[0]
        if owner.isdigit() and not home.alive(int(owner)):
            shutil.rmtree(path, ignore_errors=True)


def die_with_parent() -> None:
    """A worker leaves the keyboard to its parent and does not outlive it, however that one ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "only in a worker"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
