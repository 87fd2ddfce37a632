import json
import math

import pytest

from samosa import home
from samosa.chat.tokenizer import save_tokenizer, train_tokenizer
from samosa.config import Options, load
from samosa.errors import BadInput, NotReady
from samosa.model.config import from_depth
from samosa.phases import doctor, phase_a, runs
from samosa.phases.fit import describe, pack_mix
from samosa.phases.settings import PhaseA
from samosa.phases.sizes import measured_speed, memory_bytes, speed_key, steps_of
from samosa.phases.stage import run_stages
from tests.phases.recipes import SMALL, printed_json, tiny

D24 = from_depth(24, sequence_len=4096, vocab_size=32768)


def numbers(plan, stage="sft"):
    (entry,) = [entry for entry in plan["stages"] if entry["stage"] == stage]
    return {number["what"]: number for number in entry["numbers"]}


def test_the_plan_of_d24_on_a_laptop_with_an_empty_home(samosa_home, capsys):
    assert phase_a.run(Options(nproc=8, plan=True, json=True)) == 0
    plan = printed_json(capsys)
    facts = numbers(plan)
    assert facts["parameters"]["value"] == 1_384_122_122
    # 6 x (matrices + head) + 12 x width x keys: by hand, 18 layers of 1,024 keys and 6 of 4,096 (2,048: 512 and 2,048)
    matmul = 679_478_976 + 50_331_648 + 24
    own = 6 * matmul + 12 * 1536 * (18 * 1024 + 6 * 4096)
    reference = 6 * matmul + 12 * 1536 * (18 * 512 + 6 * 2048)
    assert facts["GFLOP per token"]["value"] == own / 1e9
    assert facts["GFLOP per token at 2K"]["value"] == reference / 1e9 == pytest.approx(4.775, abs=5e-4)
    # 13.4 M tokens by the recipe's estimates, 99.5 % full rows of 4,096, 128 rows a step
    tokens = (
        6 * 3000 * 260 + 2 * 3500 * 600 + 2 * 2000 * 350 + 20 * 300 * 120 + 3 * 1000 * 250 + 2 * 500 * 300 + 3000 * 450
    )
    steps = math.ceil(math.ceil(tokens / (4096 * 0.995)) / 128)
    assert facts["data"]["value"] == tokens
    assert facts["steps"]["value"] == steps
    speed = 0.5 * 8 * 989.4e12 / own
    assert facts["tokens per second"]["value"] == pytest.approx(speed)
    seconds = 240 + steps * 524_288 / speed
    (sft,) = [entry for entry in plan["stages"] if entry["stage"] == "sft"]
    assert sft["hours"] == pytest.approx(seconds / 3600, abs=1e-5)
    assert sft["dollars"] == pytest.approx(seconds / 3600 * 8 * 2.5, abs=1e-4)
    assert plan["dollars"] == pytest.approx(sft["dollars"] + 300 / 3600 * 20, abs=1e-3)
    assert all(number["basis"] for number in facts.values())
    assert "estimated" in facts["data"]["basis"]
    assert list(samosa_home.iterdir()) == []


def test_what_is_missing_is_in_the_plan(samosa_home, capsys):
    assert phase_a.run(Options(nproc=8, plan=True)) == 0
    shown = capsys.readouterr().err
    assert "✗  machine" in shown
    assert "d24-sft-r6@754 is not on this machine" in shown
    for name in ("reasoning_v2_clean", "tool_use", "creator", "identity", "desserts", "quality"):
        assert f"✗  data {name}" in shown
    assert "1,384,122,122" in shown


def test_without_plan_the_first_thing_missing_is_the_error(samosa_home):
    with pytest.raises(NotReady, match="--nproc 4096"):
        phase_a.run(Options(nproc=4096))
    with pytest.raises(NotReady):
        phase_a.run(Options())
    assert not (samosa_home / "stages").exists()


def test_an_optional_source_that_is_missing_is_said_and_stops_nothing(samosa_home, capsys):
    source = '{name="x",path="data/x.jsonl",repeat=1,optional=true,about_rows=1,about_tokens=1}'
    joint = '{name="joint",repeat=1,optional=false,about_tokens=260}'
    assert tiny(f"mix.sources=[{joint},{source}]", plan=True) == 0
    assert "optional, so the mix goes without it" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["budget.dollars=1", "budget.hours=0.01"])
