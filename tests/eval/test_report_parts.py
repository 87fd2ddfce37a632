import json

import numpy as np
import pytest

from samosa.eval.report import curves, scores
from samosa.eval.report.samples import FLIPS, _spread
from samosa.eval.report.transcript import spans
from samosa.eval.tries import Try

CALL = '<|python_start|>{"tool":"x"}<|python_end|>'
RESULT = "<|output_start|>42<|output_end|>"
END = "<|assistant_end|>"


def kinds(text):
    return [span.kind for span in spans(text)]


def together(text):
    return "".join(piece.text for span in spans(text) for piece in span.pieces)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello." + END, ["answer"]),
        (f"<think>Hm.</think>Hello.{END}", ["think", "answer"]),
        (f"<think>Hm.</think>\n{CALL}{RESULT}It is 42.{END}", ["think", "call", "result", "answer"]),
        (f"{CALL}{RESULT}{CALL}{RESULT}Done.", ["call", "result", "call", "result", "answer"]),
        ("<think>never closed", ["think"]),
        (f"<think>a{CALL}b", ["think", "call", "answer"]),  # a call inside a think ends it, for the eye
        ("<|python_start|>a<think>b<|python_end|>c", ["call", "answer"]),  # in a tool's block a tag is text
        ("</think>Hello.", ["stray", "answer"]),
        ("Hello.<|user_start|>More?", ["answer", "stray", "answer"]),
        (f"<think>Hm.{END}", ["think", "stray"]),
        ("", []),
    ],
)
def test_a_turn_is_cut_where_the_grammar_cuts_it(text, expected):
    assert kinds(text) == expected


def test_no_letter_is_lost_however_a_turn_is_broken(soak_seed):
    rng = np.random.default_rng(soak_seed)
    bits = "<think> </think> <|python_start|> <|python_end|> <|output_start|> <|output_end|> <|bos|>".split()
    bits += [END, "word ", "<think", "|>", "</", "<b>"]
    for _ in range(200):
        text = "".join(rng.choice(bits, size=rng.integers(1, 12)))
        assert together(text).replace(" ", "") == text.replace(" ", "")


def test_marks_are_told_from_words():
    (span,) = spans("<think>a</think>")
    assert [(piece.text, piece.mark) for piece in span.pieces] == [("<think>", True), ("a", False), ("</think>", True)]


def test_a_long_curve_is_thinned_to_means_with_their_range():
    curve = curves.thinned([(step, float(step)) for step in range(1, 11)], most=4)
    assert curve.steps == (3, 6, 9, 10) and curve.values == (2, 5, 8, 10)
    assert curve.low == (1, 4, 7, 10) and curve.high == (3, 6, 9, 10)
    assert curve.of == 10 and curve.is_binned
    assert not curves.thinned([(1, 2.0)]).is_binned and curves.thinned([]) is None


def test_what_a_run_wrote_is_read_whatever_a_kill_tore(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert curves.read(path).steps == ()
    lines = [
        {"kind": "step", "step": 1, "loss": 2.0, "lr": 0.1},
        {"kind": "step", "step": 2, "loss": None},  # it was not finite
        {"kind": "val", "step": 2, "val_bpb": 1.5, "val_bpb_from": {"0": 1.6, "256": 1.4}},
        {"kind": "rollback", "step": 3, "skips": [[1, 2]]},
        {"kind": "another", "step": 3},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "step", "st')
    metrics = curves.read(path)
    assert metrics.curve("loss").values == (2.0,)
    assert metrics.curve("lr_matrix", "lr").values == (0.1,) and metrics.curve("mfu") is None
    assert metrics.bpb.values == (1.5,) and len(metrics.rollbacks) == 1
    assert metrics.by_position.steps == (0, 256) and metrics.by_position.values == (1.6, 1.4)


def test_flips_that_are_shown_are_spread_over_categories():
    flips = [Try(f"{name}-{i}", 0, name, "t", False, "no", None, "?", "") for name in "ab" for i in range(30)]
    shown = [flip.id for flip in _spread(flips)]
    half = FLIPS // 2
    assert shown == [f"{name}-{i}" for name in "ab" for i in range(half)]
    assert [flip.id for flip in _spread([flips[0], flips[0], flips[1]])] == ["a-0", "a-1"]
    few = [flips[0], *flips[30:]]
    assert [flip.category for flip in _spread(few)].count("a") == 1 and len(_spread(few)) == FLIPS


def test_benchmarks_and_the_judge_are_rows_of_one_forest():
    part = {"right": 41, "n": 100, "rate": 0.41, "interval": [0.33, 0.5]}
    lines = [
        {"suite": "mmlu", "parts": {"letters": part | {"right": 1, "rate": 0.01}}},  # an older one
        {"suite": "mmlu", "parts": {"letters": part, "continuations": part}},
        {"suite": "core", "core": 0.22, "interval": [0.2, 0.24], "tasks": {"a": {}, "b": {}}, "parts": {"core": part}},
        {"suite": "judge", "win_rate": 0.55, "interval": [0.48, 0.62], "pairs": 200, "champion": "r6@20"},
        {"suite": "joint", "patterns": {}},
    ]
    rows = [(row.name, row.value, row.low, row.high, row.seen) for row in scores.benchmarks(lines)]
    assert rows == [
        ("core", 0.22, 0.2, 0.24, "the mean of 2 tasks"),
        ("win rate", 0.55, 0.48, 0.62, "200 pairs against r6@20"),
        ("mmlu letters", 0.41, 0.33, 0.5, "41 of 100"),
        ("mmlu continuations", 0.41, 0.33, 0.5, "41 of 100"),
    ]
    assert scores.benchmarks([{"suite": "judge", "outcome": "measurement broke"}]) == []


def test_of_the_full_suites_rounds_the_last_holds_all_and_a_new_first_round_is_another_time():
    rounds = [{"suite": "full", "round": number, "seed": 10 + at} for at, number in enumerate((1, 2, 3, 1, 1, 2))]
    assert [line["seed"] for line in scores.evaluations(rounds, "full")] == [12, 13, 15]
