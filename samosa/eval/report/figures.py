"""The report's pictures, as SVG: curves, forests of intervals, histograms, shares."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from samosa.eval.report.curves import Curve
from samosa.eval.report.drawing import BACK, BELOW, BLUE, DIM, GREY, INK, LINE, ORANGE, PURPLE, WIDTH, figure, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS: Mapping[str, tuple[str, str, str]] = {
    "passed": ("o", BLUE, BLUE),
    "failed": ("X", ORANGE, ORANGE),
    "not enough evidence": ("o", BACK, PURPLE),
    "measurement broke": ("s", BACK, GREY),
}
"""Marker, its face and its edge by outcome: told apart by shape as well as by colour."""
PLAIN = ("D", INK, INK)
LETTER = 6.9  # units a letter of a label takes, about
LONGEST = 24  # letters of a label
LEGEND_ROW, LEGEND_COLUMNS = 17, 3
ROW = 21  # units a row of a forest takes
MANY_DOUBLINGS = 20  # a curve that falls to a 20th is shown on a logarithmic axis
BINS = 48


@dataclass(frozen=True)
class Estimate:
    """One row of a forest: what was measured, between which bounds, and what was needed."""

    name: str
    value: float
    low: float
    high: float
    needed: float | None = None
    outcome: str | None = None
    seen: str = ""
    """The count it rests on, for the table beside the picture."""
    demand: str = ""
    """What was asked of it, in words."""


def curve(
    name: str, drawn: Curve, *, title: str, unit: str, over: str, about: str, points: bool = False, log: bool = True
) -> Markup:
    """A curve over steps; where many steps share a point, their range is a band around it. log: where it falls far."""
    with figure(205, left=58) as (fig, axes):
        if drawn.is_binned:
            axes.fill_between(drawn.steps, drawn.low, drawn.high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(drawn.steps, drawn.values, color=BLUE, marker="o" if points else None, markersize=3.5)
        if log:
            _scale(axes, drawn)
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(over)
        _beside(axes, unit)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == int(value) else "")
        axes.margins(x=0.02)
        return svg(fig, name, title=title, about=about)


def _beside(axes: "Axes", label: str) -> None:
    """A label at the left edge of the figure, wherever the tick labels end."""
    axes.set_ylabel(label)
    axes.yaxis.set_label_coords(-46 / (WIDTH - 58 - 10), 0.5)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _room(names: Iterable[str]) -> float:
    """The space at the left that labels take."""
    return 14 + LETTER * max(len(_short(name)) for name in names)


def _scale(axes: "Axes", drawn: Curve) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    least, most = min(drawn.low), max(drawn.high)
    if least > 0 and most / least > MANY_DOUBLINGS:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def forest(
    name: str, rows: Sequence[Estimate], *, title: str, about: str, unit: str, zero: bool = False, rate: bool = True
) -> Markup:
    """Estimates with their intervals, one a line, the first on top; a tick where the bound has to be above.

    zero: draw a line at 0, for differences. rate: the axis ends at 1.
    """
    with figure(ROW * len(rows) + BELOW + 12, left=_room(row.name for row in rows), right=62) as (fig, axes):
        for place, row in enumerate(rows):
            y = len(rows) - 1 - place
            marker, face, edge = LOOKS.get(row.outcome or "", PLAIN)
            axes.plot([row.low, row.high], [y, y], color=edge, linewidth=2, solid_capstyle="butt", zorder=2)
            for end in (row.low, row.high):
                axes.plot([end, end], [y - 0.18, y + 0.18], color=edge, linewidth=2, zorder=2)
            if row.needed is not None:
                axes.plot([row.needed] * 2, [y - 0.42, y + 0.42], color=INK, linewidth=1.4, linestyle=":", zorder=1)
            axes.plot([row.value], [y], marker, markersize=7, color=face, markeredgecolor=edge, zorder=3)
        if zero:
            axes.axvline(0, color=DIM, linewidth=1)
        _sides(axes, rows, signed=zero)
        _reach(axes, rows, rate=rate and not zero)
        axes.set_xlabel(unit)
        return svg(fig, name, title=title, about=about)


def _sides(axes: "Axes", rows: Sequence[Estimate], *, signed: bool) -> None:
    """Names at the left, values at the right."""
    places = range(len(rows) - 1, -1, -1)
    axes.set_yticks(list(places), [_short(row.name) for row in rows], color=INK)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    for y, row in zip(places, rows, strict=True):
        value = f"{row.value:+.1%}" if signed else f"{row.value:.1%}"
        axes.annotate(
            value, (1.02, y), xycoords=("axes fraction", "data"), va="center", ha="left", annotation_clip=False
        )


def _reach(axes: "Axes", rows: Sequence[Estimate], *, rate: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    ends = [end for row in rows for end in (row.low, row.high, *([] if row.needed is None else [row.needed]))]
    low, high = min(ends), max(ends)
    space = max(0.04 * (high - low), 0.004)
    axes.set_xlim(low - space, min(high, 1.0) + space if rate else high + space)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.10g}%")


def lengths(name: str, passed: Sequence[int], failed: Sequence[int], *, limit: int | None, about: str) -> Markup:
    """Turns by the tokens the model wrote, those that failed on top of those that passed."""
    most = max((*passed, *failed, 1))
    width = max(1, -(-most // BINS))
    edges = [width * place for place in range(most // width + 2)]
    with figure(205, left=58) as (fig, axes):
        axes.hist(
            [list(passed), list(failed)],
            bins=edges,
            stacked=True,
            color=[BLUE, ORANGE],
            label=["passed", "failed"],
            edgecolor=BACK,
            linewidth=0.5,
        )
        for bar in axes.containers[1]:
            bar.set_hatch("////")  # told apart without colour, too
        if limit is not None and limit <= 1.5 * most:
            axes.axvline(limit, color=INK, linewidth=1.4, linestyle=":")
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("tokens the model wrote")
        _beside(axes, "turns")
        _integers(axes)
        axes.legend(frameon=False, fontsize=11, loc="best")
        return svg(fig, name, title="Lengths of the turns", about=about)


def _integers(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


SHARE_LOOKS = ((LINE, ""), (BLUE, ""), (ORANGE, "////"), (PURPLE, "...."), (GREY, "xxxx"))
"""Colour and hatching of the kinds of a bar, in their order."""


def shares(
    name: str, rows: Sequence[tuple[str, Mapping[str, int]]], kinds: Sequence[str], *, title: str, about: str
) -> Markup:
    """For each row the shares of `kinds`, as one bar."""
    top = LEGEND_ROW * -(-len(kinds) // LEGEND_COLUMNS) + 8
    with figure(ROW * len(rows) + BELOW + top, left=_room(name for name, _ in rows), right=20, top=top) as (fig, axes):
        left = [0.0] * len(rows)
        places = list(range(len(rows) - 1, -1, -1))
        for kind, (color, hatch) in zip(kinds, SHARE_LOOKS, strict=False):
            widths = [counts.get(kind, 0) / sum(counts.values()) for _, counts in rows]
            axes.barh(places, widths, 0.68, left, label=kind, color=color, hatch=hatch, edgecolor=BACK, linewidth=0.5)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axes.set_yticks(places, [_short(name) for name, _ in rows], color=INK)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
        fig.legend(
            frameon=False, fontsize=11, loc="upper center", ncols=LEGEND_COLUMNS, columnspacing=1, handlelength=1.4
        )
        return svg(fig, name, title=title, about=about)
