"""The report of a filter: one HTML page that needs nothing else, with what was rejected, why, and what nearly was.

Rows are hostile: everything is escaped, what would reorder or hide text is shown as its code point, and the page allows
itself no script and no address to load anything from.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

from samosa import home
from samosa.chat.visible import page_templates, visible
from samosa.data.filter.rules import RuleSet
from samosa.data.filter.tally import Totals, bucket_start

SOURCES = 40
"""Sources that have a line of their own, those of the most rows; the others share one."""
WIDTH, HEIGHT = 640, 160  # of the drawing of lengths, in its own units
CONFIDENCE = 0.95


@dataclass(frozen=True)
class RuleLine:
    """A rule's line in the report; `low` and `high` bound its rate with 95 % confidence, were the rows a sample."""

    name: str
    why: str
    rows: int
    alone: int
    rate: float
    low: float
    high: float


def write_report(path: Path, rules: RuleSet, totals: Totals, *, settings: Mapping[str, Any], sampled: bool) -> None:
    """Write the page whole or not at all; the same totals give the same bytes. `sampled`: rates are a prediction."""
    names = [*(rule.name for rule in rules.rules), *sorted(totals.rules.keys() - {rule.name for rule in rules.rules})]
    page = _template().render(
        rules=rules,
        settings=settings,
        sampled=sampled,
        totals=totals,
        lines=rule_lines(rules, totals),
        names=[name for name in names if name in totals.rules and totals.rules[name].rows],
        overlap=lambda a, b: _overlap(totals, a, b),
        sources=_sources(totals),
        chart=_chart(totals),
    )
    home.write_atomic(path, page)


def prepare() -> None:
    """Import and compile what writing the page needs: a tenth of a second that is free while others work."""
    _template()


def rule_lines(rules: RuleSet, totals: Totals) -> list[RuleLine]:
    """Every rule's count and rate, those that reject most first."""
    whys = {rule.name: rule.why for rule in rules.rules}
    judged = totals.rows - totals.broken_rows
    lines = []
    for name, hits in totals.rules.items():
        low, high = interval(hits.rows, judged)
        rate = hits.rows / judged if judged else 0.0
        lines.append(RuleLine(name, whys.get(name, ""), hits.rows, hits.alone, rate, low, high))
    return sorted(lines, key=lambda line: (-line.rows, line.name))


def interval(hits: float, of: float) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927, equation for the score interval); (0, 1) of nothing."""
    if of == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    rate = hits / of
    middle = (rate + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _percent(share: float) -> str:
    """Two digits that tell something: 12 %, 1.2 %, 0.012 %."""
    if share <= 0:
        return "0 %"
    digits = max(0, 1 - math.floor(math.log10(share * 100)))
    return f"{share * 100:.{min(digits, 6)}f} %"


def _overlap(totals: Totals, rule: str, other: str) -> float:
    """The share of the rows that `rule` rejects which `other` rejects, too."""
    if rule == other:
        return 1.0
    both = totals.overlaps.get("|".join(sorted((rule, other))), 0)
    return both / totals.rules[rule].rows


def _sources(totals: Totals) -> list[tuple[str, Any]]:
    ranked = sorted(totals.sources.items(), key=lambda item: (-item[1].rows, item[0]))
    return ranked[:SOURCES]


@dataclass(frozen=True)
class Chart:
    """Rows by the length of their answers as outlines on WIDTH x HEIGHT: all rows, kept ones; ticks are (x, label)."""

    before: str
    after: str
    ticks: list[tuple[float, str]]
    most: int
    width: int = WIDTH
    height: int = HEIGHT


def _chart(totals: Totals) -> Chart | None:
    """Drawn here and not by matplotlib, whose import takes 0.9 s: half of what 350 MB of rows take to be filtered."""
    if not totals.before:
        return None
    first, last = min(totals.before), max(totals.before)
    most = max(totals.before.values())
    step = WIDTH / (last - first + 1)

    def outline(counts: dict[int, int]) -> str:
        points = [f"M0 {HEIGHT}"]
        for bucket in range(first, last + 1):
            y = HEIGHT * (1 - counts.get(bucket, 0) / most)
            points.append(f"V{y:.1f}h{step:.3f}")
        return "".join([*points, f"V{HEIGHT}Z"])

    starts = [(bucket, bucket_start(bucket)) for bucket in range(first, last + 1)]
    marks = [next(((b, n) for b, n in starts if n >= 10**power), None) for power in range(9)]
    ticks = [((b - first) * step, f"{10**power:,}") for power, mark in enumerate(marks) if mark for b, _ in [mark]]
    return Chart(outline(totals.before), outline(totals.after), ticks, most)


@cache
def _template() -> Any:
    import markupsafe

    environment = page_templates(Path(__file__).parent)

    def wrapping(name: str) -> str:
        return markupsafe.Markup("_<wbr>").join(visible(name).split("_"))  # join escapes what it joins

    environment.filters |= {
        "wrapping": wrapping,
        "percent": _percent,
    }
    return environment.get_template("report.html.j2")
