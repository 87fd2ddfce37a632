"""Rules as data: shipped rules keep their good examples and reject their bad ones; a wrong file says what is wrong."""

import json
import pickle
from dataclasses import replace

import pytest

from samosa.data.filter import judge, load_rules, shipped, sort_lines
from samosa.errors import BadInput

SHIPPED = [(name, rule) for name in shipped() for rule in load_rules(name).rules]
RULE = """
[[rule]]
name = "r"
version = 1
scope = "assistant prose"
{}
why = "w"
good = []
bad = []
"""


def row(example):
    if isinstance(example, str):
        return [{"role": "user", "content": "hi"}, {"role": "assistant", "content": example}]
    return example


def write(path, *bodies: str, joined: bool = False):
    head = f'version = 1\nabout = "a"\njoined = {str(joined).lower()}\n'
    path.write_text(head + "".join(RULE.format(body) for body in bodies))
    return path


@pytest.mark.parametrize(("name", "rule"), SHIPPED, ids=[f"{name}-{rule.name}" for name, rule in SHIPPED])
def test_every_shipped_rule_keeps_its_good_examples_and_rejects_its_bad_ones(name, rule):
    alone = replace(load_rules(name), rules=(rule,))
    assert rule.good and rule.bad
    for example in rule.good:
        assert judge(alone, row(example)) == (), example
    for example in rule.bad:
        reasons = judge(alone, row(example))
        assert {reason.rule for reason in reasons} == {rule.name}, example


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ('good = ["a fox"]\nbad = []', 'r rejects its good example "a fox"'),
        ('good = []\nbad = ["a dog"]', 'r keeps its bad example "a dog"'),
        ("good = [{ text = 1 }]\nbad = []", "no row: no messages"),
        ('good = ["a dog"]\nbad = ["a fox", [{ role = "assistant", content = "FOX" }]]', None),
    ],
)
def test_a_rule_of_ones_own_has_to_decide_its_examples_as_they_say(tmp_path, examples, said):
    file = write(tmp_path / "mine.toml", 'pattern = "fox"\nflags = "i"')
    file.write_text(file.read_text().replace("good = []\nbad = []", examples))
    if said is None:
        assert load_rules(file).name == "mine"
        return
    with pytest.raises(BadInput, match=said):
        load_rules(file)


def test_an_unknown_set_lists_the_sets():
    with pytest.raises(BadInput, match="no rule set defualt") as error:
        load_rules("defualt")
    assert "default" in error.value.hint and "roadmap" in error.value.hint


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "needs a pattern or a builtin"),
        ('pattern = "a"\nflags = ""\nbuiltin = "emoji_run"', "needs a pattern or a builtin"),
        ('pattern = "a"', "does not say its flags"),
        ('pattern = "a"\nflags = "x"', "does not say its flags"),
        ("pattern = '(a'\nflags = \"\"", "missing \\)"),
        ("pattern = '(.+)\\n\\1'\nflags = \"\"", "invalid escape sequence"),
        ('builtin = "emojis"', "there is no builtin emojis"),
        ('builtin = "emoji_run"', "emoji_run is told nothing"),
        ('builtin = "emoji_run"\nargs = { times = "3" }', "emoji_run is told"),
        ('builtin = "emoji_run"\nargs = { times = 3, more = 1 }', "emoji_run is told"),
        ('builtin = "emoji_run"\nargs = { times = 3 }\nflags = "i"', "are for patterns"),
        ('pattern = "a"\nflags = ""\nengine = "regex"', "engine and timeout go together"),
        ('pattern = "a"\nflags = ""\nargs = { times = 3 }', "args are for builtins"),
        ('patern = "a"', "patern is not a known key"),
    ],
)
def test_a_rule_that_says_too_much_or_too_little_is_told_so(tmp_path, body, said):
    with pytest.raises(BadInput, match=said):
        load_rules(write(tmp_path / "mine.toml", body))


def test_a_name_used_twice_and_a_set_that_includes_itself_are_refused(tmp_path):
    with pytest.raises(BadInput, match="r stands there twice"):
        load_rules(write(tmp_path / "mine.toml", 'pattern = "a"\nflags = ""', 'pattern = "b"\nflags = ""'))
    (tmp_path / "a.toml").write_text('version = 1\nabout = "a"\njoined = false\ninclude = ["a.toml"]\nrule = []\n')
    with pytest.raises(BadInput, match="include themselves"):
        load_rules(tmp_path / "a.toml")


def test_included_rules_come_first(tmp_path):
    (tmp_path / "a.toml").write_text('version = 1\nabout = "a"\njoined = false\ninclude = ["default"]\nrule = []\n')
    assert load_rules(tmp_path / "a.toml").rules == load_rules("default").rules


def test_the_key_changes_with_what_decides_and_with_nothing_else(tmp_path):
    body = "pattern = '{}'\nflags = \"{}\""
    key = load_rules(write(tmp_path / "a.toml", body.format("a", "")))
    assert load_rules(write(tmp_path / "b.toml", body.format("a", ""))).key == key.key
    assert replace(key, rules=(key.rules[0].model_copy(update={"why": "another"}),)).key == key.key
    others = [body.format("b", ""), body.format("a", "i")]
    keys = {load_rules(write(tmp_path / "c.toml", other)).key for other in others}
    keys.add(load_rules(write(tmp_path / "c.toml", body.format("a", ""), joined=True)).key)
    assert len(keys | {key.key}) == 4


def test_a_rule_set_travels_to_another_process():
    rules = load_rules("default")
    again = pickle.loads(pickle.dumps(rules))
    assert again == rules and again.key == rules.key


def test_a_match_that_begins_inside_an_exception_does_not_count_and_one_behind_it_does(tmp_path):
    rules = load_rules(write(tmp_path / "a.toml", 'pattern = \'no\'\nflags = "i"\nunless = \'"[^"]*"\''))
    assert judge(rules, row('He said "no, No" and left.')) == ()
    (reason,) = judge(rules, row('"no" No "no"'))
    assert (reason.start, reason.end, reason.excerpt) == (5, 7, "No")


def test_a_back_reference_takes_the_regex_engine(tmp_path):
    rules = load_rules(
        write(tmp_path / "a.toml", 'pattern = \'\\b(\\w+) \\1\\b\'\nflags = "i"\nengine = "regex"\ntimeout = 2')
    )
    (reason,) = judge(rules, row("This is the the end."))
    assert reason.excerpt == "the the" and judge(rules, row("This is the end.")) == ()


def test_a_pattern_that_never_ends_is_a_reason_of_its_own_and_no_hang(tmp_path):
    body = 'pattern = \'(a+)+\\1b\'\nflags = ""\nengine = "regex"\ntimeout = 0.05'
    rules = load_rules(write(tmp_path / "a.toml", body))
    line = json.dumps({"messages": row("a" * 5000)}).encode()
    (judged,) = sort_lines(rules, [(0, line)])
    assert [(reason.rule, reason.why) for reason in judged.reasons] == [("r:timeout", "no answer within 0.05 s")]


def test_rules_for_anyone_read_the_question_too(tmp_path):
    path = write(tmp_path / "a.toml", 'pattern = "secret"\nflags = ""')
    path.write_text(path.read_text().replace("assistant prose", "any prose"))
    asked = [{"role": "user", "content": "a secret"}, {"role": "assistant", "content": "What is it?"}]
    assert [reason.turn for reason in judge(load_rules(path), asked)] == [0]
