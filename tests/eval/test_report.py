import html.parser
import json
import os
import re

import pytest

from samosa import cli, home
from samosa.chat.prompts import THINK_SYSTEM, with_system
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.eval.report import figures
from samosa.eval.settings import FullEvaluation
from samosa.phases import reporting
from tests.eval.report_home import checkpoint, judged_fully, judged_jointly, sample, trained

SECTIONS = ["training", "gate", "categories", "turns", "manner", "samples", "cost", "lineage"]
VOID = {"meta", "br"}
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> $x^2$ \u202edrow </style> {{ 7*7 }} &lt;"


class Page(html.parser.HTMLParser):
    """A page read back: is it balanced, what are its ids, what does it want to load, what does a reader see?"""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.wanted, self.handlers = [], [], [], [], []
        self.words, self.sections = [], {}
        self.feed(text)
        self.close()
        assert self.open == [], f"still open: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.handlers += [name for name in attributes if name.startswith("on")]
        wanted = [attributes.get(name) for name in ("src", "href", "xlink:href", "data", "action", "srcset")]
        self.wanted += [value for value in wanted if value is not None and not value.startswith("#")]
        if tag not in VOID:
            self.open.append((tag, attributes.get("id")))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, text):
        self.words.append(text)
        for tag, name in self.open:
            if tag == "section":
                self.sections[name] = self.sections.get(name, "") + text

    @property
    def seen(self):
        return "".join(self.words)


def report(name=None, *sets):
    assert reporting.run(Options(tag=name, sets=sets)) == 0
    tag = (name or "r7").split("@")[0]
    return (home.run_dir(tag) / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def lineage(samosa_home):
    """A base model, the chat model made from it, and the one made from that."""
    checkpoint("d2", 30, kind="base", stage="pretrain")
    checkpoint("r6", 20, init="base/d2@30")
    checkpoint("r7", 40, init="chat/r6@20")
    trained("d2", 30, kind="base", dollars=3.0)
    trained("r6", 20, init="base/d2@30", dollars=2.0)
    trained("r7", 40, init="chat/r6@20", dollars=1.5)
    return samosa_home


@pytest.fixture
def told(lineage, monkeypatch):
    """The same home; pictures are left out, for what is about the words around them."""
    for name in ("curve", "forest", "lengths", "shares"):
        monkeypatch.setattr(figures, name, lambda *drawn, about, **how: about)
    return lineage


def joint(wrong=(), *, answer="It is 42.", **more):
    """Six turns of two patterns; those in `wrong` failed."""
    names = [f"{name}-{i}" for name in ("no_tool", "calculator") for i in range(3)]
    return [
        sample(name, name[:-2], passed=name not in wrong, answer=answer, call=name.startswith("calc"), **more)
        for name in names
    ]


def test_a_run_with_everything_has_every_section_and_needs_nothing_else(lineage, capsys):
    judged_jointly("r6", 20, joint(wrong=["no_tool-0", "calculator-1"]))
    judged_jointly("r7", 40, joint(wrong=["calculator-2"]))
    text = report("r7")
    page = Page(text)
    assert list(page.sections) == SECTIONS
    assert page.wanted == [] and page.handlers == []
    assert not {"script", "link", "img", "iframe", "object", "style"} & set(page.tags[page.tags.index("body") :])
    assert re.findall(r"(?:https?:)?//\w[^\s\"'<]*", re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)) == []
    assert len(page.ids) == len(set(page.ids)), "ids are unique on the page"
    assert set(re.findall(r"url\(#([^)]*)\)", text)) | set(re.findall(r'xlink:href="#([^"]*)"', text)) <= set(page.ids)
    assert page.tags.count("svg") == 4 + 1 + 2  # curves, the forest, lengths and tools
    assert text.count('<svg role="img" aria-labelledby=') == page.tags.count("svg")
    said = capsys.readouterr().err
    assert "report: " in said and said.splitlines()[-1].startswith("next: samosa")


def test_flips_come_first_beside_what_was_said_before(told):
    judged_jointly("r6", 20, joint(wrong=["no_tool-0"], answer="Six times seven."))
    judged_jointly("r7", 40, joint(wrong=["calculator-2"]))
    section = Page(report("r7")).sections["samples"]
    assert "Before is r6@20, which it was trained from: 1 lost, 1 gained." in section
    shown = re.findall(r"(lost|gained|failed|passed)(?:calculator|no_tool)", section)
    assert shown[:2] == ["lost", "gained"] and set(shown[2:]) == {"passed"}
    assert section.index("Six times seven.") < section.index("It is 42.")


