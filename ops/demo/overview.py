"""The report's beginning and end: the verdict, the steps, what was deployed, and what to mind."""

from collections import Counter
from typing import Final

from ops.demo.model import Report
from ops.demo.page import section
from ops.markup import Markup, join, table, tag

__all__ = ["banner", "caveats", "milliseconds", "steps", "way"]

_LANES: Final = (
    (
        "A payment is answered",
        (
            ("merchant", "HTTPS"),
            ("REST API", "API Gateway"),
            ("authorize_merchant", "Lambda"),
            ("score_transaction", "Lambda"),
            ("decisions", "DynamoDB, one write"),
        ),
    ),
    (
        "The decision becomes an event",
        (
            ("decisions", "DynamoDB stream"),
            ("relay_decisions", "Lambda"),
            ("event bus", "EventBridge"),
        ),
    ),
    (
        "The next answer knows of it",
        (
            ("event bus", "EventBridge rule"),
            ("updates", "SQS, dead letters"),
            ("update_features", "Lambda"),
            ("features", "DynamoDB"),
        ),
    ),
    (
        "History keeps it",
        (
            ("event bus", "EventBridge rule"),
            ("Parquet", "Firehose"),
            ("lake", "S3"),
            ("SQL", "Glue, Athena"),
        ),
    ),
    (
        "Models learn from it",
        (
            ("lake", "S3"),
            ("retrain", "Step Functions"),
            ("dataset, train, evaluate", "SageMaker jobs"),
            ("bundle", "S3"),
            ("champion", "AppConfig"),
        ),
    ),
)
_SERVICES: Final = {
    "ApiGateway": "API Gateway",
    "CDK": "CDK metadata",
    "Custom": "custom resource",
    "Events": "EventBridge",
    "KinesisFirehose": "Firehose",
    "Logs": "log groups and filters",
    "SecretsManager": "Secrets Manager",
    "StepFunctions": "Step Functions",
}


def milliseconds(value: float) -> str:
    """A duration for people."""
    if value >= 9_999.5:
        return f"{value / 1_000:,.1f} s"
    return f"{value:,.0f} ms" if value >= 99.95 else f"{value:.1f} ms"


def banner(report: Report) -> Markup:
    """The verdict, and the figures that most readers come for."""
    failed = sum(not step.ok for step in report.steps)
    count = len(report.steps)
    good = report.ok and bool(count) and not failed
    if failed:
        verdict = f"{failed} of {count} steps did not do what {'it claims' if failed == 1 else 'they claim'}"
    elif good:
        verdict = f"Every step did what it claims: {count} of {count}, in {_duration(report.seconds)}"
    else:
        verdict = "The demo did not come to its end"
    return tag(
        "header",
        tag(
            "div",
            tag("p", "Paywarden: the demo on one machine", class_="quiet"),
            tag("h1", verdict),
            tag(
                "p",
                "From an empty cloud to a retrained model that serves: the CDK app that goes "
                "to AWS, deployed to an emulator, with a generated world of payments.",
            ),
            class_="banner" if good else "banner failed",
        ),
        tag(
            "dl",
            *(tag("div", tag("dt", what), tag("dd", figure)) for figure, what in _figures(report)),
            class_="figures",
        ),
    )


def _figures(report: Report) -> list[tuple[str, str]]:
    found = [
        (f"{sum(report.resources.values()):,}", f"resources of {len(report.resources)} kinds deployed"),
        (f"{report.traffic.get('payments', 0):,}", "payments decided over HTTP"),
    ]
    if own := report.latency.get("our own code"):
        found.append((milliseconds(own.p50), "median time of our own code for a decision"))
    if report.freshness.count:
        found.append((milliseconds(report.freshness.p99), "until 99 % of events were in the features (emulated)"))
    if len(report.models) > 1:
        first, last = report.models[0], report.models[-1]
        found.append(
            (
                f"{first.average_precision:.2f} → {last.average_precision:.2f}",
                "average precision on later payments, first model → retrained",
            )
        )
    return found


def steps(report: Report) -> Markup:
    """Each step with its claim, whether it held, and what was found."""
    if not report.steps:
        return section("What was claimed, and whether it held", tag("p", "No step was run."))
    items = [
        tag(
            "li",
            tag("span", "✓ held" if step.ok else "✗ failed", class_=f"mark {'good' if step.ok else 'bad'}"),
            tag(
                "span",
                tag("b", step.name[:1].upper() + step.name[1:]),
                ": ",
                step.claim,
                *([tag("span", step.detail, class_="detail")] if step.detail else []),
            ),
            tag("span", f"{step.seconds:.1f} s"),
        )
        for step in report.steps
    ]
    return section(
        "What was claimed, and whether it held",
        tag("p", "Each step states a claim and stops the demo if it does not hold.", class_="quiet"),
        tag("ol", *items, class_="steps"),
    )


def way(report: Report) -> Markup:
    """The way of a transaction through what is deployed, and how much of each service that is."""
    lanes = [
        tag(
            "div",
            tag("h3", title),
            tag("ol", *(tag("li", tag("span", name, tag("small", service))) for name, service in stations)),
            class_="lane",
        )
        for title, stations in _LANES
    ]
    services: Counter[str] = Counter()
    for kind, count in report.resources.items():
        parts = kind.split("::")
        name = parts[1] if parts[0] == "AWS" and len(parts) > 1 else parts[0]
        services[_SERVICES.get(name, name)] += count
    ordered = sorted(services.items(), key=lambda each: (-each[1], each[0]))
    counts = tag(
        "ul", *(tag("li", tag("b", f"{count:,}"), f" {name}") for name, count in ordered), class_="counts"
    )
    kinds = table(
        ("CloudFormation type", "resources"),
        [(kind, f"{count:,}") for kind, count in sorted(report.resources.items())],
        caption="Deployed resources by type",
        numeric=(1,),
    )
    deployed = (
        (
            tag("h3", f"Deployed: {sum(report.resources.values()):,} resources, by service"),
            counts,
            tag("details", tag("summary", "All types"), kinds),
        )
        if report.resources
        else (tag("p", "Nothing was deployed."),)
    )
    return section("The way of a transaction", *lanes, *deployed)


def caveats() -> Markup:
    """What these figures do not say."""
    return section(
        "What to mind",
        tag(
            "ul",
            *(
                tag("li", text)
                for text in (
                    "The world is generated: its merchants, cards and frauds come from a program and a seed. How "
                    "well a model does here says how the platform learns, not what fraud you will catch.",
                    "The figures of the two models are relative: both are judged on the same later payments, "
                    "which neither of them knew, with the features that serving computed at the time.",
                    "The cloud is an emulator on one machine. Its times, limits and failures are not those of "
                    "AWS; only the time of our own code carries over, and that to a processor of similar speed.",
                    "Days are virtual: weeks of payments were replayed in minutes, each with its own time of "
                    "receipt. Labels came days after their payments, as they do in life.",
                )
            ),
            class_="plain",
        ),
    )


def _duration(seconds: float) -> str:
    if seconds < 99.5:
        return f"{seconds:.0f} seconds"
    minutes, rest = divmod(round(seconds), 60)
    return join((f"{minutes} min", f"{rest:02d} s"), " ")
