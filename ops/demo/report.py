"""The demo's report as one page that reads alike for those who own the risk and those who run the code."""

from ops.demo.chapters import decisions, learning, life, models, speed
from ops.demo.model import Report
from ops.demo.overview import banner, caveats, steps, way
from ops.demo.page import page
from ops.markup import Markup, tag

__all__ = ["render"]


def render(report: Report) -> str:
    """The report as one self-contained HTML document.

    The same report gives the same bytes. Nothing is fetched: style and drawings are within.
    """
    foot = tag(
        "p",
        f"Generated {report.generated_at} from seed {report.seed}. The same figures as data: ",
        tag("code", "report.json"),
        ".",
        class_="quiet small",
    )
    chapters: tuple[Markup, ...] = (
        banner(report),
        steps(report),
        way(report),
        life(report),
        decisions(report),
        speed(report),
        models(report),
        learning(report),
        caveats(),
    )
    return page("Paywarden: report of the demo", *chapters, tag("section", foot))
