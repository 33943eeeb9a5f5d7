"""The plots of the demo's report; each takes figures and gives an inline SVG."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ops.demo.canvas import AMBER, BLUE, GREEN, GREY, GRID, INK, MUTED, RED, SKY, draw, log_axis
from ops.demo.model import ModelFigures, Spread, Velocity
from ops.markup import Markup

__all__ = [
    "Mark",
    "freshness",
    "latency",
    "precision_recall",
    "scores",
    "traffic",
    "velocity",
    "workflow",
]

WIDE: Final = 1000
HALF: Final = 484
# A moment in days since the first one began, its name, and the side of the name that touches it.
type Mark = tuple[float, str, Literal["left", "right"]]
_LEAST: Final = 0.05  # ms: shorter times are drawn as this, on axes that cannot show nothing
_MARKS: Final = {"approve": ("o", GREEN), "challenge": ("^", SKY), "review": ("s", AMBER), "decline": ("X", RED)}
_RUN_COLOURS: Final = (AMBER, BLUE)


def traffic(label: str, days: Sequence[Mapping[str, str | int]], marks: Sequence[Mark]) -> Markup:
    """Payments a day above, frauds and stopped payments below, with some moments marked."""
    dates = [date.fromisoformat(str(day["day"])) for day in days]
    at = np.array([(each - dates[0]).days for each in dates])
    series = {
        key: np.array([int(day[key]) for day in days]) for key in ("payments", "frauds", "declined_or_reviewed")
    }

    def paint(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.15))
        above.bar(at, series["payments"], width=0.72, color=GREY)
        above.set_ylabel("payments a day")
        below.bar(at - 0.19, series["frauds"], width=0.36, color=RED, label="frauds")
        below.bar(
            at + 0.19, series["declined_or_reviewed"], width=0.36, color=BLUE, label="declined or sent to review"
        )
        below.set_ylabel("of them, a day")
        below.set_ylim(0, max(1, int(series["frauds"].max()), int(series["declined_or_reviewed"].max())) * 1.3)
        below.legend(loc="upper left", ncols=2, borderaxespad=0, handlelength=1)
        step = max(1, -(-len(dates) // 14))
        below.set_xticks(at[::step], [f"{each.day} {each:%b}" for each in dates[::step]])
        below.set_xlim(-0.7, at[-1] + 0.7)
        below.set_xlabel("day of the generated world (UTC)")
        for axes in (above, below):
            axes.grid(visible=False, axis="x")
        for position, text, side in marks:
            for axes in (above, below):
                axes.axvline(position - 0.5, color=INK, linewidth=1, linestyle=(0, (3, 3)))
            above.annotate(
                text,
                (position - 0.5, 1),
                (-6 if side == "right" else 6, -2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha=side,
                va="bottom",
            )

    return draw("traffic", label, (WIDE, 330), paint)


def latency(label: str, samples: Mapping[str, Sequence[float]], spreads: Mapping[str, Spread]) -> Markup:
    """How long decisions took: the distribution above, percentiles by part below."""
    series = {key: np.maximum(samples[key], _LEAST) for key in ("our own code", "whole call") if samples.get(key)}
    ends = [float(end) for values in series.values() for end in (values.min(), values.max())]
    ends += [max(end, _LEAST) for spread in spreads.values() for end in (spread.p50, spread.worst)]
    low, high = min(ends) / 1.3, max(ends) * 1.3

    def paint(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.25, 1))
        edges = np.geomspace(low, high, 73)
        for key, values in series.items():
            shares = np.histogram(values, edges)[0] * 100 / len(values)
            colour = BLUE if key == "our own code" else MUTED
            above.stairs(shares, edges, fill=True, color=colour, alpha=0.85)
            peak = int(shares.argmax())
            above.annotate(
                key,
                ((edges[peak] * edges[peak + 1]) ** 0.5, shares[peak]),
                (0, 4),
                textcoords="offset points",
                ha="center",
                color=colour,
                fontweight="bold",
            )
        above.set_ylabel("% of decisions")
        above.margins(y=0.18)
        above.set_ylim(0, None)
        names = list(spreads)[::-1]
        for row, name in enumerate(names):
            found = spreads[name]
            _whisker(below, row, found, BLUE if name == "our own code" else MUTED)
        below.set_yticks(range(len(names)), names)
        below.set_ylim(-0.6, len(names) - 0.4)
        below.grid(visible=False, axis="y")
        log_axis(below, low, high, "milliseconds (logarithmic)")

    return draw("latency", label, (WIDE, 380), paint)


def _whisker(axes: Axes, row: int, found: Spread, colour: str) -> None:
    p50, p95, p99, worst = (max(value, _LEAST) for value in (found.p50, found.p95, found.p99, found.worst))
    axes.plot([p50, worst], [row, row], color=colour, linewidth=1)
    axes.plot([p50, p99], [row, row], color=colour, linewidth=4, solid_capstyle="butt")
    axes.plot([p50], [row], "o", color=colour, markersize=8)
    axes.plot([p95], [row], "|", color=colour, markersize=13, markeredgewidth=2)
    axes.plot([worst], [row], "o", color=colour, markersize=5, markerfacecolor="none")


def freshness(label: str, values: Sequence[float], found: Spread) -> Markup:
    """The share of events that are part of the features after some time."""
    ordered = np.sort(np.maximum(values, 1.0))
    shares = np.arange(1, len(ordered) + 1) * 100 / len(ordered)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.step([ordered[0], *ordered], [0, *shares], where="post", color=BLUE, linewidth=2)
        axes.fill_between(ordered, shares, step="post", color=BLUE, alpha=0.12, linewidth=0)
        for share, at in ((50, max(found.p50, 1.0)), (99, max(found.p99, 1.0))):
            axes.plot([at], [share], "o", color=BLUE, markersize=7)
            axes.annotate(f"{share} % within {at:,.0f} ms", (at, share), (12, -14), textcoords="offset points")
        axes.set_ylim(0, 104)
        axes.set_ylabel("% of events in the features")
        log_axis(
            axes, float(ordered[0]) / 1.2, float(ordered[-1]) * 2, "milliseconds since recorded (logarithmic)"
        )

    return draw("freshness", label, (WIDE, 280), paint)


def velocity(label: str, story: Sequence[Velocity]) -> Markup:
    """The counts that successive answers reported about one card at one merchant, and the amounts asked for."""
    at = np.arange(1, len(story) + 1)
    day = np.array([each.count_24h for each in story])

    def paint(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        above.plot(at, day, color=INK, linewidth=1.2, label="in 24 hours, marked by decision")
        for kind in sorted({each.decision for each in story}, key=_order):
            marker, colour = _MARKS.get(kind, ("D", MUTED))
            those = np.array([each.decision == kind for each in story])
            above.plot(
                at[those], day[those], marker, color=colour, markersize=8, label=kind, clip_on=False, zorder=3
            )
        above.set_ylabel("payments counted")
        above.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        above.margins(y=0.12)
        above.set_ylim(0, None)
        above.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=6, borderaxespad=0.2, handlelength=1.6)
        below.bar(at, [each.amount for each in story], width=0.6, color=GREY)
        below.set_ylabel("amount\n(minor units)")
        below.yaxis.set_major_formatter("{x:,.0f}")
        below.set_xlabel("answer about this card, in order")
        step = max(1, -(-len(story) // 20))
        below.set_xticks(at[::step])
        for axes in (above, below):
            axes.grid(visible=False, axis="x")

    return draw("velocity", label, (WIDE, 340), paint)


def _order(kind: str) -> tuple[int, str]:
    return (list(_MARKS).index(kind) if kind in _MARKS else len(_MARKS), kind)


def precision_recall(label: str, models: Sequence[ModelFigures], chance: float) -> Markup:
    """What each model finds, against how often its alarms are right; `chance` is the share of fraud."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for model, colour, dashes in zip(models, _RUN_COLOURS, ("--", "-"), strict=False):
            recall, precision = (100 * np.asarray(values) for values in (model.recall, model.precision))
            axes.plot(
                recall, precision, dashes, color=colour, linewidth=2, drawstyle="steps-post", label=model.role
            )
        axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":", label="chance")
        axes.set_xlim(0, 101)
        axes.set_ylim(0, 104)
        axes.set_xlabel("recall: % of the frauds that are found")
        axes.set_ylabel("precision: % of alarms that are fraud")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6)

    return draw("precision-recall", label, (HALF, 350), paint)


