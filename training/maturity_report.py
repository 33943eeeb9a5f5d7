"""Label maturity as a page: one file, for people who answer for the model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from training.drawing import svg, text
from training.maturity import FILE, Curve, Maturity, days
from training.pages import banner, key, moment, page, plots, section, table

__all__ = ["render", "write_maturity"]

_LEVELS = ("0.5", "0.9", "0.95", "0.99")
_STEPS = tuple(int(each * 86_400_000) for each in (0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 90, 180, 365))
_MOST_STEPS = 6

type Axis = Callable[[float], float]


def render(found: Maturity) -> str:
    """The page, self-contained; the maturity in use is drawn as a line."""
    title = "Frauds are known in time" if found.enough else "Frauds are known later than the maturity allows"
    if not found.curves:
        title = "Too few frauds to measure how long they take to become known"
    sections = [banner(title, found.sentence, f"As of {moment(found.as_of)}.", good=found.enough)]
    if found.curves:
        sections += [_all(found.curves[0], found.maturity), _groups(found.curves, found.maturity)]
    sections.append(
        section(
            "How to read this",
            "The delay of a fraud that is not reported yet cannot be seen, so the delays of young payments that "
            "can be seen are short ones. The estimate counts, at each delay, only payments old enough for it to "
            "have been seen. It is a share of the frauds that are reported within the age of the oldest payments, "
            "and rough near that age, which few of them have reached. The maturity should be an age at which 95% "
            "or more are known: the other frauds are learned, and counted in every figure, as genuine payments.",
            "",
        )
    )
    return page(title, sections)


def write_maturity(folder: Path, found: Maturity) -> None:
    """Write maturity.json and maturity.html."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    (folder / "maturity.html").write_text(render(found), encoding="utf-8")


def _all(curve: Curve, maturity: int) -> str:
    words = (
        f"Of the frauds that are reported within {days(curve.horizon)}, those known at each age of the payment."
    )
    legend = key([("one", "estimate"), ("two", "delays as seen, which flatters")])
    drawing = _plot(curve, maturity, _longest([curve], maturity), width=1_000)
    return section("Share of frauds known by age", words, f'{legend}<div class="scroll">{drawing}</div>')


def _longest(curves: Sequence[Curve], maturity: int) -> float:
    return 1.02 * max(maturity, *(curve.ages[-1] for curve in curves)) or 1.0


def _plot(curve: Curve, maturity: int, longest: float, *, width: int) -> str:
    height, left, bottom = 260, 52, 28

    def x(age: float) -> float:
        return left + (width - left - 24) * age / longest

    def y(share: float) -> float:
        return 8 + (height - bottom - 8) * (1 - share)

    parts = []
    for share in (0.0, 0.5, 0.9, 1.0):
        parts.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>')
        parts.append(text(left - 8, y(share) + 4, f"{share:.0%}", "value", "end"))
    step = next((each for each in _STEPS if longest <= each * _MOST_STEPS), _STEPS[-1])
    parts += [
        text(x(age), height - 8, days(age) if age else "0", "value", "middle")
        for age in range(0, int(longest) + 1, step)
    ]
    for kind, shares in (("two", curve.naive), ("one", curve.shares)):
        parts.append(f'<path class="line {kind}" d="{_steps(curve.ages, shares, x, y)}"/>')
    parts.append(
        f'<line class="mark" x1="{x(maturity):.1f}" x2="{x(maturity):.1f}" y1="8" y2="{height - bottom}"/>'
    )
    aside, anchor = (-6, "end") if x(maturity) > 0.6 * width else (6, "start")
    parts.append(text(x(maturity) + aside, y(0.06), f"maturity in use: {days(maturity)}", "value", anchor))
    return svg(f"Share of frauds known by age: {curve.at_maturity:.1%} at the maturity", width, height, parts)


def _steps(ages: Sequence[int], shares: Sequence[float], x: Axis, y: Axis) -> str:
    before, drawn = 0.0, [f"M{x(0):.1f} {y(0):.1f}"]
    for age, share in zip(ages, shares, strict=True):
        drawn.append(f"L{x(age):.1f} {y(before):.1f}L{x(age):.1f} {y(share):.1f}")
        before = share
    return "".join(drawn)


def _groups(curves: Sequence[Curve], maturity: int) -> str:
    longest = _longest(curves, maturity)
    drawn = [
        (
            curve.name,
            f"{curve.frauds:,} frauds; {curve.at_maturity:.1%} are known at the maturity.",
            _plot(curve, maturity, longest, width=460),
        )
        for curve in curves[1:]
    ]
    head = (
        "first report",
        "frauds",
        *(f"{float(level):.0%} known at" for level in _LEVELS),
        "known at the maturity",
    )
    rows = [
        (
            curve.name,
            f"{curve.frauds:,}",
            *(days(curve.reached[level]) for level in _LEVELS),
            f"{curve.at_maturity:.1%}",
        )
        for curve in curves
    ]
    content = table(head, rows) + (f"<h3>Each alone</h3>{plots(drawn)}" if drawn else "")
    return section("By source and kind of the first report", "", content)
