"""The launcher over processes that only talk, so that each test is quick; one real run over two ranks in the soak."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from samosa import home
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.model.checkpoint import load_model
from samosa.train import launch, rank
from samosa.train.job import complete_checkpoints, read_job, write_job
from samosa.train.launch import Gang
from samosa.train.stop import StopFlag, write_marker
from tests.train.jobs import make_job

CHECKPOINT = """
import json, pathlib
from samosa.train.job import read_job, val_path
job = read_job(pathlib.Path(sys.argv[1]))
out = pathlib.Path(job.out_dir)
out.mkdir(parents=True, exist_ok=True)
(out / "model_000012.pt").write_bytes(b"")
(out / "meta_000012.json").write_text(json.dumps({"samosa": {"fingerprint": job.fingerprint, "steps": 12}}))
(out / "manifest_000012.json").write_text("{}")
val_path(out, 12).write_text('{"val_bpb": 1.0}')
"""
STOPS_WHEN_ASKED = """
import json, os, pathlib, signal, time
from samosa.train.job import read_job
job = read_job(pathlib.Path(sys.argv[1]))
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print(json.dumps({"rank": os.getpid()}), flush=True)
while not asked:
    time.sleep(0.01)
job.marker_path.write_text(json.dumps({"reason": "SIGTERM; step 4 of 12 is saved", "code": 130, "hint": None}))
"""
DEAF = """
import json, os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"rank": os.getpid()}), flush=True)
time.sleep(60)
"""


@pytest.fixture
def worker(monkeypatch, tmp_path):
    """Puts a script in the place of the training processes."""

    def place(text):
        script = tmp_path / "worker.py"
        script.write_text("import sys\n" + text)
        monkeypatch.setattr(launch, "command", lambda path, nproc, gang: [sys.executable, str(script), str(path)])

    return place


def ask_after(condition, *numbers):
    """Send this process signals once the condition holds, each when the one before is heard: of two of a kind that come
    while the main thread waits for a core, Python hears one."""

    def wait():
        while not condition():
            time.sleep(0.01)
        for heard, number in enumerate(numbers):
            while signal.getsignal(number).__self__.asked < heard:
                time.sleep(0.01)
            os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


def test_talk_goes_to_the_console_and_the_log_and_the_rest_to_the_log_alone(samosa_home, worker, capsys, monkeypatch):
    progress = []
    monkeypatch.setattr(launch.console, "live_line", progress.append)
    worker(
        'print(\'{"say": "step 3: saved"}\')\nprint(\'{"live": "step 4/12  loss 2.0"}\')\nprint("library noise")\n'
        'print(\'{"warn": "not finite"}\', flush=True)\nprint("a traceback", file=sys.stderr)\n' + CHECKPOINT
    )
    job = make_job("talks")
    outcome = launch.run(job, 1)
    assert (outcome.code, outcome.ref.name) == (0, "talks@12")
    assert read_job(job.job_path) == job
    seen, log = capsys.readouterr().err, job.log_path.read_text()
    assert progress == ["step 4/12  loss 2.0"]
    assert "step 3: saved" in seen and "warning: not finite" in seen
    assert "noise" not in seen and "traceback" not in seen
    assert "library noise" in log and "a traceback" in log and "step 3: saved" in log and "step 4/12" not in log


def test_a_finished_run_is_not_started_again(samosa_home, worker, capsys):
    worker(CHECKPOINT)
    launch.run(make_job("done"), 1)
    worker("raise SystemExit('started again')")
    assert launch.run(make_job("done"), 1).code == 0
    assert "done@12 is trained already" in capsys.readouterr().err


def test_a_signal_is_forwarded_once_and_the_run_counts_as_stopped(samosa_home, worker):
    worker(STOPS_WHEN_ASKED)
    job = make_job("asked")
    before = signal.getsignal(signal.SIGTERM)
    ask_after(lambda: signal.getsignal(signal.SIGTERM) != before, signal.SIGTERM)
    outcome = launch.run(job, 1)
    assert (outcome.code, outcome.reason) == (130, "SIGTERM; step 4 of 12 is saved")
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_signal_stops_at_once(samosa_home, worker):
    worker(DEAF)
    before = signal.getsignal(signal.SIGTERM)
    ask_after(lambda: signal.getsignal(signal.SIGTERM) != before, signal.SIGTERM, signal.SIGTERM)
    outcome = launch.run(make_job("deaf"), 1)
    assert (outcome.code, outcome.reason) == (130, "stopped at once")


def test_a_second_signal_ends_ranks_that_have_sessions_of_their_own(samosa_home, worker):
    worker(
        "import json, os, signal, subprocess, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "code = 'import json, os, time; print(json.dumps({\"rank\": os.getpid()}), flush=True); time.sleep(60)'\n"
        "for _ in range(2):\n    subprocess.Popen([sys.executable, '-c', code], start_new_session=True)\n"
        'print(json.dumps({"rank": os.getpid()}), flush=True)\ntime.sleep(60)\n'
    )
    began, before = time.monotonic(), signal.getsignal(signal.SIGTERM)
    ask_after(lambda: signal.getsignal(signal.SIGTERM) != before, signal.SIGTERM, signal.SIGTERM)
    assert launch.run(make_job("sessions"), 1).reason == "stopped at once"
    assert time.monotonic() - began < 30  # seconds; left alone, the ranks hold the launcher for 60


def test_a_rank_that_joins_after_everything_was_stopped_is_ended(samosa_home):
    sleepers = [subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(3)]
    group, early, late = sleepers
    ranks = launch._Ranks(group=group.pid)
    ranks.joined(early.pid)
    ranks.asked = 1
    ranks.take(signal.SIGINT, None)
    ranks.joined(late.pid)
    assert [sleeper.wait(10) for sleeper in sleepers] == [-signal.SIGKILL] * 3


def test_an_error_of_a_rank_is_raised_as_itself(samosa_home, worker):
    worker(
        "import json, pathlib\nfrom samosa.train.job import read_job\n"
        'read_job(pathlib.Path(sys.argv[1])).marker_path.write_text(json.dumps({"reason": "no rows", "code": 3,'
        ' "hint": "pack again"}))\nsys.exit(3)'
    )
    with pytest.raises(NotReady, match="no rows") as raised:
        launch.run(make_job("error"), 1)
    assert raised.value.hint == "pack again"


def test_an_error_that_was_only_told_is_raised_as_itself_and_the_first_counts(samosa_home, worker):
    told = [{"reason": "the disk is full", "code": 3, "hint": "free some"}, {"reason": "gloo", "code": 1, "hint": None}]
    lines = "".join(f"print({json.dumps({'ended': one})!r}, flush=True)\n" for one in told)
    worker(f"{lines}sys.exit(1)")
    with pytest.raises(NotReady, match="the disk is full") as raised:
        launch.run(make_job("full"), 1)
    assert raised.value.hint == "free some"


def test_a_full_disk_under_the_log_does_not_stop_the_launcher(samosa_home, worker, monkeypatch):
    worker('print("library noise")\nprint(\'{"ended": {"reason": "full", "code": 3, "hint": "free some"}}\')')
    monkeypatch.setattr(launch.Job, "log_path", Path("/dev/full"))
    with pytest.raises(NotReady, match="full"):
        launch.run(make_job("full"), 1)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
        ("sys.exit(7)", "exit code 7"),
    ],
)
def test_a_crash_names_the_log_and_the_knob(samosa_home, worker, text, what):
    worker(text)
    job = make_job("crash")
    with pytest.raises(SamosaError, match=what) as raised:
        launch.run(job, 1)
    assert raised.value.exit_code == 1
    assert str(job.log_path) in raised.value.hint and "train.micro_batch" in raised.value.hint


@pytest.mark.parametrize("nproc", [0, 4097])
def test_more_processes_than_the_machine_has_are_refused_before_anything_starts(samosa_home, worker, nproc):
    worker("raise SystemExit('started')")
    job = make_job("many")
    with pytest.raises(NotReady, match=f"--nproc {nproc}"):
        launch.run(job, nproc)
    assert not Path(job.run_dir).exists()


def test_other_training_under_the_same_tag_is_refused_before_anything_starts(samosa_home, worker):
    worker(CHECKPOINT)
    launch.run(make_job("taken"), 1)
    with pytest.raises(BadInput, match="taken@12 exists already"):
        launch.run(make_job("taken", fingerprint="other"), 1)


def test_several_processes_meet_on_the_loopback():
    line = launch.command(Path("job.json"), 4)
    assert "--nproc-per-node=4" in line and "--rdzv-endpoint=127.0.0.1:0" in line
    assert line[-3:] == ["-m", "samosa.train.rank", "job.json"]


def test_nodes_meet_where_they_are_told_and_node_0_has_rank_0():
    line = launch.command(Path("job.json"), 8, Gang(nnodes=2, node_rank=1, rdzv="10.0.0.1:29400"))
    assert {"--nnodes=2", "--node-rank=1", "--rdzv-backend=static", "--rdzv-endpoint=10.0.0.1:29400"} <= set(line)
    assert "GLOO_SOCKET_IFNAME" not in launch.environment(8, Gang(nnodes=2, rdzv="10.0.0.1:29400"))


def test_a_single_process_is_started_by_torchrun_where_it_may_have_to_be_started_again():
    assert "torch.distributed.run" not in launch.command(Path("job.json"), 1)
    assert "--max-restarts=3" in launch.command(Path("job.json"), 1, Gang(max_restarts=3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"nnodes": 2},
        {"rdzv": "10.0.0.1:29400"},
        {"nnodes": 2, "node_rank": 2, "rdzv": "10.0.0.1:29400"},
        {"nnodes": 2, "rdzv": "10.0.0.1"},
    ],
)
def test_nodes_that_cannot_meet_are_refused(wrong):
    with pytest.raises(BadInput):
        Gang(**wrong)


def test_what_the_first_gang_died_of_is_forgotten_when_the_second_one_finishes(samosa_home, worker, capsys):
    died = json.dumps({"ended": {"reason": "gloo", "code": 1, "hint": None}})
    events = [died, *(json.dumps(event) for event in ({"attempt": 1}, {"rank": 2**22}) for _ in range(2))]
    worker("".join(f"print({event!r}, flush=True)\n" for event in events) + CHECKPOINT)
    assert launch.run(make_job("again"), 1).code == 0
    assert capsys.readouterr().err.count("all start again from the last checkpoint") == 1


def test_what_another_start_does_not_mend_is_not_tried_again(samosa_home, monkeypatch):
    job = make_job("mended")
    path = str(write_job(job))
    monkeypatch.setattr(rank, "_work", lambda job, stop: pytest.fail("tried again"))
    monkeypatch.setattr(StopFlag, "install", lambda self: None)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    write_marker(job, reason="the disk is full", code=3, hint="free some")
    assert rank.main([path]) == 0
    job.marker_path.unlink()
    write_marker(job, reason="gloo", code=1, final=False)
    with pytest.raises(pytest.fail.Exception, match="tried again"):
        rank.main([path])


def test_the_cores_are_shared_out_unless_the_person_says_otherwise(monkeypatch):
    monkeypatch.setattr(launch, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert launch.environment(4)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert launch.environment(4)["OMP_NUM_THREADS"] == "1"


def test_the_launcher_loads_no_torch():
    code = "import samosa.train.launch, sys; sys.exit('torch' in sys.modules or 'wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.soak
def test_two_real_ranks_train_stop_and_go_on(samosa_home, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole = launch.run(make_job("whole", steps=200), 2).ref
    job = make_job("halves", steps=200)
    ask_after(lambda: job.metrics_path.exists() and job.metrics_path.stat().st_size > 4000, signal.SIGINT)
    stopped = launch.run(job, 2)
    assert stopped.code == 130 and stopped.ref.step < 200
    assert launch.run(job, 2).code == 0
    ours, theirs = load_model(complete_checkpoints(job)[-1])[0], load_model(whole)[0]
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    steps = [json.loads(line) for line in job.metrics_path.read_text().splitlines()]
    assert [r["step"] for r in steps if r["kind"] == "step"] == list(range(1, 201))


@pytest.mark.soak
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_rank_that_is_killed_ends_the_run_with_the_log_and_the_knob(samosa_home, monkeypatch, rank):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    job = make_job("murder", steps=100_000)

    def kill():
        while not (job.metrics_path.exists() and job.metrics_path.stat().st_size > 1000):
            time.sleep(0.05)
        for process in psutil.Process().children(recursive=True):
            if process.environ().get("RANK") == rank:
                process.kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(SamosaError, match="training murder failed") as raised:
        launch.run(job, 2)
    assert raised.value.exit_code == 1
    assert str(job.log_path) in raised.value.hint and "micro_batch" in raised.value.hint


@pytest.mark.soak
def test_a_run_whose_launcher_was_killed_saves_and_leaves(samosa_home):
    job = make_job("orphan", steps=100_000, save_every=0, eval_every=0)
    code = (
        "import sys, pathlib; from samosa.train.job import read_job; from samosa.train.launch import run;"
        "run(read_job(pathlib.Path(sys.argv[1])), 1)"
    )
    home.write_atomic(samosa_home / "orphan.json", json.dumps(job.__dict__))
    launcher = subprocess.Popen([sys.executable, "-c", code, str(samosa_home / "orphan.json")])
    while not job.metrics_path.exists():
        time.sleep(0.05)
    launcher.kill()
    launcher.wait()
    deadline = time.monotonic() + 30
    while not job.marker_path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "the launcher is gone" in json.loads(job.marker_path.read_text())["reason"]
    assert complete_checkpoints(job)


def whole_run(tag, **train):
    """The checkpoint of an undisturbed run over two ranks."""
    return launch.run(make_job(tag, **train), 2).ref


def assert_the_same_steps(job, whole, steps):
    ours, theirs = load_model(complete_checkpoints(job)[-1])[0], load_model(whole)[0]
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    lines = [json.loads(line) for line in job.metrics_path.read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "step"] == list(range(1, steps + 1))


@pytest.mark.soak
@pytest.mark.parametrize("dead", ["0", "1"])
def test_a_rank_that_is_killed_is_started_again_with_the_others(samosa_home, monkeypatch, capsys, dead):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole = whole_run("whole", steps=60)
    job = make_job("restarted", steps=60)

    def kill():
        while not (job.metrics_path.exists() and job.metrics_path.stat().st_size > 4000):
            time.sleep(0.01)
        for process in psutil.Process().children(recursive=True):
            if process.environ().get("RANK") == dead:
                process.kill()

    threading.Thread(target=kill, daemon=True).start()
    assert launch.run(job, 2, Gang(max_restarts=1)).code == 0
    assert "restart 1" in capsys.readouterr().err
    assert_the_same_steps(job, whole, 60)


@pytest.mark.soak
def test_two_nodes_train_as_two_ranks_of_one_do(samosa_home, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    whole, job = whole_run("whole"), make_job("nodes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    other = []
    gang = Gang(nnodes=2, node_rank=1, rdzv=place)
    second = threading.Thread(target=lambda: other.append(launch.run(job, 1, gang)))
    second.start()
    assert launch.run(job, 1, Gang(nnodes=2, node_rank=0, rdzv=place)).code == 0
    second.join()
    assert other[0].code == 0
    assert_the_same_steps(job, whole, 12)
