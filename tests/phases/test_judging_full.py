"""`samosa eval --suite full`: rounds, tries, the champion, the four conjuncts and what is kept of them."""

import json

import pytest

from samosa.chat.tokenizer import load_tokenizer
from samosa.cli import main
from samosa.home import find_checkpoint
from samosa.phases import asking
from tests.eval.puppet import puppet
from tests.eval.test_runner import from_memory, right
from tests.phases.small_suite import small_suite
from tests.phases.test_judging import home_with_model, save  # noqa: F401 - a fixture

SETS = ["gate.max_tokens=900", "gate.rows=12", "gate.dtype=float32", "full.per_category=2", "full.samples=1"]
SETS += ["full.instances=6", "full.rounds=1", "full.leak=0.4", "full.category_margin=0.9", "full.margin=0.5"]
SETS += ["full.broken=0.5"]
SETS += ["full.temperature=0.01"]  # a puppet is only fairly sure of its script
SETS += [f"full.floors.{name}.{end}" for name in ("overall", "think_tool") for end in ("bad=0.2", "good=0.9")]


@pytest.fixture
def judged(home_with_model, monkeypatch):  # noqa: F811
    """Judge puppets: `judged(say, tag, *more)` -> exit code; a model that is not `untaught` is the champion."""
    tokenizer = load_tokenizer(home_with_model / "tokenizer")
    save(home_with_model / "chatsft_checkpoints" / "champion", tokenizer.vocab_size, seed=1)
    monkeypatch.setattr("samosa.eval.suite.draw.full_suite", small_suite)
    says, loaded = {"champion": right}, []

    def load(ref, *_):
        loaded.append(ref.tag)
        probes = [one for seed in (5, 6) for one in small_suite(seed=seed, per_category=2, counts={})]
        return puppet(probes, says[ref.tag], tokenizer)

    monkeypatch.setattr(asking, "load", load)

    def run(say, *more, tag="untaught"):
        says[tag] = say
        sets = [part for one in SETS for part in ("-s", one)]
        return main(["eval", "--tag", tag, "--suite", "full", "--seed", "5", *sets, *more])

    run.loaded = loaded
    return run


def lines(home):
    return [json.loads(text) for text in (home / "evals" / "eval_results_v2.jsonl").read_text().splitlines()]


def test_a_perfect_model_passes_when_there_is_evidence(judged, home_with_model, capsys):  # noqa: F811
    assert judged(right, "-s", "full.rounds=2", "-s", "full.instances=10") == 0
    first, last = lines(home_with_model)  # 6 instances are too few, 12 are enough
    assert (first["seed"], first["outcome"], first["round"]) == (5, "not enough evidence", 1)
    assert (last["seed"], last["outcome"], last["round"], last["exit_code"]) == (6, "passed", 2, 0)
    score = last["scores"]["think_tool"]
    assert (score["instances"], score["rate"], score["pass^k"]) == (4, 1.0, 1.0)
    assert score["interval"] == [pytest.approx(0.025 ** (1 / 4), abs=1e-6), 1.0]  # Clopper-Pearson, 4 of 4
    assert {one["conjunct"] for one in last["conjuncts"]} == {"absolute", "zero tolerance", "evidence"}
    assert (last["column"], last["champion"], last["settings"]["sampled_temperature"]) == ("model", "", 0.01)
    rows = [json.loads(text) for text in (home_with_model / last["samples"]).read_text().splitlines()]
    assert [row["k"] for row in rows] == [0, 1] * 6 and all(row["passed"] for row in rows)
    assert "next: samosa criteria --tag" in capsys.readouterr().err


def test_a_model_that_never_calls_fails_and_is_shown(judged, capsys):
    assert judged(from_memory) == 10
    said = capsys.readouterr().err
    assert "think_tool, 4 tries failed:" in said and "no calls, not one" in said and "asked:" in said


def test_the_champion_is_asked_the_same_once_and_what_broke_is_named(judged, home_with_model, capsys):  # noqa: F811
    champion = ("-s", "full.champion=champion")
    assert judged(from_memory, *champion, "--json") == 10
    shown = capsys.readouterr()
    line = json.loads(shown.out)
    assert line["champion"] == "champion" and len(line["broke"]) == 4
    assert "always right in champion, mostly wrong now: 4" in shown.err
    lost = next(one for one in line["conjuncts"] if (one["conjunct"], one["name"]) == ("non-inferior", "think_tool"))
    assert lost["difference"] == -1.0
    assert judged.loaded == ["champion", "untaught"]
    judged(from_memory, *champion)
    assert judged.loaded == ["champion", "untaught"]


def test_a_champion_that_is_gone_is_known_by_its_samples(judged, home_with_model, capsys):  # noqa: F811
    assert judged(right, tag="champion") == 0
    for file in find_checkpoint("champion").directory.iterdir():
        file.unlink()
    assert judged(right, "-s", "full.champion=champion") == 0
    assert judged.loaded == ["champion", "untaught"]


def test_a_champion_nobody_knows_ends_before_anything_is_asked(judged, capsys):
    assert judged(right, "-s", "full.champion=nobody") == 2
    said = capsys.readouterr().err
    assert "nobody" in said and "samosa pull nobody" in said and not judged.loaded


def test_compare_and_criteria_read_what_was_judged(judged, capsys):
    judged(right, tag="champion")
    judged(from_memory)
    assert main(["compare", "champion", "untaught", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["seed"] for one in found["suites"]] == [5] and found["overall"]["lost"] == 8
    assert main(["criteria", "--tag", "champion", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["criteria"][0]["rate"] == 1.0


def test_a_plan_asks_nothing_and_counts_what_is_kept(judged, capsys):
    assert judged(right, "--plan", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(one["seed"], one["tries"], one["kept"]) for one in plan["rounds"]] == [(5, 12, 0)]
    assert plan["rounds"][0]["seconds"] is None and not judged.loaded
    judged(right)
    capsys.readouterr()
    assert judged(right, "--plan", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [one["kept"] for one in plan["rounds"]] == [12] and plan["rounds"][0]["seconds"] == 0
