"""`samosa eval --suite judge`: two models, two judges on this machine, and what a record says of it."""

import json
from pathlib import Path

import pytest

from samosa.chat.tokenizer import load_tokenizer
from samosa.cli import main
from samosa.phases import asking
from tests.eval.judges import Judges, better
from tests.eval.puppet import puppet
from tests.eval.turns import END, THINK
from tests.phases.small_suite import small_suite
from tests.phases.test_judging import home_with_model, save  # noqa: F401 - a fixture


def warm(probe, _):
    return [THINK, f"Gladly! About {probe.id[-3:]}: there is much to tell.", END]


def cold(probe, _):
    return [THINK, f"{probe.id[-3:]}. Next question?", END]


def likes_warmth(_, shown):
    return better(next((letter for letter, reply in shown.items() if reply.startswith("Gladly")), "tie"))


@pytest.fixture
def compared(home_with_model, monkeypatch):  # noqa: F811
    """`compared(judge, *more)`: `untaught`, which is warm, against `champion`, which is cold -> (code, requests)."""
    tokenizer = load_tokenizer(home_with_model / "tokenizer")
    save(home_with_model / "chatsft_checkpoints" / "champion", tokenizer.vocab_size, seed=1)
    monkeypatch.setattr("samosa.eval.suite.draw.full_suite", small_suite)
    probes = [one for one in small_suite(seed=5, per_category=12, counts={}) if one.category == "creative"]
    says = {"untaught": warm, "champion": cold}
    monkeypatch.setattr(asking, "load", lambda ref, *_: puppet(probes, says[ref.tag], tokenizer))

    def run(say, *more):
        with Judges(say) as server:
            recipe = home_with_model / "judge.toml"
            judges = [f'[[judge.judges]]\nbase_url = "{server.url}"\nmodel = "{name}"\n{PRICES}' for name in "ab"]
            recipe.write_text(RECIPE + "\n".join(judges))
            sets = ("-r", str(recipe), "-s", "judge.champion=champion", *more)
            code = main(["eval", "--tag", "untaught", "--suite", "judge", "--seed", "5", *sets])
            return code, server.requests

    return run


RECIPE = f"""
extends = "{Path(__file__).parents[2]}/configs/judge.toml"
[gate]
max_tokens = 200
dtype = "float32"
[judge]
categories = ["creative"]
per_category = 12
temperature = 0.01
retries = 0
[judge.limits]
length_ratio = 9
distinct_drop = 1
opener_drop = 9
"""
PRICES = 'key = ""\ninput_price = 1\noutput_price = 2\nlimit = "max_tokens"\n'


def test_a_model_that_is_liked_better_passes_and_is_paid_for_once(compared, home_with_model, capsys):  # noqa: F811
    code, requests = compared(likes_warmth, "--json")
    assert code == 0 and len(requests) == 12 * 2 * 2
    shown = capsys.readouterr()
    line = json.loads(shown.out)
    assert (line["suite"], line["champion"], line["pairs"], line["outcome"]) == ("judge", "champion@3", 12, "passed")
    assert line["raw_win_rate"] == 1.0 and 0.5 < line["interval"][0] < line["win_rate"] < line["interval"][1] <= 1
    assert line["dollars"] == pytest.approx(len(requests) * (1000 * 1 + 10 * 2) / 1e6)
    asked = requests[0]["messages"][1]["content"]
    assert "User: " in asked and "samosaChaat" not in asked and "The tool knows" not in asked  # no prompt, no thought
    pairs = [json.loads(text) for text in (home_with_model / line["pairs_file"]).read_text().splitlines()]
    assert len(pairs) == 12 and {said["score"] for pair in pairs for said in pair["opinions"]} == {1.0}
    guards = {guard["name"]: guard for guard in line["guards"]}
    assert guards["ends on a question"]["before"] == 1.0 and guards["ends on a question"]["after"] == 0.0
    assert "preferred in" in shown.err and "next: samosa criteria --tag" in shown.err

    assert compared(likes_warmth, "-s", "judge.dollars=0")[0] == 3  # another address: nothing is kept of this one


def test_a_guard_that_does_not_hold_fails_whoever_is_liked(compared, capsys):
    assert compared(likes_warmth, "-s", "judge.limits.length_ratio=1.2", "-s", "judge.per_category=3")[0] == 10
    assert "did not hold" in capsys.readouterr().err


def test_judges_that_look_at_the_place_show_nothing(compared, capsys):
    assert compared(lambda *_: better("A"), "-s", "judge.per_category=3")[0] == 20
    said = capsys.readouterr().err
    assert "50.0% of pairs at equal lengths" in said and "not enough evidence" in said


def test_judges_that_cannot_be_read_break_the_measurement(compared, capsys):
    code, requests = compared(lambda *_: "Both are fine.", "--json", "-s", "judge.per_category=2")
    line = json.loads(capsys.readouterr().out)
    assert code == 30 and line["unreadable"] == 1.0 and "win_rate" not in line
    assert len(requests) == 2 * 2 * 2 * 3


def test_a_plan_spends_nothing_and_says_what_it_would(compared, capsys):
    code, requests = compared(likes_warmth, "--plan", "--json")
    plan = json.loads(capsys.readouterr().out)
    assert code == 0 and not requests and plan["verdicts"] == 48 and 0 < plan["dollars_at_most"] < 5


def test_without_a_champion_the_command_says_whom_it_could_be(home_with_model, capsys):  # noqa: F811
    assert main(["eval", "--tag", "untaught", "--suite", "judge"]) == 2
    assert "--set judge.champion=TAG" in capsys.readouterr().err
