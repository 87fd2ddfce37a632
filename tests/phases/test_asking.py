"""A killed evaluation goes on, a finished one asks nothing, and any number of processes says the same."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from samosa.chat.tokenizer import load_tokenizer
from samosa.cli import main
from samosa.errors import NotReady
from samosa.eval import turns
from samosa.phases import asking
from tests.phases.test_judging import home_with_model, save  # noqa: F401 - a fixture

ASK = ["--tag", "untaught", "--seed", "5"]
for _key in ("n=3", "c=1", "rows=3", "max_tokens=14", "dtype=float32", "top_k=0", "temperature=1.0"):
    ASK += ["-s", f"gate.{_key}"]
FULL = ["--suite", "full"]
for _key in ("per_category=1", "counts.think_tool=2", "samples=1", "rounds=1"):
    FULL += ["-s", f"full.{_key}"]


def evaluate(home, *arguments):
    """Run the evaluation and return its samples and its exit code."""
    code = main(["eval", *ASK, *arguments])
    (samples,) = (home / "runs" / "untaught" / "eval").iterdir()
    return samples.read_bytes(), code


def kept(home):
    return [path for path in (home / "evals").rglob("*.jsonl") if path.parent.name == "turns"]


def nobody_asks(*_):
    raise NotReady("a model was loaded", hint="it should not have been")


def test_a_finished_evaluation_asks_nothing_again(home_with_model, monkeypatch, capsys):  # noqa: F811
    first = evaluate(home_with_model)
    with monkeypatch.context() as patched:
        patched.setattr(asking, "load", nobody_asks)
        assert evaluate(home_with_model) == first
        assert "was asked all 12 tries before" in capsys.readouterr().err
        assert evaluate(home_with_model, "--redo")[1] == NotReady.exit_code
    assert evaluate(home_with_model) == first


def test_other_weights_under_the_same_tag_are_asked(home_with_model, monkeypatch):  # noqa: F811
    evaluate(home_with_model)
    directory = home_with_model / "chatsft_checkpoints" / "untaught"
    shutil.rmtree(directory)
    save(directory, load_tokenizer(home_with_model / "tokenizer").vocab_size, seed=1)
    monkeypatch.setattr(asking, "load", nobody_asks)
    assert evaluate(home_with_model)[1] == NotReady.exit_code


def test_what_was_torn_or_lost_is_asked_again_to_the_same_bytes(home_with_model):  # noqa: F811
    whole = evaluate(home_with_model)
    (path,) = kept(home_with_model)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:100])
    assert evaluate(home_with_model) == whole
    numbers = [int(found) for found in re.findall(rb'^{"batch": (\d+)', path.read_bytes(), re.MULTILINE)]
    assert sorted(numbers[2:]) == [1, 2, 3] and numbers[:1] == [0]


def test_any_number_of_processes_says_the_same(home_with_model, monkeypatch):  # noqa: F811
    alone = evaluate(home_with_model)
    kept(home_with_model)[0].unlink()
    shares = []

    def in_turn(work, left, nproc):  # the last process is the fastest
        for rank in reversed(range(nproc)):
            shares.append(list(left[rank::nproc]))
            asking._share(work, left[rank::nproc])

    monkeypatch.setattr(asking, "_ask", in_turn)
    assert evaluate(home_with_model, "--nproc", "3") == alone
    assert len(shares) == 3 and sorted(number for share in shares for number in share) == [0, 1, 2, 3]


def test_an_evaluation_killed_at_any_moment_comes_to_the_same_bytes(home_with_model, monkeypatch, soak_seed):  # noqa: F811
    def forked(*_):  # importing torch in a process of its own takes seconds
        keep = turns.keep
        monkeypatch.setattr(turns, "keep", lambda *batch: (keep(*batch), time.sleep(0.4)))
        child = os.fork()
        if child == 0:
            os.setsid()
            main(["eval", *ASK])
            os._exit(0)
        monkeypatch.setattr(turns, "keep", keep)
        return child

    killed(home_with_model, forked, kills=2, nproc=1, seed=soak_seed)


@pytest.mark.soak
@pytest.mark.parametrize("nproc", [1, 2])
@pytest.mark.parametrize("suite", [[], FULL], ids=["joint", "full"])
def test_killed_again_and_again_it_comes_to_the_same_bytes(home_with_model, soak_seed, nproc, suite):  # noqa: F811
    killed(home_with_model, started, *suite, kills=5, nproc=nproc, seed=soak_seed)


def killed(home, start, *suite, kills, nproc, seed):
    """Start the command, kill it and its processes after a batch or in the middle of one, again and again."""
    whole = evaluate(home, *suite)
    shutil.rmtree(home / "runs")
    kept(home)[0].unlink()
    wait = seed
    for _ in range(kills):
        wait = wait * 48271 % 2147483647
        _kill_after_a_batch(home, start(home, *suite, "--nproc", str(nproc)), seconds=wait % 300 / 1000)
        assert not (home / "runs").exists(), "it ended before it was killed"
        path = kept(home)[0]
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]) + lines[-1][: wait % len(lines[-1])])  # and torn by a power cut
    assert evaluate(home, *suite, "--nproc", str(nproc)) == whole
    records = (home / "evals" / "eval_results_v2.jsonl").read_text().splitlines()
    first, last = ({**json.loads(text), "ts": 0, "seconds": 0, "asked": 0} for text in records)
    assert first == last


SLOW = """
import sys, time
from samosa.cli import main
from samosa.eval import turns

keep = turns.keep
turns.keep = lambda *batch: (keep(*batch), time.sleep(0.4))  # in the processes that are spawned, too
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def started(home, *arguments):
    script = home / "slow.py"
    script.write_text(SLOW)
    command = [sys.executable, str(script), "eval", *ASK, *arguments]
    env = os.environ | {"PYTHONPATH": str(Path(asking.__file__).parents[2]), "SAMOSA_HOME": str(home)}
    return subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, start_new_session=True).pid


def _kill_after_a_batch(home, child, seconds):
    def size():
        return sum(path.stat().st_size for path in kept(home))

    before, deadline = size(), time.monotonic() + 120
    try:
        while size() <= before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(seconds)
    finally:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_base_model_is_asked_with_a_warning(home_with_model, capsys):  # noqa: F811
    folder = home_with_model / "base_checkpoints" / "alone"
    save(folder, load_tokenizer(home_with_model / "tokenizer").vocab_size, seed=1)
    assert main(["eval", *ASK, "--tag", "alone"]) == 10
    assert "alone@3 is a base model" in capsys.readouterr().err


@pytest.mark.parametrize("suite", [[], FULL], ids=["joint", "full"])
def test_what_a_plan_names_next_asks_the_same(home_with_model, suite, capsys):  # noqa: F811
    assert main(["eval", *ASK, *suite, "--plan"]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    settings = [value for value in [*ASK, *suite] if "=" in value]
    assert said.startswith("next: samosa eval") and " --seed 5 " in said
    assert all(f"--set {value}" in said for value in settings)
