"""Phase A's rules: what they reject, why, and that what passes keeps its bytes."""

import errno
import json
from pathlib import Path

import pytest

from samosa.chat.conversation import parse_row
from samosa.data.filters import RULES, reasons_against, rule_named, sift
from samosa.errors import BadInput

CALL = {"type": "python", "text": '{"arguments":{"query":"x"},"tool":"web_search"}'}
RESULT = {"type": "python_output", "text": '{"output":1}'}
THINK = {"type": "text", "text": "<think>\nhm\n</think>\n"}


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def chat(*parts: dict) -> dict:
    return {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": list(parts)}]}


def broken(row: dict) -> set[str]:
    conversation = parse_row(row, source="t")
    return {reason["rule"] for reason in reasons_against(conversation, [(name, rule_named(name)) for name in RULES])}


@pytest.mark.parametrize(
    ("row", "rules"),
    [
        (chat(THINK, CALL, RESULT, text("It is 1.")), set()),
        (chat(text("<think>hm</think>42")), set()),
        (chat(text("42")), set()),
        (chat(text("<think>hm, 42")), {"closed_think", "answer_outside_think"}),
        (chat(text("hm</think> 42")), {"closed_think"}),
        (chat(text("<think>it is 42</think>")), {"answer_outside_think", "terminated"}),
        (chat(CALL, RESULT, THINK, text("1")), {"call_after_think"}),
        (chat(THINK, text("Well."), CALL, RESULT, text("1")), {"call_after_think"}),
        (chat(THINK, CALL, RESULT, CALL, RESULT, text("1")), {"one_result"}),
        (chat(THINK, {"type": "python", "text": '{"tool":'}, RESULT, text("1")), {"call_is_json"}),
        (chat(text("<think>a</think> b <|python_start|> c")), {"no_marker_text"}),
    ],
)
def test_rules_name_what_is_wrong_with_a_row(row, rules):
    assert broken(row) == rules


def test_a_conversation_without_an_answer_is_not_terminated():
    assert broken({"messages": [{"role": "user", "content": "hi"}]}) == {"terminated"}


def test_kept_rows_keep_their_bytes_and_rejected_ones_get_every_reason(tmp_path):
    good = '{ "messages":[{"role":"user","content":"h\\u00e9"},   {"role":"assistant","content":"oké"}] }'
    bad = json.dumps(chat(text("<think>a"), CALL, RESULT, CALL, RESULT))
    (tmp_path / "in.jsonl").write_text(good + "\n\n" + bad + "\n" + good)
    report = sift(tmp_path / "in.jsonl", tmp_path / "kept.jsonl", tmp_path / "rejected.jsonl", rules=RULES)
    assert (tmp_path / "kept.jsonl").read_text() == good + "\n" + good + "\n"
    (rejected,) = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert rejected["line"] == 3 and len({reason["rule"] for reason in rejected["reasons"]}) >= 2
    assert (report.kept, report.rejected) == (2, 1) and sum(report.reasons.values()) >= 2


def test_a_broken_line_is_named_and_nothing_is_written(tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps(chat(text("a"))) + "\n{broken\n")
    with pytest.raises(BadInput, match=r"in\.jsonl:2"):
        sift(tmp_path / "in.jsonl", tmp_path / "kept.jsonl", tmp_path / "rejected.jsonl", rules=["terminated"])
    assert not list(tmp_path.glob("*kept*")) and not list(tmp_path.glob("*rejected*"))


def test_an_unknown_rule_lists_the_rules(tmp_path):
    with pytest.raises(BadInput, match="no_such") as error:
        rule_named("no_such")
    assert "closed_think" in error.value.hint


def test_a_folder_is_no_source(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: Is a directory") as error:
        sift(tmp_path, tmp_path / "kept.jsonl", tmp_path / "rejected.jsonl", rules=["terminated"])
    assert error.value.hint and not list(tmp_path.iterdir())


def test_a_source_without_permission_says_so(tmp_path, monkeypatch):
    source, opened = tmp_path / "in.jsonl", Path.open

    def refusing(path, *args, **kwargs):
        if path == source:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refusing)  # the mode bits alone do not stop root
    with pytest.raises(BadInput, match=r"in\.jsonl cannot be read: Permission denied"):
        sift(source, tmp_path / "kept.jsonl", tmp_path / "rejected.jsonl", rules=["terminated"])
