"""`samosa compare` from the command line down: pairs, flips, and what is refused."""

import dataclasses
import json

import pytest
from errorbars.compare import paired_compare

from samosa import home
from samosa.cli import main
from samosa.config import load
from samosa.eval import history, record, tries
from samosa.eval.gate import decide
from samosa.eval.settings import Evaluation
from tests.eval.test_gate import sample

GATE = load(Evaluation, "eval").gate


def judge(tag, wrong=(), *, n=40, seed=1, suite="joint", suite_hash="h1", errors=(), step=7, **changes):
    """Keep the record of a model that is wrong at the indices `wrong`, as `samosa eval` does."""
    marks = [None if i in errors else i not in wrong for i in range(n)]
    made = [sample("search" if i % 2 else "no_tool", i, mark) for i, mark in enumerate(marks)]
    made.append(sample("calculator", 0, True, roadmap=True))
    gate = GATE.model_copy(update=changes)
    ref = home.CheckpointRef("chat", tag, step, home.root())
    line = record.line(
        decide(made, gate),
        ref=ref,
        weights_sha256=f"{tag}-{step}",
        tokenizer_hash="t",
        suite=suite,
        suite_hash=suite_hash,
        seed=seed,
        settings=gate,
        facts={},
        seconds=1.0,
    )
    path = record.write_samples(tag, f"{suite}-{seed}-chat-{step:06d}", made)
    line |= {"samples": str(path.relative_to(home.root())), "samples_sha256": home.sha256_file(path)}
    record.append(line)
    return path


def compared(capsys, *arguments, code=0):
    assert main(["compare", "r6", "r7", "--json", *arguments]) == code
    shown = capsys.readouterr()
    return (json.loads(shown.out) if shown.out else None), shown.err


def test_pairs_are_counted_by_hand(samosa_home, capsys):
    judge("r6", wrong=[0, 1, 2, 3])
    judge("r7", wrong=[2, 3, 5])
    said, shown = compared(capsys)
    overall = said["overall"]
    assert (overall["instances"], overall["pairs"], overall["lost"], overall["gained"]) == (41, 41, 1, 2)
    assert overall["difference"] == pytest.approx(1 / 41)
    assert {one["name"]: (one["lost"], one["gained"]) for one in said["categories"]} == {
        "calculator": (0, 0),
        "no_tool": (0, 1),
        "search": (1, 1),
    }
    assert [(flip["id"], flip["gained"]) for flip in said["flips"]] == [
        ("1/search-5", False),
        ("1/no_tool-0", True),
        ("1/search-1", True),
    ]
    assert "no difference is shown" in shown and "lost: 1/search-5: wrong" in shown
    assert shown.rstrip().splitlines()[-1] == "next: samosa criteria --tag r7@7"


def test_intervals_equal_errorbars(samosa_home, capsys):
    judge("r6", wrong=range(20))
    judge("r7", wrong=range(12, 24))
    overall = compared(capsys)[0]["overall"]
    before, after = ([float(i not in wrong) for i in range(40)] + [1.0] for wrong in (range(20), range(12, 24)))
    clusters = ["search" if i % 2 else "no_tool" for i in range(40)] + ["calculator"]  # one template a category
    theirs = paired_compare(after, before, clusters)
    expected = max(-1.0, theirs.ci_low_clustered), min(1.0, theirs.ci_high_clustered)
    assert overall["interval"] == pytest.approx(expected, abs=1e-9)


def test_the_direction_is_said_where_templates_agree(samosa_home, capsys, monkeypatch):
    templates = iter(range(10**6))
    draw = sample
    monkeypatch.setattr(
        "tests.phases.test_comparing.sample", lambda *a, **k: spread(draw(*a, **k), next(templates) % 41)
    )
    judge("r6")
    judge("r7", wrong=range(8))
    said, shown = compared(capsys)
    assert said["overall"]["templates"] == 41
    assert said["overall"]["p_value"] == pytest.approx(2 / 2**8)  # eight lost, none gained, each a template of its own
    assert "r7@7 is worse than r6@7: -19.5%" in shown


def spread(one, number):
    """The same sample, drawn from another template."""
    return dataclasses.replace(one, probe=dataclasses.replace(one.probe, template=f"t{number}"))


def test_what_one_model_did_not_complete_is_no_pair(samosa_home, capsys):
    judge("r6", wrong=[0], errors=[7])
    judge("r7", wrong=[1], errors=[8, 0])
    overall = compared(capsys)[0]["overall"]
    assert (overall["pairs"], overall["lost"], overall["gained"]) == (38, 1, 0)


