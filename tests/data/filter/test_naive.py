"""The set `roadmap` decides what the roadmap's filter decides as a first script would write it; no row takes long."""

import json
import random
import time

import pytest

from benchmarks.baselines import filter_naive
from samosa.data.filter import load_rules, shipped, sort_lines

PIECES = [
    *("<b>", "</EM\u00a0>", "<ı>", "<İ >", "<u\x1c>", "<i", ">", "![", "]", "(", "](x)", "![a]", "😀", "😃😀", "🚀"),
    *("Answer:", "\u3000ANSWER:", "fınal answer:", "final answer:", "Q:", "ſo", "so it", "a", "a", "K", "0", "²", "é"),
    *("as an ai language model", "As an Aİ language model", "I cannot provide", "ı cannot prov\u0130de", "नमस्ते", "`"),
    *("_", "-", " ", " ", "\n", "\n", "\n\n", "\r", "\x85", "\u2028"),
]


def test_roadmap_is_the_naive_script_in_other_words(soak_seed):
    draw = random.Random(soak_seed)
    rows = []
    for _ in range(2500):
        answers = ["".join(draw.choice(PIECES) for _ in range(draw.randint(0, 12))) for _ in range(draw.randint(0, 3))]
        if draw.random() < 0.7:
            answers.append("This sentence makes the row long enough")
        messages = [{"role": "user", "content": "<b>"}]
        messages += [{"role": "assistant", "content": answer} for answer in answers]
        rows.append({"messages": messages})
    lines = [json.dumps(row, ensure_ascii=draw.random() < 0.5).encode() for row in rows]
    kept = 0
    for row, judged in zip(rows, sort_lines(load_rules("roadmap"), enumerate(lines)), strict=True):
        assert judged.broken is None
        assert (judged.reasons == ()) == filter_naive.keep(row), repr(row)
        kept += judged.reasons == ()
    assert 100 < kept < 2400


SLOW = {
    "line breaks": "\n" * 20_000,
    "CRLF": "\r\n" * 20_000,
    "one line": "a" * 100_000,
    "images": "![" * 20_000,
    "backticks": "`" * 100_000,
    "fences": "```\n" * 5_000,
    "less than": "<" * 100_000,
    "emoji": "😀" * 50_000,
    "emoji apart": "😀 a " * 20_000,
    "joiners": "👨\u200d" * 20_000,
    "blanks": "<b" + " " * 100_000,
    "labels": "\n \t" * 20_000 + "Answer",
    "quotes": ' "I cannot provide' * 2_000,
    "think": "<think>" * 10_000,
    "markers": "<|output_start|>" * 5_000,
    "two of three": "abc\nabc\nd\n" * 10_000,
    "words": "so " * 30_000,
    "words of rules": " ".join(  # which leave RE2 in the middle of many matches
        random.Random(1).choices(
            "i am an ai as being not a human program i'm afraid that providing sharing isn't possible for me unable to "
            "help with writing do have the is something language model sorry cannot can't will not answer q my".split(),
            k=40_000,
        )
    ),
}


@pytest.mark.parametrize("name", shipped())
def test_no_row_takes_more_than_its_length(name):
    rules = load_rules(name)
    for what, text in SLOW.items():
        line = json.dumps([{"role": "user", "content": "x"}, {"role": "assistant", "content": text}]).encode()
        took = []
        for _ in range(2):
            begun = time.process_time()
            list(sort_lines(rules, [(0, line)]))
            took.append(time.process_time() - begun)
        assert min(took) < 0.15, f"{what}: {min(took):.3f} s"  # what is quadratic takes seconds