def test_the_turns_grammar_is_told_in_words_as_well_as_in_colour(told):
    judged_jointly("r7", 40, joint())
    text = report("r7")
    for kind in ("think", "call", "result", "answer"):
        assert re.search(rf'<div class="span {kind}"><b>{kind}</b>', text)
    assert "<i>&lt;think&gt;</i>So.<i>&lt;/think&gt;</i>" in text


def test_a_follow_up_stands_below_what_it_follows(told):
    first = with_system(THINK_SYSTEM, "Who is Ada?")
    judged_jointly("r7", 40, [sample("a-1", "multi_turn", earlier=(first, "A poet's <b>girl</b>."), asked="And him?")])
    section = Page(report("r7")).sections["samples"]
    assert re.search(r"user: Who is Ada\?\s+assistant: A poet's <b>girl</b>\.\s+And him\? \(asked to think\)", section)


def test_what_a_model_says_is_text_whatever_it_says(told):
    judged_jointly("r6", 20, joint(answer=EVIL, asked=EVIL, think=EVIL))
    judged_jointly("r7", 40, joint(wrong=["no_tool-0"], answer=EVIL, asked=EVIL, think=EVIL))
    text = report("r7")
    page = Page(text)
    assert not {"script", "img"} & set(page.tags) and page.handlers == [] and page.wanted == []
    assert "<script>alert(1)</script><img src=x onerror=alert(2)> $x^2$ [U+202E]drow" in page.seen
    assert "\u202e" not in text and "49" not in page.sections["samples"]


def test_names_in_a_picture_are_text_as_well(samosa_home):
    evil = "<script>&$a$"
    judged_jointly("r7", 40, [sample("a-1", evil), sample("a-2", evil, passed=False)])
    page = Page(report("r7"))
    assert "script" not in page.tags and evil in page.sections["gate"] and evil in page.sections["turns"]


def test_the_same_inputs_give_the_same_bytes(samosa_home):
    judged_jointly("r7", 40, joint(wrong=["no_tool-1"]))
    assert report("r7") == report("r7")


def test_a_base_model_that_was_never_judged_says_so_with_the_commands(told, capsys):
    page = Page(report("d2"))
    assert "samosa eval --tag d2@30 --suite core" in page.sections["gate"]
    assert "a base model holds no conversations" in page.sections["samples"]
    assert "base, pretrain" in page.sections["lineage"] and "$" not in page.sections["cost"]
    assert capsys.readouterr().err.splitlines()[-1] == "next: samosa eval --tag d2@30 --suite core"


def test_every_part_that_is_not_there_says_what_makes_it(samosa_home):
    checkpoint("r7", 40)
    sections = Page(report("r7")).sections
    assert "metrics.jsonl is not here" in sections["training"]
    for part in ("gate", "categories", "turns", "manner", "samples"):
        assert "samosa eval --tag r7@40 --suite full" in sections[part], part
    assert "no run knew a price" in sections["cost"]


def test_a_run_without_validations_says_how_to_have_some(told):
    trained("r7", 40, validated=False)
    assert "--set train.eval_every=50" in Page(report("r7")).sections["training"]


def test_without_the_same_questions_before_the_command_that_asks_them_is_shown(told):
    judged_jointly("r6", 20, joint(), seed=5)
    judged_jointly("r7", 40, joint(), seed=6)
    section = Page(report("r7")).sections["samples"]
    assert "samosa eval --tag r6@20 --suite joint --seed 6" in section and "Some of each category" in section


def test_samples_that_changed_since_are_told_and_not_shown(told):
    line = judged_jointly("r7", 40, joint())
    (told / line["samples"]).write_text("{}\n")
    sections = Page(report("r7")).sections
    assert "has changed since r7@40 was judged by it" in sections["samples"]
    assert "67%" not in sections["turns"] and "samosa eval --tag r7@40 --suite joint --seed 1" in sections["turns"]


def test_a_newer_checkpoint_than_the_judged_one_is_said(told):
    judged_jointly("r7", 40, joint())
    checkpoint("r7", 50, init="chat/r6@20")
    page = Page(report("r7"))
    assert "r7@50 was not judged yet: everything about answers below is of r7@40" in page.sections["gate"]


