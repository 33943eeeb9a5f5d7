"""What each step of the demo claims, checked."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fraud.events import Transaction
from fraud.replay import arrival
from ops.client import Api
from ops.demo.model import ModelFigures, Spread, Velocity
from ops.demo.stages import DemoError, Stages
from ops.deployment import STACKS, Deployment
from ops.inputs import decision_body, path
from ops.lake import query
from ops.measures import freshness, latencies, percentiles
from ops.traffic import Exchange, Replayed

__all__ = [
    "answered",
    "by_model",
    "folded",
    "improved",
    "in_the_lake",
    "latency",
    "require",
    "resources",
    "same_bytes",
    "samples",
    "scoring_code",
    "spread",
    "swapped",
    "velocity",
]

_PATIENCE = 60.0
_SAMPLES = 2_000
_COUNT = "card_merchant_count_24h"


def require(holds: bool, otherwise: str) -> None:
    """Stop the demo unless something holds."""
    if not holds:
        raise DemoError(otherwise)


def resources(deployment: Deployment) -> dict[str, int]:
    """How many resources of each CloudFormation type are deployed."""
    client = deployment.client("cloudformation")
    found: Counter[str] = Counter()
    for stack in STACKS:
        pages = client.get_paginator("list_stack_resources").paginate(
            StackName=f"{deployment.environment.prefix}-{stack}"
        )
        found.update(each["ResourceType"] for page in pages for each in page["StackResourceSummaries"])
    return dict(found.most_common())


def scoring_code(deployment: Deployment) -> str:
    """A digest of the code that scores, as deployed."""
    name = f"{deployment.environment.prefix}-scoring"
    pages = deployment.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    functions = [
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::Lambda::Function"
        and "scoretransaction" in each["LogicalResourceId"].lower()
    ]
    described = deployment.client("lambda").get_function_configuration(FunctionName=functions[0])
    return f"{described['CodeSha256']} {described['LastModified']}"


def answered(replayed: Replayed) -> str:
    """Every call got its answer, and every decision a score; else the first that did not, in its own words."""
    for exchange in replayed.exchanges:
        expected = 200 if isinstance(exchange.sent, Transaction) else 202
        require(
            exchange.reply.status == expected,
            f"{path(exchange.sent)} answered {exchange.reply.status}: {exchange.reply.body!r}",
        )
    degraded = sum(exchange.reply.json()["degraded"] for exchange in replayed.decisions)
    require(degraded == 0, f"{degraded} decisions were made without a score")
    rate = len(replayed.exchanges) / replayed.seconds
    return f"{len(replayed.decisions):,} payments, {len(replayed.labels):,} labels, {rate:.0f} calls a second"


def same_bytes(api: Api, exchanges: Sequence[Exchange]) -> str:
    """Payments sent again, with the same bodies, are answered with the bytes of the first time."""
    for exchange in exchanges:
        transaction = exchange.sent.transaction
        again = api.post(
            transaction.merchant_id, "/v1/decisions", decision_body(transaction), at=arrival(transaction)[0]
        )
        require(again.status == 200, f"a retry was answered with {again.status}")
        require(again.body == exchange.reply.body, f"a retry of {transaction.event_id} was answered differently")
    return f"{len(exchanges)} payments sent twice"


def folded(deployment: Deployment, sent: set[str], imported: set[str], note: Callable[[str], None]) -> list[float]:
    """Wait until every event is marked as applied; the milliseconds that each of those sent over HTTP took.

    The others are labels of imported payments, folded in by the demo itself (see `ops.history.LaterLabels`).

    A marker is written in one transaction with the states, so that one marker an event is one fold an
    event. That the sums come out is held by the replay tests.
    """
    deadline = time.monotonic() + _PATIENCE
    events = sent | imported
    while True:
        lags = freshness(deployment)
        missing = events - lags.keys()
        if not missing:
            break
        note(f"{len(missing):,} events to come")
        require(
            time.monotonic() < deadline, f"{len(missing)} events never reached the features, e.g. {min(missing)}"
        )
        time.sleep(0.5)
    strange = lags.keys() - events
    require(not strange, f"{len(strange)} events were folded that nobody sent, e.g. {min(strange, default='')}")
    dead = _messages(deployment, deployment["UpdateDeadLetterQueueUrl"])
    require(dead == 0, f"{dead} messages are in the dead-letter queue")
    return [lag for event_id, lag in lags.items() if event_id not in imported]


def in_the_lake(deployment: Deployment, replayed: Replayed, note: Callable[[str], None]) -> str:
    """Wait until SQL over the lake finds every decision, of the kind that the API answered."""
    expected = Counter(exchange.reply.json()["decision"] for exchange in replayed.decisions)
    sql = "SELECT decision, count(DISTINCT event_id) AS n FROM decisions GROUP BY decision"
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = {row["decision"]: int(row["n"]) for row in query(deployment, sql)}
        if found == expected:
            break
        note(f"{sum(found.values()):,} of {expected.total():,} rows")
        require(time.monotonic() < deadline, f"the lake holds {found}, the API answered {dict(expected)}")
        time.sleep(1)
    labels = int(query(deployment, "SELECT count(DISTINCT event_id) AS n FROM labels")[0]["n"])
    sent = len({exchange.sent.event_id for exchange in replayed.labels})
    require(labels <= sent, f"the lake holds {labels} labels, {sent} were sent")
    return f"{expected.total():,} decisions: " + ", ".join(f"{n:,} {kind}" for kind, n in expected.most_common())


def velocity(stages: Stages, replayed: Replayed) -> list[Velocity]:
    """The answers about one card that paid one merchant often: each must have counted the payments before it."""
    with stages.stage("velocity", "successive answers about one card at one merchant count its payments") as done:
        # An answer shows a merchant what that merchant sent, and nothing of what the card did elsewhere.
        by_card: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
        for exchange in replayed.decisions:
            by_card[exchange.sent.transaction.card, exchange.sent.transaction.merchant_id].append(exchange)
        # Of those that were both let through and stopped, if there are any: their story tells the most.
        chosen = max(by_card.values(), key=lambda exchanges: (_changed(exchanges), max(_counts(exchanges))))
        story = [
            Velocity(
                at=answer["evaluated_at"],
                amount=exchange.sent.transaction.amount,
                count_24h=answer["signals"][_COUNT],
                decision=answer["decision"],
            )
            for exchange in sorted(chosen, key=lambda each: each.sent.event_time)
            for answer in [exchange.reply.json()]
        ]
        counts = [each.count_24h for each in story]
        require(max(counts) > counts[0], f"the count never moved: {counts}")
        done(f"payments in 24 h, as answered: {', '.join(f'{count:.0f}' for count in counts[:12])}")
    return story


def _changed(exchanges: Iterable[Exchange]) -> bool:
    return len({exchange.reply.json()["decision"] for exchange in exchanges}) > 1


def _counts(exchanges: Iterable[Exchange]) -> list[float]:
    return [exchange.reply.json()["signals"][_COUNT] for exchange in exchanges]


def by_model(replayed: Replayed) -> dict[str, int]:
    """How many decisions each model made."""
    return dict(Counter(exchange.reply.json()["model"]["version"] for exchange in replayed.decisions))


def swapped(deployment: Deployment, after: Replayed, *, first: str, second: str, code: str) -> str:
    """The second model answers, from some call on without exception, by the code that answered before."""
    versions = [exchange.reply.json()["model"]["version"] for exchange in after.decisions]
    require(second in versions, f"no answer came from {second}")
    require(set(versions) <= {first, second}, f"answers came from {sorted(set(versions))}")
    tail = versions[len(versions) // 2 :]
    require(set(tail) == {second}, f"{first} still answered half-way through")
    require(scoring_code(deployment) == code, "the scoring function was deployed anew")
    counts = Counter(versions)
    return f"{counts[second]:,} answers from {second}, the first {counts[first]} still from {first}"


def improved(models: Sequence[ModelFigures]) -> str:
    """The retrained model's average precision is above the first one's."""
    first, second = models
    require(
        second.average_precision > first.average_precision,
        f"average precision fell from {first.average_precision:.3f} to {second.average_precision:.3f}",
    )
    return (
        f"AUC {first.auc:.3f} → {second.auc:.3f}, "
        f"average precision {first.average_precision:.3f} → {second.average_precision:.3f}"
    )


def spread(values: Sequence[float]) -> Spread:
    """Percentiles of durations in milliseconds."""
    found = percentiles(values)
    return Spread(p50=found.p50, p95=found.p95, p99=found.p99, worst=max(values), count=len(values))


def latency(replayed: Replayed) -> dict[str, Spread]:
    """The latency of decisions, by where the time went."""
    return {name: spread(values) for name, values in latencies(replayed).items()}


def samples(replayed: Replayed, lags: Sequence[float]) -> dict[str, list[float]]:
    """Durations to draw, in milliseconds, thinned to a number that a page can carry."""
    found = latencies(replayed)
    series = {"whole call": found["whole call"], "our own code": found["our own code"], "freshness": list(lags)}
    return {name: [round(value, 3) for value in _thinned(values)] for name, values in series.items()}


def _thinned(values: Sequence[float]) -> Sequence[float]:
    return values[:: -(-len(values) // _SAMPLES)] if values else values


def _messages(deployment: Deployment, url: str) -> int:
    names: list[Any] = ["ApproximateNumberOfMessages"]
    attributes = deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])