def test_over_budget_is_3_in_the_plan_and_an_error_without_it(samosa_home, capsys, limit):
    assert phase_a.run(Options(nproc=8, plan=True, sets=(limit,))) == 3
    assert "over budget" in capsys.readouterr().err


def test_the_tiny_plan_shows_how_its_init_is_made(samosa_home, capsys):
    assert tiny(plan=True, json=True) == 0
    names = [entry["stage"] for entry in printed_json(capsys)["stages"]]
    assert names[:3] == ["init:tokenizer", "init:pack", "init:pretrain"]
    assert names[-7:] == ["gen-data", "filter", "fence", "mix", "sft", "eval", "publish"]


def test_an_unknown_init_lists_what_there_is(samosa_home):
    with pytest.raises(BadInput) as caught:
        phase_a.run(Options(plan=True, sets=("init=d24-sft-r9",)))
    assert "d24-sft-r6" in caught.value.hint


def test_packed_rows_are_the_plans_basis_once_they_exist(samosa_home, capsys):
    cfg = load(PhaseA, "phase_a", recipe="tiny", sets=SMALL)
    machine = runs.machine_of(Options(), cfg.estimates)
    init, _ = phase_a.starting_point(cfg, machine)
    stages = phase_a.stages(cfg, init, machine)
    mix = run_stages(stages, until="mix").done["mix"]
    tokenizer = train_tokenizer([(mix.directory / "training.jsonl").read_text()], 1024)
    save_tokenizer(tokenizer, home.tokenizer_dir())
    rows = pack_mix(mix, tokenizer, cfg.train)
    meta = json.loads((rows / "training" / "meta.json").read_text())
    assert "supervised" in capsys.readouterr().err
    assert tiny(plan=True, json=True, start="sft") == 0
    facts = numbers(printed_json(capsys))
    assert facts["data"]["basis"].startswith("packed rows")
    per_step = cfg.train.tokens_per_step // cfg.train.length
    assert facts["steps"]["value"] == math.ceil(meta["shape"][0] / per_step)


def test_the_speed_of_an_earlier_run_on_this_machine_counts(samosa_home):
    train = load(PhaseA, "phase_a").train
    key = speed_key(D24, train, 1)
    assert measured_speed(key) is None
    run = home.run_dir("before")
    home.write_atomic(run / "run.json", json.dumps({"speed_key": key}))
    speeds = [10, 700, 500, 600]
    lines = [json.dumps({"kind": "step", "step": n, "tok_per_s": speed}) for n, speed in enumerate(speeds)]
    home.write_atomic(run / "metrics.jsonl", "\n".join([*lines, '{"kind": "val", "step": 4}', '{"kind": "st']))
    assert measured_speed(key) == (600, "before")
    assert measured_speed(key | {"length": 2048}) is None


@pytest.mark.parametrize(
    ("rows", "epochs", "steps"), [(128, 1, 1), (129, 1, 2), (30, 0.1, 1), (1280, 0.1, 1), (0, 1, 0)]
)
def test_steps_are_rows_over_rows_a_step_rounded_up(samosa_home, rows, epochs, steps):
    train = load(PhaseA, "phase_a", sets=(f"train.epochs={epochs}",)).train
    assert steps_of(train, rows) == steps


def test_memory_falls_with_the_micro_batch_and_with_more_processes(samosa_home):
    train = load(PhaseA, "phase_a").train
    small = load(PhaseA, "phase_a", sets=("train.micro_batch=1",)).train
    assert memory_bytes(D24, small, 8) < memory_bytes(D24, train, 8) < memory_bytes(D24, train, 1)
    assert memory_bytes(D24, train, 8) > 8 * 1_384_122_122  # masters and gradients in fp32


def test_no_room_for_the_checkpoints_is_seen_before_training(samosa_home, monkeypatch):
    train = load(PhaseA, "phase_a").train
    monkeypatch.setattr(home.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10**9})())
    check = doctor.check_disk(D24, train, 250)
    assert isinstance(check.error, NotReady)
    assert check.mark == "✗"


def test_describing_rows_names_what_was_split_or_dropped():
    import numpy as np

    from samosa.data.packing import Doc, pack_documents

    docs = [Doc(ids=[1] * n, mask=[1] * n, source="a") for n in (4, 30)]
    packed = pack_documents(docs, length=8, overlong="drop", seed=0, pad=0)
    assert "1 dropped as too long" in describe(packed)
    assert isinstance(packed.ids, np.ndarray)
