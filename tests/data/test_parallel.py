"""Chunks done by processes and ranks: every one once, in order, and found again after any kind of end."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from samosa import home
from samosa.data import parallel
from samosa.data.manifest import chunks_of
from samosa.errors import BadInput, NotReady, SamosaError


def copied(chunk, folder):
    data = chunk.path.read_bytes()[chunk.start : chunk.end]
    (folder / "copy").write_bytes(data)
    return {"bytes": len(data), "pid": os.getpid()}


def failing(chunk, folder):
    if chunk.index == 2:
        raise BadInput("the third", hint="none")
    return copied(chunk, folder)


def dying(chunk, folder):
    os._exit(9)


@pytest.fixture
def chunks(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(100)))
    return chunks_of([tmp_path / "a"], chunk_bytes=13)


def run(chunks, tmp_path, *, work=copied, key="k", workers=1, **options):
    return parallel.map_chunks(work, chunks, tmp_path / "parts", key=key, workers=workers, **options)


def test_parts_are_merged_in_the_order_of_the_file_and_then_removed(chunks, tmp_path):
    results = run(chunks, tmp_path)
    parallel.merge(results, "copy", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
    assert [result.chunk for result in results] == chunks
    parallel.remove(results, tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


def test_what_is_done_is_found_again_whatever_the_settings_of_others(chunks, tmp_path):
    first = run(chunks, tmp_path)
    assert not any(result.cached for result in first)
    assert all(result.cached for result in run(chunks, tmp_path))
    assert not any(result.cached for result in run(chunks, tmp_path, key="other"))
    os.utime(tmp_path / "a", (1, 1))
    assert not any(result.cached for result in run(chunks, tmp_path))


def test_a_part_cut_short_by_a_power_cut_is_done_again(chunks, tmp_path):
    first = run(chunks, tmp_path)
    (first[1].folder / "copy").write_bytes(b"")
    (first[2].folder / parallel.RESULT).write_text("{")
    again = run(chunks, tmp_path)
    assert [result.cached for result in again[:4]] == [True, False, False, True]
    parallel.merge(again, "copy", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


def test_ranks_have_every_chunk_once_and_the_last_has_all_results(chunks, tmp_path):
    done = [run(chunks, tmp_path, rank=rank, of=3) for rank in (2, 0, 1)]
    assert [len(results) for results in done] == [2, 5, 8] and len(chunks) == 8
    assert sum(not result.cached for results in done for result in results) == 8
    assert [result.chunk for result in done[-1]] == chunks


def test_what_one_chunk_raises_ends_the_work_and_the_others_stay_done(chunks, tmp_path):
    with pytest.raises(BadInput, match="the third"):
        run(chunks, tmp_path, work=failing)
    assert [result.cached for result in run(chunks, tmp_path)][:3] == [True, True, False]
    assert not list((tmp_path / "parts").glob(".making*"))


def test_two_processes_share_the_work_and_a_dead_one_is_told(chunks, tmp_path):
    results = run(chunks, tmp_path, workers=2)
    assert [result.chunk for result in results] == chunks
    assert os.getpid() not in {result.counts["pid"] for result in results}
    with pytest.raises(SamosaError, match="a worker process died") as caught:
        run(chunks[:2], tmp_path, work=dying, key="d", workers=2)
    assert caught.value.exit_code == 1 and "--workers" in caught.value.hint


def test_a_full_disk_is_not_ready_and_leaves_nothing_half_done(chunks, tmp_path, monkeypatch):
    def full(chunk, folder):
        (folder / "copy").write_bytes(b"some")
        raise OSError(28, "No space left on device")

    with pytest.raises(NotReady, match="disk is full"):
        run(chunks, tmp_path, work=full)
    assert not list((tmp_path / "parts").iterdir())


def test_leftovers_of_the_dead_go_at_once_and_unmerged_parts_after_a_day(chunks, tmp_path):
    results = run(chunks, tmp_path)
    parts = tmp_path / "parts"
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left, live = (parts / f"{parallel._making()}{pid}-x" for pid in (dead.stdout.strip(), os.getpid()))
    old, new = parts / "old", parts / "new"
    for folder in (left, live, old, new):
        folder.mkdir()
    os.utime(old, (time.time() - parallel.STALE - 9,) * 2)
    run(chunks, tmp_path)
    assert not left.exists() and live.exists()
    parallel.remove(results, parts)
    assert {path.name for path in parts.iterdir()} == {"new", live.name}


def test_workers_die_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys, time
        from pathlib import Path
        from samosa.data import parallel
        from samosa.data.manifest import chunks_of
        def sleepy(chunk, folder):
            (Path(sys.argv[1]) / f"pid{os.getpid()}").write_text("")
            time.sleep(600)
        if __name__ == "__main__":
            source = Path(sys.argv[1]) / "a"
            source.write_bytes(b"ab")
            chunks = chunks_of([source], chunk_bytes=1)
            parallel.map_chunks(sleepy, chunks, source.with_name("parts"), key="", workers=2)
        """)
    )
    root = str(Path(home.__file__).parents[1])
    parent = subprocess.Popen([sys.executable, script, tmp_path], env=os.environ | {"PYTHONPATH": root})
    started = _until(lambda: len(pids := list(tmp_path.glob("pid*"))) == 2 and pids)
    parent.kill()
    parent.wait()
    assert _until(lambda: not any(_runs(int(path.name.removeprefix("pid"))) for path in started))


def _runs(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)
    return found


def test_results_are_plain_json_whether_fresh_or_found(chunks, tmp_path):
    def counted(chunk, folder):
        return {"by": {1: "one"}, "pair": (1, 2)}

    fresh, found = (run(chunks[:1], tmp_path, work=counted)[0].counts for _ in range(2))
    assert fresh == found == json.loads(json.dumps(counted(None, None)))


def test_workers_are_forked_by_a_process_of_one_thread_and_else_spawned():
    code = "import threading, time\nfrom samosa.data import parallel\n{}print(parallel._context().get_start_method())"
    alone = run_python(code.format(""))
    libraries = run_python(code.format("import numpy, pyarrow\n"), OPENBLAS_NUM_THREADS="1")
    other = run_python(code.format("threading.Thread(target=time.sleep, args=(5,), daemon=True).start()\n"))
    assert (alone, libraries, other) == (("fork", "fork", "spawn") if sys.platform == "linux" else ("spawn",) * 3)


def test_a_data_command_forks_its_workers_though_it_needs_numpy(tmp_path):
    rows = [json.dumps({"messages": [{"role": "user", "content": f"{n} " * 40_000}]}) for n in range(20)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    code = """
import sys
from samosa import cli
from samosa.data import parallel

context = parallel._context

def said():
    print(context().get_start_method())
    return context()

parallel._context = said
cli.main(["dedup", sys.argv[1], "--workers", "2", "--set", "chunk_mb=1"])
print("numpy" in sys.modules)
"""
    without = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "rows.jsonl"],
        env={**without, "SAMOSA_HOME": str(tmp_path / "home")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == {"fork" if sys.platform == "linux" else "spawn", "True"}, done.stderr


def test_threads_that_end_while_they_are_counted_are_none():
    stop = threading.Event()

    def make_threads():
        while not stop.is_set():
            threading.Thread(target=int).start()

    maker = threading.Thread(target=make_threads)
    maker.start()
    try:
        assert all(parallel._context().get_start_method() == "spawn" for _ in range(500))
    finally:
        stop.set()
        maker.join()


def run_python(code, **env):
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
