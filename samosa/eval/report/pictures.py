"""Which pictures a report has, each with the words that say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from samosa.eval.history import Line
from samosa.eval.report import figures, samples, scores
from samosa.eval.report.curves import Curve, Metrics
from samosa.eval.report.figures import Estimate
from samosa.eval.report.samples import CALLED, Samples

SEEDS = 6  # that are named


@dataclass(frozen=True)
class Picture:
    """A drawing with its title and caption; its numbers are in its text alternative."""

    title: str
    svg: Markup
    caption: str = ""


def training(metrics: Metrics) -> list[Picture]:
    """Loss, validation, learning rate and gradient norm over steps, as far as the run wrote them."""
    found = [
        ("loss", metrics.curve("loss"), "Training loss", "nats a token"),
        ("bpb", metrics.bpb, "Validation", "bits per byte"),
        ("position", metrics.by_position, "Last validation, by position", "bits per byte"),
        ("rate", metrics.curve("lr_matrix", "lr"), "Learning rate of the matrices", "learning rate"),
        ("norm", metrics.curve("grad_norm"), "Gradient norm", "norm"),
    ]
    pictures = []
    for name, curve, title, unit in found:
        if curve is not None:
            caption = _told(curve, "position" if name == "position" else "step")
            svg = figures.curve(
                f"curve-{name}",
                curve,
                title=title,
                unit=unit,
                over="position in the document" if name == "position" else "step",
                about=caption,
                points=name in ("bpb", "position"),
                log=name != "rate",
            )
            pictures.append(Picture(title, svg, caption))
    return pictures


def _told(curve: Curve, over: str) -> str:
    if len(curve.steps) == 1:
        return f"{curve.values[0]:.4g} at {over} {curve.steps[0]:,.0f}."
    lowest = min(range(len(curve.low)), key=curve.low.__getitem__)
    ends = f"From {curve.values[0]:.4g} to {curve.values[-1]:.4g} at {over} {curve.steps[-1]:,.0f}"
    least = f"the least is {curve.low[lowest]:.4g}, by {over} {curve.steps[lowest]:,.0f}"
    thin = f". A point is the mean of {-(-curve.of // len(curve.steps)):,} steps, the band their range"
    return f"{ends}; {least}{thin if curve.is_binned else ''}."


@dataclass(frozen=True)
class Gate:
    """What became of one suite."""

    line: Line
    times: int
    """How often the suite was asked of these weights."""
    seeds: Mapping[str, str]
    """By outcome: with which seeds."""
    absolute: Picture
    rows: Sequence[Estimate]
    differences: Picture | None
    changes: Sequence[Estimate]
    others: Sequence[tuple[str, str, str]]
    """The full gate's other conjuncts: what, what was seen, outcome."""


def gates(lines: Sequence[Line]) -> list[Gate]:
    """What became of each suite that was asked, by its last evaluation."""
    asked = (scores.evaluations(lines, suite) for suite in scores.SUITES)
    return [_gate(found) for found in asked if found]


def _gate(found: Sequence[Line]) -> Gate:
    line = found[-1]
    suite, rows, changes = line["suite"], scores.absolute(line), scores.differences(line)
    by_outcome: dict[str, list[int]] = {}
    for one in found:
        by_outcome.setdefault(one["outcome"], []).append(one["seed"])
    # The roadmap's three are one instance each: their intervals say nothing and would squeeze the others.
    drawn = [row for row in rows if row.demand != "1 of 1"]
    return Gate(
        line=line,
        times=len(found),
        seeds={outcome: _few(seeds) for outcome, seeds in by_outcome.items()},
        absolute=_absolute(suite, drawn),
        rows=rows,
        differences=_differences(suite, changes, line["champion"]) if changes else None,
        changes=changes,
        others=scores.other_conjuncts(line),
    )


def _few(seeds: Sequence[int]) -> str:
    more = f" and {len(seeds) - SEEDS} more" if len(seeds) > SEEDS else ""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds[:SEEDS]))}{more}"


def _absolute(suite: str, rows: Sequence[Estimate]) -> Picture:
    title = f"Pass rates, {suite} suite"
    return Picture(title, figures.forest(f"forest-{suite}", rows, title=title, about=_listed(rows), unit="passed"))


def _differences(suite: str, rows: Sequence[Estimate], champion: str) -> Picture:
    title, about = f"Change against {champion}", _listed(rows, signed=True)
    return Picture(title, figures.forest(f"change-{suite}", rows, title=title, about=about, unit="change", zero=True))


@dataclass(frozen=True)
class Benchmarks:
    """Everything with an interval that no gate rests on."""

    picture: Picture
    rows: Sequence[Estimate]


def benchmarks(lines: Sequence[Line]) -> Benchmarks | None:
    """The forest of benchmarks and of the judge; None where none was run."""
    rows = scores.benchmarks(lines)
    if not rows:
        return None
    title = "Benchmarks, with 95% intervals"
    svg = figures.forest("forest-benchmarks", rows, title=title, about=_listed(rows), unit="right, or won")
    return Benchmarks(Picture(title, svg), rows)


def _listed(rows: Sequence[Estimate], *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    told = (f"{row.name} {row.value:{sign}.1%}, {row.low:{sign}.1%} to {row.high:{sign}.1%}" for row in rows)
    return f"{'; '.join(told)}."


def turns(told: Samples, lines: Sequence[Line]) -> list[Picture]:
    """How long turns are, and which tools they call; nothing where there are no samples."""
    if not told.told:
        return []
    limits = [line["settings"].get("max_tokens") for line in lines if line.get("suite") in scores.SUITES]
    limit = next((int(limit) for limit in reversed(limits) if limit), None)
    passed, failed = ([one.tokens for one in told.told if one.one.passed is which] for which in (True, False))
    middle, long = np.quantile([*passed, *failed], [0.5, 0.9])
    over = "" if limit is None else f"; a turn, with tool results, may take {limit:,}"
    about = f"Lengths of {len(told.told):,} turns: median {middle:,.0f} tokens, 90% have at most {long:,.0f}{over}."
    calls = samples.by_category(told.told)
    kinds = [kind for kind in CALLED if any(counts[kind] for _, counts in calls)]
    said = "; ".join(f"{name}: {', '.join(f'{n:,} {kind}' for kind, n in counts.items())}" for name, counts in calls)
    return [
        Picture("Lengths", figures.lengths("lengths", passed, failed, limit=limit, about=about), about),
        Picture("Tools called", figures.shares("tools", calls, kinds, title="Tools called", about=said)),
    ]