def test_all_times_a_suite_was_asked_count_and_not_the_last_alone(told):
    judged_jointly("r7", 40, joint(wrong=["no_tool-0"]), seed=1)
    judged_jointly("r7", 40, joint(), seed=2)
    page = Page(report("r7"))
    assert (
        "Asked 2 times; the picture is of the last. ✗ failed with seed 1, ✓ passed with seed 2."
        in page.sections["gate"]
    )
    assert "the joint gate, 1 of 2 times" in page.seen
    assert re.search(r"no_tool\s*83\.3%", page.sections["categories"]), "5 of 6 over both seeds"
    judged_jointly("r7", 40, joint(), seed=1)  # asked again: the first answers are gone and count no more
    assert re.search(r"no_tool\s*100\.0%", Page(report("r7")).sections["categories"])


def test_the_full_suites_gate_is_drawn_with_the_champion_beside_it(samosa_home):
    checkpoint("r6", 20)
    checkpoint("r7", 40, init="chat/r6@20")
    settings = load(FullEvaluation, "full", recipe="tiny", sets=['full.champion="r6"']).full
    turns = [
        sample(f"{name}-{i}-{i % 5}", name, k=k, asked=f"{name} {i}?", answer=f"Answer {i}.")
        for name in ("think_tool", "creative")
        for i in range(8)
        for k in (0, 1)
    ]
    judged_fully("r6", 20, turns, settings, champion=turns)
    line = judged_fully("r7", 40, turns, settings, champion=turns)
    assert line["outcome"] == "not enough evidence"
    page = Page(report("r7", 'full.champion="r6"'))
    assert page.tags.count("svg") == 2 + 2  # pass rates and changes, lengths and tools
    gate = page.sections["gate"]
    assert "The full suite: not enough evidence" in gate and "Change against r6" in gate
    assert "surely above 80%" in gate and "surely above -10%" in gate and "zero tolerance: artefacts" in gate
    assert "Before is r6@20, the champion: 0 lost, 0 gained." in page.sections["samples"]
    assert (
        "8 answers" not in page.sections["manner"]
        and "16 answers, the same prompts for both" in page.sections["manner"]
    )


def test_turns_are_those_of_the_full_suite_where_both_were_asked(told):
    judged_jointly("r6", 20, joint())
    judged_jointly("r7", 40, joint())
    assert "Lengths of 6 turns" in Page(report("r7")).sections["turns"]
    settings = load(FullEvaluation, "full", recipe="tiny", sets=[]).full
    judged_fully("r7", 40, [sample(f"identity-{i}-0", "identity") for i in range(4)], settings)
    page = Page(report("r7"))
    assert "Lengths of 4 turns" in page.sections["turns"] and "6 answers" not in page.sections["manner"]
    assert "samosa eval --tag r6@20 --suite full --seed 1" in page.sections["samples"]
    assert "The joint suite: passed" in page.sections["gate"], "whose gate is shown all the same"


def test_costs_are_added_up_over_the_lineage(told):
    cost = " ".join(re.sub(r"<[^>]*>", " ", report("r7")).split())
    assert "r7@40 40 164 k 40 s 2 CPU processes 4,096 – – 1.50" in cost
    assert "together 369 k 1.5 min 6.50" in cost  # 90 steps of 4,096 tokens and a second each; 3 + 2 + 1.50 dollars


def test_without_a_tag_it_is_the_run_that_was_written_to_last(told):
    for number, tag in enumerate(("d2", "r7", "r6")):
        for path in home.run_dir(tag).iterdir():
            os.utime(path, (number, number))
    os.utime(home.run_dir("r7") / "metrics.jsonl", (9, 9))
    home.run_dir("profile-sft").mkdir()  # of which there is nothing to tell
    (home.run_dir("profile-sft") / "trace.json").touch()
    assert "<h1>r7@40</h1>" in report()


def test_the_command_tells_where_the_page_is(told, capsys):
    assert cli.main(["report", "--tag", "r7@40", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == str(home.run_dir("r7") / "report.html") and said["name"] == "r7@40"
    assert sorted(said["missing"]) == ["categories", "gate", "manner", "samples", "turns"]


@pytest.mark.parametrize(
    ("tag", "message"),
    [("r8", "nothing is known of r8 here"), ("r7@41", "r7 has no step 41"), ("../r7", "is not the name")],
)
def test_a_name_that_nobody_knows_is_refused(told, tag, message):
    with pytest.raises(BadInput, match=message):
        report(tag)


def test_an_empty_home_has_no_latest_run(samosa_home):
    with pytest.raises(BadInput, match="no runs here") as refused:
        report()
    assert "samosa phase-a -r tiny" in refused.value.hint
