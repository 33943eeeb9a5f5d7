"""A table, a picture and a file of a day that was played."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from tests.load.day import ATTACKS, SALE_AT, Day, Hour, as_json

__all__ = ["draw", "told_day"]

_COLOURS = {"ordinary": "#9aa5b1", "flash sale": "#e49444", "attacks": "#d1605e"}
_HEADS = ("hour", "calls", "busiest 10 min", "attacks", "p50 ms", "p95 ms", "p99 ms", "errors", "degraded")


def told_day(hours: Sequence[Hour], day: Day, hour_seconds: float, *, picture: Path, path: Path) -> int:
    """Show and write what became of a day; 1 if any call failed or any decision was degraded."""
    heads = (*_HEADS, "fresh p50", "fresh p99", "waited")
    sys.stdout.write("".join(f"{head:>15}" for head in heads) + "\n")
    for hour in hours:
        cells = [f"{each:.0f}" if isinstance(each, float) else str(each) for each in as_json([hour])[0].values()]
        sys.stdout.write("".join(f"{cell:>15}" for cell in cells) + "\n")
    errors, degraded = sum(each.errors for each in hours), sum(each.degraded for each in hours)
    calls = sum(each.calls for each in hours)
    sys.stdout.write(f"{calls} calls, {errors} errors, {degraded} degraded\n")
    path.write_text(json.dumps({"hour_seconds": hour_seconds, "hours": as_json(hours)}, indent=2) + "\n")
    draw(hours, day, hour_seconds, picture)
    sys.stdout.write(f"written: {path}, {picture}\n")
    return int(errors + degraded > 0)


def draw(hours: Sequence[Hour], day: Day, hour_seconds: float, path: Path) -> None:
    """Traffic by what it is, latencies and freshness, over the hours of the day."""
    kinds: dict[str, list[float]] = {name: [] for name in _COLOURS}
    for call in day.calls:
        if call.kind != "payment":
            continue
        name = json.loads(call.body)["transaction_id"]
        scenario = day.scenarios[f"{call.merchant}/{name}"]
        kind = "attacks" if scenario in ATTACKS else scenario if scenario in kinds else "ordinary"
        kinds[kind].append(call.at / hour_seconds)
    at = np.array([int(hour.hour) for hour in hours])
    with style.context(["default", {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}]):
        figure = Figure(figsize=(9, 7.5), layout="constrained")
        traffic, latency, age = figure.subplots(3, 1, sharex=True)
        traffic.hist(
            list(kinds.values()),
            bins=list(np.arange(0, 24.01, 1 / 6)),
            stacked=True,
            color=list(_COLOURS.values()),
            label=list(kinds),
        )
        traffic.set_ylabel("payments in ten minutes\nof the day's time")
        traffic.legend(loc="upper left", frameon=False)
        traffic.axvline(SALE_AT, color="#222", linewidth=0.6, linestyle=":")
        for name, colour in (("p50", "#1f6feb"), ("p95", "#8a63d2"), ("p99", "#d1605e")):
            latency.plot(
                at + 0.5, [getattr(hour, name) for hour in hours], color=colour, marker="o", ms=3, label=name
            )
        latency.set_ylabel("a call, ms")
        for name, colour in (("fresh_p50", "#1f6feb"), ("fresh_p99", "#d1605e")):
            values = [getattr(hour, name) for hour in hours]
            age.plot(at + 0.5, values, color=colour, marker="o", ms=3, label=name.removeprefix("fresh_"))
        age.set_ylabel("record to features, ms")
        age.set_xlabel(f"hour of the day, each played in {hour_seconds:g} s")
        for axes in (latency, age):
            axes.set_yscale("log")
            axes.grid(axis="y", color="#ddd", linewidth=0.6)
            axes.legend(loc="lower right", bbox_to_anchor=(1, 0.97), frameon=False, ncols=3)
        age.set_xticks(range(0, 25, 2))
        figure.savefig(path, dpi=110, metadata={"Software": None})
