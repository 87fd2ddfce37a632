"""Questions with choices: how each form words them, where they come from, and rows that are not what they should be."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samosa.chat.tokenizer import load_tokenizer
from samosa.config import load
from samosa.errors import BadInput, NotReady
from samosa.eval.benchmarks import choices, parts
from samosa.eval.benchmarks.data import Place, drawn, read
from samosa.eval.benchmarks.result import Counted, claim
from samosa.eval.benchmarks.settings import Benchmarks

ROW = {"question": " Which is red? ", "subject": "old_maps", "choices": ["lion", "sea", "sky", "moon"], "answer": 0}
ARC = {
    "id": "X_7",
    "question": "What is wet?",
    "choices": {"text": ["sand", "rain"], "label": ["1", "2"]},
    "answerKey": "2",
}
SHOT = {**ROW, "question": "Which is blue?", "answer": 1}


@pytest.fixture
def tokenizer(golden):
    return load_tokenizer(golden / "tokenizer")


def worded(prompt, tokenizer):
    """What the model reads, for each choice."""
    return [(tokenizer.decode(context), tokenizer.decode(rest)) for context, rest in prompt.items]


def test_the_letter_form_of_mmlu_is_lm_evaluation_harnesss(tokenizer):
    question, shot = choices.mmlu(ROW, number=3), choices.mmlu(SHOT, number=0)
    prompt = choices.prompt(question, "letter", [shot], tokenizer, longest=10_000)
    asked = "The following are multiple choice questions (with answers) about old maps.\n\n"
    asked += "Which is blue?\nA. lion\nB. sea\nC. sky\nD. moon\nAnswer: B\n\n"
    asked += "Which is red?\nA. lion\nB. sea\nC. sky\nD. moon\nAnswer:"
    assert worded(prompt, tokenizer) == [(f"<|bos|>{asked}", f" {letter}") for letter in "ABCD"]
    assert (question.id, question.category, question.gold) == ("mmlu/3", "old_maps", 0)


def test_the_continuation_forms_are_lm_evaluation_harnesss(tokenizer):
    prompt = choices.prompt(choices.mmlu(ROW, number=3), "continuation", [], tokenizer, longest=10_000)
    asked = "The following are questions (with answers) about old maps.\n\nQuestion: Which is red?\nAnswer:"
    assert worded(prompt, tokenizer) == [(f"<|bos|>{asked}", f" {choice}") for choice in ROW["choices"]]
    prompt = choices.prompt(choices.arc(ARC, config="ARC-Easy"), "continuation", [], tokenizer, longest=10_000)
    asked = "<|bos|>Question: What is wet?\nAnswer:"
    assert worded(prompt, tokenizer) == [(asked, " sand"), (asked, " rain")]


def test_the_chat_form_is_nanochats(tokenizer):
    prompt = choices.prompt(choices.arc(ARC, config="ARC-Easy"), "chat", [], tokenizer, longest=10_000)
    asked = "Multiple Choice question: What is wet?\n- sand=1\n- rain=2\n"
    asked += "\nRespond only with the letter of the correct answer."
    turns = f"<|bos|><|user_start|>{asked}<|user_end|><|assistant_start|>"
    assert worded(prompt, tokenizer) == [(turns, "1"), (turns, "2")]


def test_worked_examples_that_do_not_fit_are_left_out_whole_the_first_ones_first(tokenizer):
    question = choices.mmlu(ROW, number=3)
    shots = [choices.mmlu({**SHOT, "question": f"Which is number {i}?"}, number=i) for i in range(3)]
    whole = choices.prompt(question, "letter", shots, tokenizer, longest=10_000)
    length = max(len(a) + len(b) for a, b in whole.items)
    less = choices.prompt(question, "letter", shots, tokenizer, longest=length - 1)
    assert (whole.shots, less.shots) == (3, 2)
    text = worded(less, tokenizer)[0][0]
    assert "number 0" not in text and "number 1" in text and text.startswith("<|bos|>The following")
    assert choices.prompt(question, "letter", shots, tokenizer, longest=20).shots == 0, "read as it is, if need be"


def test_a_long_choice_is_not_taken_for_unlikely_by_the_character():
    question = choices.mmlu({**ROW, "choices": ["ab", "abcdefgh", "x" * 10, "y"]}, number=0)
    prompt = choices.Prompt(question, "continuation", "", (), (), 0)
    assert choices.chosen(prompt, [-2.0, -4.0, -9.0, -1.5]) == {"acc": 3, "acc_norm": 1}
    assert choices.chosen(prompt, [-4.0, -4.0, -9.0, -4.0]) == {"acc": 0, "acc_norm": 1}


@pytest.mark.parametrize(("change", "message"), [
    ({"answer": 4}, "an answer from 0 to 3, not 4 and 4"),
    ({"answer": "A"}, "not 4 and 'A'"),
    ({"choices": ["a", "b"]}, "not 2"),
    ({"question": None}, "None is no text"),
    ({"subject": ...}, "no 'subject'"),
])  # fmt: skip
def test_a_row_that_is_no_question_is_named_with_its_file(change, message, samosa_home, tmp_path):
    row = {name: value for name, value in (ROW | change).items() if value is not ...}
    (tmp_path / "test.jsonl").write_text(f"{json.dumps(ROW)}\n{json.dumps(row)}\n")
    with pytest.raises(BadInput, match=f"test.jsonl: row 2 is no question of cais/mmlu: .*{message}"):
        loaded(f"mmlu.path={tmp_path}")


def loaded(*sets, suite="mmlu", kind="base"):
    return parts.load(
        suite, load(Benchmarks, "benchmarks", sets=["mmlu.shots=0", *sets]), kind, seed=0, again="again"
    ).parts


def test_local_files_may_be_of_any_format_the_hub_has(samosa_home, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "test.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROW).encode() + b"\n"))
    columns = tmp_path / "columns"
    columns.mkdir()
    pq.write_table(pa.Table.from_pylist([ROW]), columns / "test.parquet")
    hashes = {part.hash for path in (packed, columns) for part in loaded(f"mmlu.path={path}")}
    assert len(hashes) == 2, "the letter form and the continuation form, whichever file they are from"


def test_missing_files_say_where_to_put_them(samosa_home, tmp_path):
    with pytest.raises(NotReady) as error:
        loaded(f"arc.path={tmp_path}", suite="arc")
    assert "arc ARC-Easy test is not in" in error.value.message
    assert "ARC-Easy/test.jsonl" in error.value.hint and "allenai/ai2_arc" in error.value.hint


def parquet(*rows):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), out)
    return out.getvalue()


def test_questions_come_from_the_pinned_commit_and_only_once(hub, samosa_home):
    card = "---\nconfigs:\n- config_name: all\n  data_files:\n  - split: test\n    path: all/test-*\n---\n"
    files = {"README.md": card.encode(), "all/test-00000-of-00001.parquet": parquet(ROW, SHOT), "other.txt": b"x"}
    repo = hub.add("datasets", "cais/mmlu", files)
    sets = [f"mmlu.revision={repo.commit}"]
    first = loaded(*sets)
    assert [part.total for part in first] == [2, 2]
    asked = len(hub.lines)
    assert [part.hash for part in loaded(*sets)] == [part.hash for part in first]
    assert len(hub.lines) == asked, "what was fetched is not asked for again"


def test_a_hub_that_lacks_the_data_says_so_and_where_else_it_may_be(hub, samosa_home):
    with pytest.raises(NotReady) as error:
        loaded()
    assert "cais/mmlu" in error.value.message and "mmlu.path=FOLDER with test.jsonl" in error.value.hint


def test_a_limit_draws_by_seed_and_keeps_the_order():
    some = drawn(range(100), 10, 5)
    assert len(some) == 10 and some == sorted(some) == drawn(range(100), 10, 5) != drawn(range(100), 10, 6)
    assert drawn(range(3), 10, 5) == [0, 1, 2] == drawn(range(3), None, 5)


def test_an_empty_split_is_no_benchmark(tmp_path, samosa_home):
    (tmp_path / "test.jsonl").write_text("\n")
    source = load(Benchmarks, "benchmarks", sets=[f"mmlu.path={tmp_path}"]).mmlu
    with pytest.raises(BadInput, match="mmlu test has no rows"):
        read(Place("mmlu", source, "all", "test", False), dict, again="again")


@pytest.mark.parametrize(("right", "n", "target", "said"), [
    (5712, 14042, 0.4, "MMLU > 40% needs >= 5,713 of 14,042: not shown (5,712)"),
    (5713, 14042, 0.4, "MMLU > 40% needs >= 5,713 of 14,042: shown (5,713)"),
    (690, 1319, 0.5, "MMLU > 50% needs >= 690 of 1,319: shown (690)"),
    (4, 4, 0.4, "MMLU > 40% needs >= 4 of 4: shown (4)"),
    (3, 3, 0.4, "MMLU > 40% cannot be shown by 3 questions at 95% confidence"),
])  # fmt: skip
def test_a_claim_says_the_count_it_needs(right, n, target, said):
    assert claim("MMLU", Counted(right, n), target, confidence=0.95) == said