def scores(label: str, models: Sequence[ModelFigures]) -> Markup:
    """How the scores of frauds and of genuine payments are spread, a panel for each model."""

    def paint(figure: Figure) -> None:
        edges = np.linspace(0, 1, 21)
        panels = figure.subplots(len(models), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, model in zip(panels, models, strict=True):
            for values, offset, colour, name in (
                (model.scores_genuine, 0.0, GREY, "genuine"),
                (model.scores_fraud, 0.025, RED, "fraud"),
            ):
                shares = np.histogram(values, edges)[0] * 100 / max(1, len(values))
                axes.bar(edges[:-1] + 0.0125 + offset, shares, width=0.023, color=colour, label=name)
            axes.set_xlim(0, 1)
            axes.set_title(model.role, loc="left", fontsize=11.5, color=INK)
            axes.set_ylabel("% of its kind")
            axes.grid(visible=False, axis="x")
        panels[0].legend(loc="upper right", ncols=2, borderaxespad=0, handlelength=1)
        panels[-1].set_xlabel("score (0 to 1)")

    return draw("scores", label, (HALF, 350), paint)


def workflow(label: str, states: Sequence[Mapping[str, str | float]]) -> Markup:
    """The states of each run, one after the other, from its start."""
    runs = list(dict.fromkeys(str(each["run"]) for each in states))
    names = list(dict.fromkeys(str(each["state"]) for each in states))
    thick = 0.8 / len(runs)
    whole = max(sum(float(each["seconds"]) for each in states if each["run"] == run) for run in runs)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for order, run in enumerate(runs):
            start = 0.0
            colour = _RUN_COLOURS[order % len(_RUN_COLOURS)]
            for each in (state for state in states if state["run"] == run):
                row = names.index(str(each["state"])) + (order - (len(runs) - 1) / 2) * thick
                long = float(each["seconds"])
                axes.barh(row, max(long, whole / 400), thick * 0.9, left=start, color=colour)
                axes.annotate(
                    f"{long:.1f} s" if long >= 0.05 else "",
                    (start + long, row),
                    (5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=10,
                )
                start += long
            axes.barh(0, 0, color=colour, label=f"{run} run, {start:.0f} s")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, max(whole, 0.1) * 1.09)
        axes.set_xlabel("seconds since the run began")
        axes.grid(visible=False, axis="y")
        axes.hlines(np.arange(1, len(names)) - 0.5, 0, max(whole, 0.1) * 1.09, color=GRID, linewidth=0.6)
        axes.legend(loc="lower left", handlelength=1)

    return draw("workflow", label, (WIDE, 60 + 38 * len(names)), paint)
