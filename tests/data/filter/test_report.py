"""The report: what it says, that hostile rows do nothing in it, and that it needs nothing else."""

import json
import re
from dataclasses import asdict
from html.parser import HTMLParser

import pytest
from scipy.stats import binomtest

from samosa.data.filter import load_rules, sort_lines
from samosa.data.filter.report import interval, visible, write_report
from samosa.data.filter.tally import Tally, Totals, merge

DEFAULT = load_rules("default")
HOSTILE = [
    "</script><script>alert(1)</script> is what the answer says, and it is long enough.",
    '<img src=x onerror=alert(1)> <b>bold</b> " onmouseover="alert(1)" x=\'',
    "</title></style></mark></details><svg onload=alert(1)> As an AI language model, I try.",
    "\u202eevil\u202c <b>\u2066isolated</b>\u2069\u2069 \x07 \u200b and \ufeff and {{ 7 * 7 }} {% raw %}",
    "```\n<b>only in code</b>\n``` and enough words outside of it to be kept by the filter",
]


class Page(HTMLParser):
    """Tags, attributes and the text of marks, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.marked: list[str] = []
        self.inside = False

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.inside = tag == "mark"

    def handle_data(self, data):
        if self.inside:
            self.marked.append(data)
        self.inside = False


def totals(answers: list[str], source: str = "pool.jsonl") -> Totals:
    counted = Tally(DEFAULT, source, seed=1, thorough=True)
    lines = [
        json.dumps([{"role": "user", "content": a}, {"role": "assistant", "content": a}]).encode() for a in answers
    ]
    for judged in sort_lines(DEFAULT, enumerate([*lines, b'{"broken": "<script>alert(2)</script>\xff'])):
        counted.add(judged)
    return merge([counted.as_dict()])


def written(folder, found: Totals, **options) -> str:
    path = folder / "report.html"
    write_report(path, DEFAULT, found, **{"settings": {"file": "<i>pool</i>"}, "sampled": False, **options})
    return path.read_text()


def test_hostile_rows_stay_text(tmp_path):
    page = Page()
    page.feed(text := written(tmp_path, totals(HOSTILE, source="<script>x</script>")))
    assert not page.tags & {"script", "img", "b", "iframe", "object", "link"}
    assert not {name for name in page.attributes if name.startswith("on")} | page.attributes & {"src", "data", "action"}
    assert set(re.findall('href="([^"]*)"', text)) == {f"#rule-{n}" for n in (1, 2)}
    assert not re.search("[\x00-\x08\x0b-\x1f\u200b\u202a-\u202e\u2066-\u2069\ufeff]", text)
    assert "[U+202E]evil" in text and "{{ 7 * 7 }}" in text and "49" not in page.marked
    assert "default-src 'none'" in text and "http" not in re.sub("http-equiv", "", text)


def test_matches_are_marked(tmp_path):
    page = Page()
    page.feed(written(tmp_path, totals(["Samosas are <b>fried</b> in oil, and then they are eaten with chutney."])))
    assert page.marked == ["<b>"]


def test_the_page_says_rows_rates_overlaps_and_near_misses(tmp_path):
    text = written(tmp_path, totals([*HOSTILE, "no", "<br> short"]))
    for said in (
        "html_tag",
        "short_answer",
        "62 %",
        "only in code",
        "pool.jsonl",
        "Broken lines",
        "near",
        "looser rule",
    ):
        assert said in text, said


def test_the_same_totals_give_the_same_bytes_after_json_too(tmp_path):
    found = totals(HOSTILE)
    again = merge([json.loads(json.dumps(asdict(found)))])
    assert written(tmp_path, found) == written(tmp_path, again)


def test_nothing_filtered_is_a_page_too(tmp_path):
    assert "0</strong>rows" in written(tmp_path, Totals())
    assert "A sample" in written(tmp_path, Totals(), sampled=True)


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (10, 10), (3, 17), (1, 100_000), (20_837, 200_000)])
def test_intervals_are_scipys(hits, of):
    right = binomtest(hits, of).proportion_ci(method="wilson")
    assert interval(hits, of) == pytest.approx((right.low, right.high), abs=1e-12)


def test_of_nothing_nothing_is_known():
    assert interval(0, 0) == (0.0, 1.0)


def test_joiners_of_emoji_and_scripts_stay():
    kept = "👨‍👩‍👧 क्‍ष\tand\nlines"
    assert visible(kept) == kept
    assert visible("a\u202eb\x00c\u200bd") == "a[U+202E]b[U+0000]c[U+200B]d"
