"""The record of an evaluation: one whole line, and every sample."""

import json

from samosa import home
from samosa.config import load
from samosa.eval import record
from samosa.eval.gate import decide
from samosa.eval.settings import Evaluation
from tests.eval.test_gate import suite

SETTINGS = load(Evaluation, "eval").gate


def line(seed):
    result = decide(suite(search=(97, 6, 0)), SETTINGS)
    ref = home.CheckpointRef("chat", "tiny", 40, home.root())
    return record.line(
        result,
        ref=ref,
        weights_sha256="w" * 64,
        tokenizer_hash="t" * 64,
        suite="joint",
        suite_hash="s",
        seed=seed,
        settings=SETTINGS,
        facts={"device": "cpu"},
        seconds=1.234,
    )


def test_each_evaluation_is_one_line_with_all_that_was_decided(samosa_home):
    for seed in (1, 2):
        path = record.append(line(seed))
    first, second = map(json.loads, path.read_text().splitlines())
    assert path == samosa_home / "evals" / "eval_results_v2.jsonl"
    assert (first["seed"], second["seed"]) == (1, 2)
    assert (first["tag"], first["step"], first["outcome"], first["exit_code"]) == ("tiny", 40, "failed", 10)
    search = first["patterns"]["search"]
    assert (search["n"], search["completed"], search["passed"], search["c"]) == (103, 103, 97, 98)
    assert search["interval"][0] < 97 / 103 < search["interval"][1]
    assert first["settings"]["n"] == 103 and first["versions"]["device"] == "cpu"
    assert set(first["roadmap"].values()) == {"passed"}


def test_a_line_torn_by_a_power_cut_does_not_swallow_the_next(samosa_home):
    path = record.append(line(1))
    with path.open("a") as file:
        file.write('{"torn": ')
    record.append(line(2))
    assert [json.loads(text)["seed"] for text in path.read_text().splitlines() if text.endswith("}")] == [1, 2]


def test_samples_are_written_whole_with_their_reasons(samosa_home):
    samples = suite(search=(1, 1, 1), calculator=(0, 0, 0), no_tool=(0, 0, 0))
    path = record.write_samples("tiny", "joint-1", samples)
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    assert path == samosa_home / "runs" / "tiny" / "eval" / "joint-1.jsonl"
    assert [(row["passed"], row["completed"], row["reason"]) for row in rows[3:]] == [
        (True, True, None),
        (False, True, "wrong"),
        (None, False, "search failed"),
    ]
    assert rows[3]["ids"] == [1] and rows[3]["verdict"]["answer"] == "x" and rows[3]["gold"]["tool"] is None
