"""`samosa criteria` from the command line down: seven lines, each with its numbers or the command that gets them."""

import json

import pytest
from scipy.stats import binomtest

from samosa import home
from samosa.cli import main
from samosa.eval import record
from tests.phases.test_comparing import judge


def shown(capsys, *arguments, code=0):
    assert main(["criteria", "--tag", "r7", "--json", *arguments]) == code
    out, err = capsys.readouterr()
    return json.loads(out).get("criteria"), err


def measure(suite, **facts):
    """Keep another evaluation of the same weights."""
    last = json.loads(home.evals_file().read_text().splitlines()[-1])
    kept = {name: last[name] for name in ("tag", "step", "kind", "weights_sha256")}
    record.append(kept | {"suite": suite} | facts)


def test_what_was_not_measured_says_so_and_names_its_command(samosa_home, capsys):
    judge("r7", n=320)
    found, said = shown(capsys)
    states = {one["name"]: one["state"] for one in found}
    assert [state == "met" for state in states.values()] == [True, False, False, True, True, False, False]
    assert list(states.values()).count("not measured") == 4
    unmeasured = [one for one in found if one["state"] == "not measured"]
    assert all(one["command"] in said and one["interval"] is one["rate"] is None for one in unmeasured)
    assert unmeasured[0]["command"] == "samosa eval --tag r7@7 --suite mmlu"
    assert "r7@7: 3 of 7 met" in said and said.rstrip().splitlines()[-1].startswith("next: samosa eval --tag r7@7")


@pytest.mark.parametrize(("right", "state"), [(5713, "met"), (5712, "not shown"), (5500, "not met")])
def test_a_benchmark_is_claimed_by_its_count(samosa_home, capsys, right, state):
    judge("r7")
    measure("mmlu", right=right, n=14042)
    line = shown(capsys)[0][1]
    exact = binomtest(right, 14042).proportion_ci(0.9, method="exact")
    assert (line["state"], line["needed"]) == (state, ">= 5,713 of 14,042")
    assert line["interval"] == pytest.approx([exact.low, exact.high], abs=1e-9)


def test_an_artefact_is_not_met_and_few_clean_samples_are_not_enough(samosa_home, capsys):
    path = judge("r7", wrong=[0], n=320)
    assert shown(capsys)[0][4]["state"] == "met"  # a wrong answer is no artefact
    path.write_text(path.read_text().replace('"answer": "x"', '"answer": "<b>x</b>"', 1))
    line = json.loads(home.evals_file().read_text().splitlines()[-1])
    record.append(line | {"samples_sha256": home.sha256_file(path)})
    assert shown(capsys)[0][4]["state"] == "not met"
    judge("r7", n=90, step=8)
    few = shown(capsys)[0][4]
    assert few["state"] == "not shown" and few["command"] == "samosa eval --tag r7@8 --suite full"


def test_seeds_are_put_together_and_only_the_last_weights_count(samosa_home, capsys):
    judge("r7", wrong=range(200), n=200, step=6)
    for seed in (1, 2, 2):
        judge("r7", n=100, seed=seed, suite_hash=f"h{seed}")
    probes = shown(capsys)[0][0]
    assert (probes["measured"], probes["rate"]) == ("100.0% of 202 instances (joint)", 1.0)


def test_a_rate_that_is_surely_too_low_is_not_met(samosa_home, capsys):
    judge("r7", wrong=[i for i in range(320) if i % 4 < 2], n=320)
    probes, _, _, turn, *_ = shown(capsys)[0]
    assert (probes["state"], probes["command"]) == ("not met", None) and probes["interval"][1] < 0.97
    assert turn["rate"] == pytest.approx(81 / 161)  # searches, and the roadmap's probe


def test_the_judges_win_rate_is_read(samosa_home, capsys):
    judge("r7")
    measure("judge", win_rate=0.56, interval=[0.47, 0.65], champion="r6", pairs=120)
    alive = shown(capsys)[0][6]
    assert (alive["state"], alive["measured"]) == ("not shown", "56.0% against r6")


@pytest.mark.parametrize(("arguments", "said"), [([], "never judged"), (["-s", "criteria.mmlu=40"], "mmlu")])
def test_bad_input_ends_in_two_lines(samosa_home, capsys, arguments, said):
    _, err = shown(capsys, *arguments, code=2)
    assert said in err and "Traceback" not in err
