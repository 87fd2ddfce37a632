"""Which number an answer comes to, counted by hand."""

from decimal import Decimal

import pytest

from samosa.chat.tokenizer import load_tokenizer
from samosa.chat.tools import Toolbox
from samosa.config import load
from samosa.eval.benchmarks import gsm8k, solving
from samosa.eval.benchmarks.settings import Benchmarks
from samosa.eval.benchmarks.solving import Broken, read_answer
from samosa.model.engine import Finished
from tests.eval.puppet import Puppet
from tests.eval.turns import CALL, CALLED, END, calculate, ids_and_forced


@pytest.mark.parametrize(("answer", "strict", "flexible"), [
    ("7 + 35 = 42 cakes.\n#### 42", 42, 42),
    ("#### 1,080.", 1080, 1080),
    ("#### $18.50", "18.5", "18.5"),
    ("#### -3", -3, -3),
    ("#### 18.00", 18, 18),
    ("First #### 5, then #### 6", 5, 5),
    ("She makes $18.", None, 18),
    ("The answer is 8 dollars, since 8 is more than 7.", None, 8),
    ("The answer is 5 + 3 = 8.", None, 8),
    ("The final answer is: \\boxed{42} for all 3 of them.", None, 42),
    ("Answer: 1,200.50\nI hope this helps 100 %.", None, "1200.5"),
    ("He has 3 apples.\n\nQuestion: if 7 birds sit on 2 trees, how many are there?", None, 3),
    ("There are 12 of them.\nUser: and 5 more?", None, 12),
    ("It is x2 or A7.", None, None),
    ("I do not know.", None, None),
    ("", None, None),
    ("#### twelve", None, 12),
    ("#### .", None, None),
])  # fmt: skip
def test_the_number_that_an_answer_comes_to(answer, strict, flexible):
    assert gsm8k.strict(answer) == (None if strict is None else Decimal(strict))
    assert gsm8k.flexible(answer, ended=True) == (None if flexible is None else Decimal(flexible))


@pytest.mark.parametrize(("answer", "value"), [
    ("First 3 cakes, then 5 and", None),
    ("The answer is 8. Then I would", 8),
    ("so\n#### 8\n\nand", 8),
    ("There are 12.\nQuestion: what are 5", 12),
])  # fmt: skip
def test_of_a_turn_that_was_cut_off_only_a_stated_answer_is_read(answer, value):
    assert gsm8k.flexible(answer, ended=False) == value


def test_the_majority_is_by_value_and_what_has_no_answer_does_not_vote():
    values = [None, Decimal("8"), Decimal("5.0"), None, Decimal("5"), None]
    assert gsm8k.majority(values) == 5
    assert gsm8k.majority([Decimal(7), Decimal(9)]) == 7
    assert gsm8k.majority([None]) is None
    assert gsm8k.shown(Decimal("1200.50")) == "1200.5" and gsm8k.shown(Decimal("1E+3")) == "1000"


@pytest.mark.parametrize("row", [
    {"question": "How many?", "answer": "Two."},
    {"question": 5, "answer": "#### 2"},
    {"answer": "#### 2"},
])  # fmt: skip
def test_a_row_without_question_or_answer_is_refused(row):
    with pytest.raises((KeyError, TypeError, ValueError)):
        gsm8k.problem(row, number=0)


def finished(golden, *pieces, reason="end"):
    tokenizer = load_tokenizer(golden / "tokenizer")
    ids, forced = ids_and_forced(tokenizer, *pieces)
    return Finished(
        0, [*ids, *([tokenizer.special("assistant_end")] if reason == "end" else [])], forced, reason
    ), tokenizer


def test_only_the_answer_span_is_read(golden):
    turn, tokenizer = finished(
        golden, "<think>#### 1</think>", "First 2", CALL, calculate("1+2"), CALLED, b"3", "so #### 4"
    )
    assert read_answer(turn, tokenizer) == ("so #### 4", True)
    turn, tokenizer = finished(golden, "<think>it is #### 1", reason="length")
    assert read_answer(turn, tokenizer) == ("", False)
    turn, tokenizer = finished(golden, "It is #### 1</think>", "so 4")
    assert read_answer(turn, tokenizer) == ("so 4", True), "the tag was not opened, and yet it closes thinking"
    called = CALL, calculate("1+2"), CALLED, b"3"
    turn, tokenizer = finished(golden, "3 more: ", *called, " makes 4,", *called, " and 5")
    assert read_answer(turn, tokenizer) == ("and 5", True)


def test_a_turn_that_the_engine_broke_off_is_no_wrong_answer(golden):
    turn, tokenizer = finished(golden, "so", reason="context")
    with pytest.raises(Broken) as error:
        read_answer(turn, tokenizer)
    assert error.value.exit_code == 30


ROW = {"question": "A box holds 12 eggs. How many are in 3?", "answer": "12*3=<<12*3=36>>36\n#### 36"}


def solved(golden, tools, *pieces):
    """The sample of the one problem, by a model that says these pieces through the real engine."""
    tokenizer, cfg = load_tokenizer(golden / "tokenizer"), load(Benchmarks, "benchmarks")
    problem = gsm8k.problem(ROW, number=0)
    (prompt,) = [solving._prompt(problem, cfg.gsm8k.system[tools], tokenizer)]
    ids, _ = ids_and_forced(tokenizer, *pieces, END)
    model = Puppet({tuple(prompt): ids}, tokenizer.vocab_size)
    told = []
    make = solving.of_problems([problem], tools, model, tokenizer, cfg.gsm8k, cfg.gate, seed=0, progress=told.append)
    (line,) = make(range(1))
    assert told == [len(line["ids"])]
    return line


def test_with_tools_the_calculator_answers_and_what_follows_it_is_graded(golden):
    result = Toolbox(None).run(calculate("12*3")).payload.encode()
    line = solved(golden, "on", "<think>12 #### 5</think>", CALL, calculate("12*3"), CALLED, result, "That is\n#### 36")
    assert (line["strict"], line["flexible"], line["passed"], line["answer"]) == (1.0, 1.0, True, "That is\n#### 36")
    assert sum(line["forced"]) > 2 and line["filtered_resps"] == ["36", "36"]


def test_without_tools_a_call_has_no_result(golden):
    line = solved(golden, "off", CALL, calculate("12*3"), CALLED, "It is 35 eggs.")
    assert sum(line["forced"]) == 0 and line["filtered_resps"] == [None, "35"]
    assert (line["strict"], line["flexible"], line["reason"]) == (0.0, 0.0, "the answer is 36, not 35")
