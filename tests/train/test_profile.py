"""Ten steps of a real job under the profiler."""

import gzip
import json
from pathlib import Path

import pytest

from samosa import home
from samosa.phases import profile as shown
from samosa.train import profile
from tests.train.jobs import make_job
from tests.train.tiny import ALONE


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    """The summary, and the trace's events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMOSA_HOME", str(tmp_path_factory.mktemp("home")))
        job = make_job("profile-pretrain", steps=profile.WARMUP + profile.STEPS)
        profile.run(job, ALONE)
        run_dir = Path(job.run_dir)
        assert not list(home.checkpoint_dir("base", job.tag).glob("*")), "nothing is saved"
    trace = json.loads(gzip.decompress((run_dir / profile.TRACE_FILE).read_bytes()))
    return json.loads((run_dir / profile.SUMMARY_FILE).read_text()), trace["traceEvents"]


def test_the_trace_holds_ten_steps_with_their_parts(profiled):
    _, events = profiled
    steps = {event["name"] for event in events if event.get("name", "").startswith("ProfilerStep#")}
    assert len(steps) == 10
    named = [event["name"] for event in events if event.get("cat") == "user_annotation"]
    assert named.count("optimizer") == named.count("agree") == 10
    assert named.count("forward") == named.count("backward") == 20  # two micro-batches a step


def test_the_parts_of_a_step_add_up_to_it(profiled):
    found, events = profiled
    spans = {name: span["host"] for name, span in found["spans"].items()}
    assert set(spans) == {*profile.SPANS, "other"}
    assert sum(spans.values()) == pytest.approx(found["ms_per_step"], rel=0.02)
    # Counted once more, from the trace: microseconds of ten steps.
    traced = sum(e["dur"] for e in events if e.get("cat") == "user_annotation" and e["name"] == "backward")
    assert spans["backward"] == pytest.approx(traced / 1e3 / 10, rel=0.02)


def test_the_table_tells_parts_and_dearest_operators(profiled, capsys):
    found, _ = profiled
    shown.show(found)
    said = capsys.readouterr().err
    assert all(name in said for name in ("data", "forward", "backward", "optimizer", "gather", "step", "100.0%"))
    assert 0 < len(found["operators"]) <= profile.OPERATORS and "aten::" in said
    costs = [operator["host"] for operator in found["operators"].values()]
    assert costs == sorted(costs, reverse=True)
