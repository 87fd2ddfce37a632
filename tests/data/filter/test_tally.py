"""What a filter counts and which examples it keeps: the same however the work was divided."""

import json
import random

import pytest

from samosa.data.filter import load_rules, sort_lines
from samosa.data.filter.tally import EXAMPLES, NEAR_EXAMPLES, Tally, bucket_start, merge
from tests.data.filter import rows

DEFAULT = load_rules("default")
LONG = "This answer is long enough to be kept by every rule of the set."


def line(answer: str, question: str = "hi") -> bytes:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages}).encode()


def tally(lines: list[bytes], *, source: str = "a.jsonl", first: int = 0, seed: int = 1) -> dict:
    counted = Tally(DEFAULT, source, seed=seed, thorough=True)
    for judged in sort_lines(DEFAULT, enumerate(lines, first)):
        counted.add(judged)
    return json.loads(json.dumps(counted.as_dict()))


def test_rows_rules_and_overlaps_are_counted_as_by_hand():
    lines = [line(LONG), line("<b>no</b>"), line(f"<b>{LONG}</b>"), line("no"), b"{broken", line(LONG + "🔥🔥🔥 <br>")]
    totals = merge([tally(lines)])
    assert (totals.rows, totals.kept, totals.rejected, totals.broken_rows) == (6, 1, 4, 1)
    assert {name: (hits.rows, hits.alone) for name, hits in totals.rules.items() if hits.rows} == {
        "html_tag": (3, 1),
        "short_answer": (2, 1),
        "emoji_run": (1, 0),
    }
    assert totals.overlaps == {"html_tag|short_answer": 1, "emoji_run|html_tag": 1}
    assert totals.sources["a.jsonl"].hits == {"html_tag": 3, "short_answer": 2, "emoji_run": 1}
    assert sum(totals.before.values()) == 5 and sum(totals.after.values()) == 1
    assert totals.broken[0]["before"] == "{broken" and totals.broken[0]["where"] == 4


def test_parts_in_any_order_add_up_to_the_whole(soak_seed):
    rng = random.Random(soak_seed)
    lines = rows.lines(60, soak_seed)
    cuts = sorted(rng.sample(range(len(lines)), 3))
    bounds = list(zip([0, *cuts], [*cuts, len(lines)], strict=True))
    parts = [tally(lines[start:end], first=start) for start, end in bounds]
    rng.shuffle(parts)
    assert merge(parts) == merge([tally(lines)])


def test_examples_are_few_and_no_line_stands_twice():
    lines = [line(f"no {n % 20}") for n in range(60)]
    examples = merge([tally(lines), tally(lines, source="b.jsonl")]).rules["short_answer"].examples
    assert len(examples) == EXAMPLES == len({example["before"] + example["after"] for example in examples})
    assert {example["source"] for example in examples} == {"a.jsonl"}  # of equal lines the first


def test_another_seed_shows_other_examples_and_the_same_numbers():
    lines = [line(f"no {n}") for n in range(60)]
    one, other = (merge([tally(lines, seed=seed)]).rules["short_answer"] for seed in (1, 2))
    assert one.rows == other.rows == 60 and one.examples != other.examples


def test_an_example_shows_the_match_the_words_around_it_and_the_question():
    before, after = "ä" * 300, "z" * 300
    (example,) = merge([tally([line(f"{before} <b> {after}", "what?")])]).rules["html_tag"].examples
    assert example["match"] == "<b>" and example["asked"] == "what?" and example["turn"] == 1
    assert example["before"] == before[-159:] + " " and example["before_cut"]
    assert example["after"] == " " + after[:159] and example["after_cut"]


@pytest.mark.parametrize(
    ("answer", "question", "rule", "why"),
    [
        ("Fifty characters say a little more than forty do.", "hi", "short_answer", "not quite enough of it"),
        (LONG + "\nand so on\nand so on\nbut no more.", "hi", "repeated_line", "not quite enough of it"),
        (LONG + " 🔥🔥", "hi", "emoji_run", "not quite enough of it"),
        (LONG + "\n```\n<b>bold</b>\n```", "hi", "html_tag", "only in code"),
        (LONG, "As an AI language model, what do you say?", "as_an_ai", "not the assistant's words"),
        (
            "3 + 4 = 7, so there are seven of them on the table.\n\nAnswer: 7",
            "hi",
            "label_line",
            "excused by the rule's exception",
        ),
    ],
)
def test_kept_rows_that_nearly_match_are_found(answer, question, rule, why):
    totals = merge([tally([line(LONG), line(answer, question)])])
    assert totals.kept == totals.looked == 2
    assert {(name, example["why"]) for name, examples in totals.near.items() for example in examples} == {(rule, why)}


def test_near_misses_are_few(soak_seed):
    totals = merge([tally([line("x" * 50 + str(n)) for n in range(20)], seed=soak_seed)])
    assert len(totals.near["short_answer"]) == NEAR_EXAMPLES


def test_a_bucket_counts_from_its_start():
    starts = [bucket_start(bucket) for bucket in range(200)]
    assert starts == sorted(starts) and starts[0] == 0 and starts[8] == 1 and starts[80] == 1023
