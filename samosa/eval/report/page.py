"""The page itself: what is told of a run, put into the template.

What models and data say is hostile: everything is escaped, what would reorder or hide text is shown as its code point,
and the page allows itself no script and no address to load anything from. The same inputs give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from samosa import home
from samosa.chat.visible import page_templates
from samosa.eval.compare import Comparison
from samosa.eval.criteria import Criterion
from samosa.eval.history import Line
from samosa.eval.report import pictures, samples, scores
from samosa.eval.report.curves import Metrics
from samosa.eval.report.facts import Comparand, Lineage, Missing
from samosa.eval.report.samples import Samples

GLYPHS = {"passed": "✓", "failed": "✗", "not enough evidence": "?", "measurement broke": "!"}
GLYPHS |= {"met": "✓", "not met": "✗", "not shown": "?", "not measured": "·"}


@dataclass(frozen=True)
class Subject:
    """Everything a report is made from."""

    tag: str
    name: str
    """tag@step of the checkpoint that the report is about, or the tag where it has none."""
    metrics: Metrics
    lines: Sequence[Line]
    """The evaluations of its weights, oldest first."""
    record: Sequence[Line]
    """Those of all checkpoints of the lineage, and of what it is compared with."""
    order: Sequence[str]
    """Their tags, those before first."""
    lineage: Lineage
    before: Samples
    after: Samples
    comparand: Comparand
    change: Comparison | None
    confidence: float
    goals: Sequence[Criterion] = ()
    missing: dict[str, list[Missing]] = field(default_factory=dict)
    """What cannot be shown, by section."""


def write(path: Path, subject: Subject) -> None:
    """Write the page, whole or not at all. Raises NotReady where it cannot be written."""
    home.write_atomic(path, render(subject))


def render(subject: Subject) -> str:
    """The page as text."""
    return (
        _template()
        .render(
            subject=subject,
            cards=_cards(subject),
            curves=pictures.training(subject.metrics),
            gates=pictures.gates(subject.lines),
            benchmarks=pictures.benchmarks(subject.lines),
            maps=scores.heat_maps(subject.record, subject.order),
            turns=pictures.turns(subject.after, subject.lines),
            manner=samples.manner(subject.before, subject.after),
            examples=samples.examples(subject.before, subject.after),
            totals=_totals(subject.lineage),
            judging=sum(line.get("seconds", 0) for line in subject.lines),
        )
        .rstrip()
        + "\n"
    )


@dataclass(frozen=True)
class Card:
    """A number at the head of the page."""

    number: str
    about: str


def _cards(subject: Subject) -> list[Card]:
    cards = []
    asked = [found for suite in scores.SUITES if (found := scores.evaluations(subject.lines, suite))]
    for found in asked[:1]:
        line, passed = found[-1], sum(line["outcome"] == "passed" for line in found)
        rate, low, high, n = scores.figures_of(line)
        often = f", {passed} of {len(found)} times" if len(found) > 1 else ""
        cards.append(Card(f"{GLYPHS[line['outcome']]} {line['outcome']}", f"the {line['suite']} gate{often}"))
        cards.append(Card(f"{rate:.1%}", f"of {n:,} instances, {low:.1%} to {high:.1%}"))
    if subject.change is not None:
        overall = subject.change.overall
        low, high = overall.interval
        cards.append(Card(f"{overall.difference:+.1%}", f"against {subject.comparand.name}, {low:+.1%} to {high:+.1%}"))
    if subject.goals:
        met = sum(one.state.value == "met" for one in subject.goals)
        cards.append(Card(f"{met} of {len(subject.goals)}", "of the roadmap's goals met"))
    node = subject.lineage.nodes[-1] if subject.lineage.nodes else None
    if node is not None:
        if node.val_bpb is not None:
            cards.append(Card(f"{node.val_bpb:.4f}", "bits per byte, held out"))
        if node.tokens is not None:
            cards.append(Card(_short(node.tokens), f"tokens in {node.steps or 0:,} steps"))
        if node.hours is not None:
            spent = "" if node.dollars is None else f", ${node.dollars:,.2f}"
            cards.append(Card(_hours(node.hours), f"of training{spent}"))
    return cards


def _totals(lineage: Lineage) -> dict[str, float]:
    """Sums over the lineage, of what is known."""
    return {
        name: sum(value for node in lineage.nodes if (value := getattr(node, name)) is not None)
        for name in ("tokens", "hours", "dollars")
    }


def _short(count: float) -> str:
    """1.2 B, 4.2 M, 830 k: as many tokens are spoken of."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:g}"


def _hours(hours: float) -> str:
    """2.07 h, 7.8 min, 57 s."""
    seconds = hours * 3600
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{hours:,.2f} h"


def _tint(rate: float) -> str:
    """How strongly a cell of the heat map is coloured: what fails stands out, and the first failures the most."""
    return f"{max(0.0, 1 - rate) ** 0.5:.2f}"


@cache
def _template() -> Any:
    environment = page_templates(Path(__file__).parent)
    environment.filters |= {
        "percent": lambda rate: f"{rate:.1%}",
        "signed": lambda rate: f"{rate:+.1%}",
        "short": _short,
        "hours": _hours,
        "tint": _tint,
        "glyph": lambda outcome: GLYPHS.get(outcome, ""),
    }
    return environment.get_template("report.html.j2")
