"""The page: whole, well-formed, closed to the outside, and true to the report."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import matplotlib as mpl
import msgspec
import pytest

from ops.demo import plots
from ops.demo.model import Report, Spread, Velocity
from ops.demo.report import render
from ops.markup import Markup
from tests.unit.demo.reading import drawings, read, words
from tests.unit.demo.synthetic import report

type Render = Callable[[Report], str]
HOSTILE = "<script>alert('x')</script> & \"q\" $x_1$"
DRAWINGS = 7
EMPTY = Report(
    generated_at="2026-03-06T09:30:00+00:00",
    seed=4,
    seconds=0.0,
    ok=True,
    steps=[],
    resources={},
    traffic={},
    decisions={},
    decisions_by_model={},
    latency={},
    freshness=Spread(p50=0, p95=0, p99=0, worst=0, count=0),
    later_rows=0,
    later_frauds=0,
    models=[],
    velocity=[],
    samples={},
    timeline=[],
    workflow=[],
    verdicts=[],
)


def changed(**fields: Any) -> Report:
    return msgspec.structs.replace(report(), **fields)


@pytest.fixture(scope="module")
def shown() -> Render:
    """`render`, drawing equal figures once: that they give equal bytes is a test of its own."""
    known: dict[str, Markup] = {}

    def once(draw: Callable[..., Markup]) -> Callable[..., Markup]:
        def drawn(*given: object) -> Markup:
            figures = f"{draw.__name__}{given!r}"
            if figures not in known:
                known[figures] = draw(*given)
            return known[figures]

        return drawn

    drawings_once = {name: once(getattr(plots, name)) for name in plots.__all__ if name != "Mark"}

    def shown(given: Report) -> str:
        with patch.multiple(plots, **drawings_once):
            return render(given)

    return shown


@pytest.fixture(scope="module")
def page(shown: Render) -> str:
    return shown(report())


def test_it_is_well_formed_and_every_id_is_its_own(page: str) -> None:
    reader = read(page)
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    referred = {value[1:] for _, name, value in reader.attributes if name == "href"}
    referred |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert referred
    assert referred <= set(ids)


def test_every_drawing_is_xml_and_can_be_heard(page: str) -> None:
    found = drawings(page)
    assert len(found) == DRAWINGS
    labels = [each.get("aria-label") or "" for each in found]
    assert all(each.get("role") == "img" for each in found)
    assert all(len(label) > 20 for label in labels)
    titles = re.findall(r"<figcaption><strong>(.*?)</strong>", page)
    assert len(titles) == len(set(labels)) == DRAWINGS
    for each in found:
        assert [text for text in each.iter("text") if (text.text or "").strip()]


def test_drawings_take_their_colours_and_fonts_from_the_page(page: str) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert not re.search(r"(fill|stroke): #", drawing)
        assert "DejaVu" not in drawing
    style = page.partition("<style>")[2].partition("</style>")[0]
    light, dark = style.split("@media (prefers-color-scheme: dark)")[:2]
    used = set(re.findall(r"var\((--\w+)\)", page)) - {"--sans"}
    assert used <= set(re.findall(r"(--\w+):", light))
    assert used <= set(re.findall(r"(--\w+):", dark))


def test_nothing_is_fetched(page: str) -> None:
    assert "://" not in page
    assert not re.search(r"<(script|link|iframe|img|object|image)\b|@import|\bsrc=|url\((?!#)", page)
    hrefs = [value for _, name, value in read(page).attributes if name.endswith("href")]
    assert all(value.startswith("#") for value in hrefs)


def test_the_same_report_gives_the_same_bytes(page: str) -> None:
    with mpl.rc_context({"font.size": 23.0, "xtick.major.size": 20.0, "axes.titleweight": "bold"}):
        assert render(report()) == page
    program = (
        "import sys; import msgspec; from ops.demo.model import Report; from ops.demo.report import render; "
        "given = msgspec.json.decode(sys.stdin.buffer.read(), type=Report); "
        "sys.stdout.buffer.write(render(given).encode())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    other = subprocess.run(
        [sys.executable, "-c", program],
        input=msgspec.json.encode(report()),
        check=True,
        capture_output=True,
        env=environment,
        timeout=120,
    )
    assert other.stdout == page.encode()


def test_it_survives_the_way_through_json(page: str, shown: Render) -> None:
    assert shown(msgspec.json.decode(msgspec.json.encode(report()), type=Report)) == page


def test_figures_are_those_of_the_report(page: str) -> None:
    given, text = report(), words(page)
    assert f"Every step did what it claims: {len(given.steps)} of {len(given.steps)}, in 2 min 43 s" in text
    assert f"Deployed: {sum(given.resources.values())} resources" in text
    for step in given.steps:
        assert step.claim in text
        assert step.detail in text
    for model in given.models:
        assert f"{model.auc:.3f} {model.average_precision:.3f}" in text
    for name, spread in given.latency.items():
        assert re.search(rf"{name} (ours|emulator|both) {spread.p50:.1f} ms {spread.p95:.1f} ms", text)
    for verdict in given.verdicts:
        assert verdict in text
    assert "approve 3,314 92.1 %" in text


def test_it_says_whose_time_is_shown_and_what_to_mind(page: str) -> None:
    text = words(page)
    assert "This is an emulator on one machine: only the time of our own code says anything about AWS." in text
    assert "The world is generated" in text
    assert "relative" in text


def test_what_comes_from_elsewhere_is_escaped(shown: Render) -> None:
    given = report()
    hostile = msgspec.structs.replace(
        given,
        generated_at=HOSTILE,
        steps=[
            msgspec.structs.replace(step, name=HOSTILE, claim=HOSTILE, detail=HOSTILE) for step in given.steps[:1]
        ],
        resources={HOSTILE: 1},
        decisions={HOSTILE: 3, "approve": 4},
        decisions_by_model={HOSTILE: 3},
        latency={HOSTILE: given.freshness},
        models=[msgspec.structs.replace(model, version=HOSTILE, role=HOSTILE) for model in given.models],
        velocity=[msgspec.structs.replace(each, decision=HOSTILE) for each in given.velocity],
        workflow=[{"run": HOSTILE, "state": HOSTILE, "seconds": 1.0}],
        verdicts=[HOSTILE],
    )
    page = shown(hostile)
    assert "<script" not in page
    assert len(drawings(page)) == DRAWINGS
    assert words(page).count(HOSTILE) > 12


def test_a_failed_step_is_the_headline(shown: Render) -> None:
    given = report()
    broken = msgspec.structs.replace(given.steps[-1], ok=False, detail="the answer differed")
    page = shown(changed(steps=[*given.steps[:-1], broken], ok=False))
    text = words(page)
    assert f"1 of {len(given.steps)} steps did not do what it claims" in text
    assert "Every step did" not in text
    assert text.count("✗ failed") == 1
    assert text.count("✓ held") == len(given.steps) - 1
    assert "the answer differed" in text
    assert 'class="banner failed"' in page


def test_a_report_that_calls_itself_failed_is_not_praised(shown: Render) -> None:
    text = words(shown(changed(ok=False)))
    assert "The demo did not come to its end" in text
    assert "Every step did" not in text


def test_an_empty_report_says_so(shown: Render) -> None:
    page = shown(EMPTY)
    text = words(page)
    assert drawings(page) == []
    assert "The demo did not come to its end" in text
    for sentence in (
        "No step was run.",
        "No traffic was replayed.",
        "No decision was made.",
        "No model was judged.",
    ):
        assert sentence in text


@pytest.mark.parametrize(
    ("field", "fewer"),
    [
        ("latency", 1),
        ("models", 2),
        ("velocity", 1),
        ("samples", 1),
        ("timeline", 1),
        ("workflow", 1),
    ],
)
def test_each_series_may_be_empty(field: str, fewer: int, shown: Render) -> None:
    page = shown(changed(**{field: getattr(EMPTY, field)}))
    assert len(drawings(page)) == DRAWINGS - fewer
    read(page)


def test_what_is_not_drawn_may_be_empty(shown: Render) -> None:
    plain = ("steps", "resources", "traffic", "decisions", "decisions_by_model", "verdicts")
    page = shown(changed(**{field: getattr(EMPTY, field) for field in plain}))
    assert len(drawings(page)) == DRAWINGS
    assert "Nothing was deployed." in words(page)


def test_a_very_small_demo_can_be_drawn(shown: Render) -> None:
    given = report()
    one = Spread(p50=0.0, p95=0.0, p99=0.0, worst=0.0, count=1)
    lone = msgspec.structs.replace(
        given.models[0], precision=[0.0, 1.0], recall=[1.0, 0.0], scores_fraud=[], scores_genuine=[0.5]
    )
    page = shown(
        changed(
            timeline=[{"day": "2026-02-16", "payments": 1, "frauds": 0, "declined_or_reviewed": 0}],
            velocity=[Velocity(at=0, amount=1, count_24h=0.0, decision="approve")],
            latency={"our own code": one, "whole call": one},
            freshness=one,
            samples={"our own code": [0.0], "whole call": [0.0], "freshness": [0.0]},
            models=[lone],
            later_rows=1,
            later_frauds=0,
            workflow=[{"run": "first", "state": "PlanTraining", "seconds": 0.0}],
        )
    )
    assert len(drawings(page)) == DRAWINGS
    assert "nan" not in words(page).split()


def test_a_long_story_is_told_around_its_peak(shown: Render) -> None:
    told = [Velocity(at=n * 1_000, amount=n, count_24h=float(n == 300), decision="approve") for n in range(400)]
    text = words(shown(changed(velocity=told)))
    assert "up to 1 in 24 hours" in text
    assert text.count("1970-01-01 00:") == 60


def test_the_traffic_shows_until_when_the_model_learned_and_from_when_it_serves(page: str, shown: Render) -> None:
    text = words(page)
    assert "the retrained model learned up to here" in text
    assert "the retrained model serves from here" in text
    never = report().decisions_by_model | {report().models[-1].version: 0}
    assert "serves from here" not in words(shown(changed(decisions_by_model=never)))


def test_a_worse_model_is_called_worse(page: str, shown: Render) -> None:
    first, second = report().models
    better = words(page)
    assert "The retrained model lies above the first model" in better
    swapped = [
        msgspec.structs.replace(second, role="first model"),
        msgspec.structs.replace(first, role="retrained model"),
    ]
    assert "The retrained model lies below the first model" in words(shown(changed(models=swapped)))