def test_all_seeds_that_both_answered_are_put_together(samosa_home, capsys):
    for seed in (1, 2, 3):
        judge("r6", wrong=[seed], seed=seed, suite_hash=f"h{seed}")
    for seed in (2, 3, 4):
        judge("r7", seed=seed, suite_hash=f"h{seed}")
    said, _ = compared(capsys)
    assert [one["seed"] for one in said["suites"]] == [2, 3]
    assert (said["overall"]["instances"], said["overall"]["gained"]) == (82, 2)


def test_the_last_evaluation_of_the_last_weights_is_meant(samosa_home, capsys):
    judge("r6", wrong=range(30), step=6)
    judge("r6", wrong=range(9))
    judge("r6", wrong=[])
    judge("r7", wrong=[0])
    assert compared(capsys)[0]["overall"]["lost"] == 1
    assert main(["compare", "r6@6", "r7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["overall"]["gained"] == 29


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"suite_hash": "h2", "seed": 2}, "not asked the same"),
        ({"suite_hash": "h9", "suite": "full"}, "not asked the same"),
        ({"temperature": 0.8}, "temperature = 0.0 and 0.8"),
        ({"errors": range(41), "n": 41}, None),
    ],
)
def test_other_questions_are_no_comparison(samosa_home, capsys, other, said):
    judge("r6")
    judge("r7", **other)
    if said is None:  # the roadmap's probe was completed
        assert compared(capsys)[0]["overall"]["pairs"] == 1
        return
    _, shown = compared(capsys, code=2)
    assert said in shown and "hint: samosa eval --tag r7@7 --suite joint --seed 1" in shown


def test_a_tag_that_was_never_judged_is_named(samosa_home, capsys):
    judge("r6")
    _, shown = compared(capsys, code=2)
    assert "r7 was never judged here" in shown and "judged so far: r6" in shown


def test_samples_that_changed_or_are_gone_are_no_evidence(samosa_home, capsys):
    judge("r6")
    path = judge("r7")
    path.write_text(path.read_text().replace('"passed": true', '"passed": false', 1))
    assert "has changed since" in compared(capsys, code=3)[1]
    path.unlink()
    assert "are gone" in compared(capsys, code=3)[1]


def test_answers_cannot_command_the_terminal(samosa_home, capsys, monkeypatch):
    judge("r6", wrong=[0])
    path = judge("r7")
    path.write_text(path.read_text().replace('"text": "x"', '"text": "\\u001b[2Jx"'))
    line = json.loads(home.evals_file().read_text().splitlines()[-1])
    record.append(line | {"samples_sha256": home.sha256_file(path)})
    shown = compared(capsys)[1]
    assert "\x1b" not in shown and "\ufffd[2Jx" in shown


def test_a_torn_line_of_the_record_is_passed_over(samosa_home, capsys):
    judge("r6")
    with home.evals_file().open("a") as file:
        file.write('{"torn": \n[3]\n')
    judge("r7")
    said, shown = compared(capsys)
    assert said["overall"]["lost"] == 0 and "is not JSON and is passed over" in shown


@pytest.mark.parametrize(
    "changes",
    [{"step": "7"}, {"suite": ["joint"]}, {"settings": []}, {"samples": 5}, {"samples_sha256": None}, {"seconds": "x"}],
    ids=str,
)
def test_a_line_that_is_no_evaluation_is_passed_over_and_said(samosa_home, changes, capsys):
    judge("r6", wrong=(1,))
    judge("r7")
    line = json.loads(home.evals_file().read_text().splitlines()[-1])
    with home.evals_file().open("a") as file:
        file.write(json.dumps(line | changes) + "\n" + '{"tag": "r7"}\n' + "[" * 100_000 + "\n")
    assert main(["compare", "r6", "r7"]) == 0
    said = capsys.readouterr().err
    assert said.count("is no evaluation of samosa and is passed over") >= 2 and "Traceback" not in said


def test_an_answer_may_hold_what_some_take_for_the_end_of_a_line(samosa_home):
    judge("r6")
    path = history.samples_of(history.of("r6")[-1])
    first, *others = path.read_text().splitlines()
    odd = json.dumps(json.loads(first) | {"text": "one\u2028two\x85three"}, ensure_ascii=False)
    path.write_text("\n".join([odd, *others]) + "\n")
    assert tries.read(path)[0].text == "one\u2028two\x85three"
