"""The self-test, its record, and the switches that ask for it."""

import json

import pytest
import torch

from samosa.errors import NotReady
from samosa.phases import doctor
from samosa.phases.fit import that_matter
from samosa.train import selftest, switches, worker
from samosa.train.settings import Train
from samosa.train.stop import StopFlag
from tests.train.jobs import SETTINGS, make_job
from tests.train.tiny import ALONE

QUICK = ("attention", "head", "activation checkpointing", "fp8")
PASSED = {"status": "passed", "figure": 0.0, "tolerance": 1e-5, "note": "", "seconds": 0.1}


def settings(**changes):
    return Train.model_validate({**SETTINGS, **changes})


def test_what_a_cpu_can_check_quickly_passes_and_is_written_down(samosa_home):
    told = []
    found = selftest.run(QUICK, told=lambda name, result: told.append(name))
    assert told == list(QUICK)
    assert [result.status for result in found.values()] == ["passed", "passed", "passed", "skipped"]
    assert all(result.figure <= result.tolerance for result in found.values() if result.status == "passed")
    record = json.loads((samosa_home / "selftest.json").read_text())
    assert record["identity"] == switches.identity()
    assert torch.__version__.startswith(record["identity"]["torch"])  # +cu130
    assert record["checks"]["head"]["figure"] < 1e-6
    assert "needs CUDA" in record["checks"]["fp8"]["note"]


@pytest.mark.parametrize(
    ("check", "name", "broken"),
    [
        ("head", "nll_sum", lambda x, weight, targets, vocab: 1.001 * torch.logsumexp(x @ weight.t(), 1).sum()),
        (
            "attention",
            "attend",
            lambda q, k, v, window, layout: q + (k + v).repeat_interleave(2, 2),
        ),
        ("activation checkpointing", "_apart", lambda ours, plain: float("inf")),
        ("head", "nll_sum", lambda *given: 1 / 0),
    ],
)
def test_what_computes_wrong_or_dies_fails(samosa_home, monkeypatch, check, name, broken):
    monkeypatch.setattr(selftest, name, broken)
    result = selftest.run([check])[check]
    assert result.status == "failed" and (result.figure is None or result.figure > result.tolerance)


def test_the_two_ranks_of_the_optimizer_check_are_told_apart_from_one_that_is_wrong():
    alone = selftest._stepped(ALONE)
    assert selftest._apart(alone["transformer.wte.weight"] * 1.1, alone["transformer.wte.weight"]) == pytest.approx(0.1)


@pytest.mark.soak
def test_every_check_passes_or_says_why_it_was_skipped(samosa_home):
    found = selftest.run()
    assert found.keys() == selftest.CHECKS.keys()
    assert all(result.status == "passed" or (result.status == "skipped" and result.note) for result in found.values())


@pytest.mark.parametrize("switch", switches.CHECKS)
def test_a_switch_is_refused_until_its_check_has_passed_here(samosa_home, switch):
    train = settings(**{switch: True})
    with pytest.raises(NotReady, match=f"train.{switch} .*never self-tested") as refused:
        switches.require(train)
    assert refused.value.exit_code == 3 and refused.value.hint.startswith("samosa doctor --selftest")
    (row,) = doctor.check_switches(train)
    assert row.mark == "✗" and isinstance(row.error, NotReady)
    switches.write_record({switches.CHECKS[switch]: {**PASSED, "status": "failed"}})
    with pytest.raises(NotReady, match="is failed"):
        switches.require(train)
    switches.write_record({switches.CHECKS[switch]: PASSED})
    switches.require(train)
    assert doctor.check_switches(train)[0].mark == "✓"


@pytest.mark.parametrize(("what", "said"), [("device", "device"), ("torch", "torch"), ("code", "code")])
def test_a_self_test_of_another_machine_torch_or_code_does_not_count(samosa_home, monkeypatch, what, said):
    switches.write_record({"compile": PASSED})
    other = {**switches.identity(), what: "another"}
    monkeypatch.setattr(switches, "identity", lambda: other)
    with pytest.raises(NotReady, match=f"another .*{said}"):
        switches.require(settings(compile=True))


def test_two_switches_ask_for_the_check_of_all_together_and_none_for_nothing(samosa_home):
    switches.require(settings())
    assert doctor.check_switches(settings()) == []
    both = settings(compile=True, activation_checkpointing=True)
    switches.write_record({"compile": PASSED, "activation checkpointing": PASSED})
    with pytest.raises(NotReady, match=r"all switches together .*missing"):
        switches.require(both)
    switches.write_record({"compile": PASSED, "activation checkpointing": PASSED, switches.TOGETHER: PASSED})
    switches.require(both)


def test_ranks_refuse_too(samosa_home):
    with pytest.raises(NotReady, match="activation_checkpointing"):
        worker.run(make_job("refused", activation_checkpointing=True), ALONE, StopFlag())


def test_a_run_with_recomputed_layers_trains_as_one_without(samosa_home):
    switches.write_record({"activation checkpointing": PASSED})
    found = []
    for tag, on in (("plain", False), ("again", True)):
        job = make_job(tag, activation_checkpointing=on, steps=3)
        worker.run(job, ALONE, StopFlag())
        lines = map(json.loads, job.metrics_path.read_text().splitlines())
        found.append([line["loss"] for line in lines if line["kind"] == "step"])
    assert len(found[0]) == 3 and found[0] == found[1]


def test_only_fp8_makes_another_training_of_it():
    plain = that_matter(settings())
    assert plain == that_matter(settings(compile=True, activation_checkpointing=True))
    assert plain.keys().isdisjoint(switches.CHECKS), "as before there were switches: earlier runs go on"
    assert that_matter(settings(fp8=True)) == {**plain, "fp8": True}
