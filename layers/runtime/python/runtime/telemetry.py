"""Logs, metrics and traces, the same in every function: structured lines, EMF and X-Ray, by Powertools.

Every handler is `instrumented`, counts with `count` what `fraud.measures` lists, and says with `correlate` which
request it is at work on: nothing else is needed.

No function logs anything that a merchant sent, but ids of its own making. What is done here is the second line of
defence: whatever reaches the log all the same, such as the message of a library's exception, is searched for card
numbers, keys, emails and telephone numbers first. Traces hold ids, times and names of ours, and no words of
exceptions.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from fraud.measures import MEASURES, tier_of
from runtime.redaction import serialised
from runtime.tracing import XRayProvider

__all__ = [
    "MOST_IDS",
    "correlate",
    "correlated",
    "correlation_id",
    "count",
    "follow",
    "instrumented",
    "logger",
    "metrics",
    "serves",
]

MOST_IDS = 100
"""How many correlation ids a line about a batch names; no batch is larger."""

_UNITS = {
    "Count": MetricUnit.Count,
    "Milliseconds": MetricUnit.Milliseconds,
    "Seconds": MetricUnit.Seconds,
    "None": MetricUnit.NoUnit,
}


class _Metrics(AmazonCloudWatchEMFProvider):
    """EMF in which the measures by tier are counted once more, under the tier of the merchant that calls.

    Attributes
    ----------
    tier : str
        One of `fraud.measures.TIERS`; empty while nobody calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tier = ""

    def serialize_metric_set(
        self,
        metrics: dict[str, Any] | None = None,
        dimensions: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Any:
        """The line that becomes metrics: at most two directives, one of them with both sets of dimensions."""
        line: dict[str, Any] = {**super().serialize_metric_set(metrics, dimensions, metadata)}
        [told] = line["_aws"]["CloudWatchMetrics"]
        by_tier = [each for each in told["Metrics"] if self.tier and _is_by_tier(each["Name"])]
        if by_tier:
            [names] = told["Dimensions"]
            others = [each for each in told["Metrics"] if each not in by_tier]
            line["tier"] = self.tier
            line["_aws"]["CloudWatchMetrics"] = [
                {**told, "Dimensions": [names, [*names, "tier"]], "Metrics": by_tier},
                *([{**told, "Metrics": others}] if others else []),
            ]
        return line


# Service name, namespace and level come from the environment that the function factory sets.
logger = Logger(json_serializer=serialised)
metrics = _Metrics()
_provider = XRayProvider()
# Whether a trace is wanted is seen at each invocation: Tracer itself is never off, or it would import AWS's SDK.
_tracer = Tracer(provider=_provider, auto_patch=False, disabled=False)
follow = _provider.follow
"""Tells of every call that clients of a botocore session make."""


def count(name: str, value: float = 1) -> None:
    """Add a value to a measure, in its unit; all values of an invocation are told in one line at its end.

    Raises
    ------
    LookupError
        If `fraud.measures` does not list it: what nobody declared would be paid for and shown nowhere.
    """
    measure = MEASURES.get(name)
    if measure is None:
        raise LookupError(
            f"{name}: no such measure; declare it in fraud.measures, with the functions that count it"
        )
    metrics.add_metric(name, _UNITS[measure.unit], value)


def serves(plan: str) -> None:
    """Count what follows in this invocation under the tier of a merchant too; `plan` is its usage plan's name."""
    metrics.tier = tier_of(plan)


def correlate(correlation_id: str) -> None:
    """Put the id of the request that is served into every further line of the log, and onto the trace."""
    logger.append_keys(correlation_id=correlation_id)
    _tracer.put_annotation("correlation_id", correlation_id)


def correlation_id() -> str:
    """The id of the request that is served; empty if none is."""
    return str(logger.get_current_keys().get("correlation_id") or "")


def correlated(ids: Iterable[str]) -> list[str]:
    """The ids of the requests that a batch comes from, each once, for a line of the log; they go onto the trace.

    Rows from before there were ids have none, which is an empty text.
    """
    different = [each for each in dict.fromkeys(ids) if each][:MOST_IDS]
    if len(different) == 1:
        # Annotations can be searched, but hold no lists.
        _tracer.put_annotation("correlation_id", different[0])
    elif different:
        _tracer.put_metadata("correlation_ids", different)
    return different


def instrumented[**P, T](handler: Callable[P, T]) -> Callable[P, T]:
    """What a handler is wrapped in: a trace, the ids of the invocation in each line, and its metrics at the end.

    An exception goes on to Lambda as it came. On the trace only its kind is told.
    """
    # Ids of the invocation before are cleared: a function may serve requests and a queue.
    logged = logger.inject_lambda_context(handler, clear_state=True)
    traced = _tracer.capture_lambda_handler(logged, capture_response=False, capture_error=False)

    @wraps(handler)
    def entry(*args: P.args, **kwargs: P.kwargs) -> T:
        metrics.tier = ""
        try:
            answer: T = traced(*args, **kwargs)
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()
        return answer

    return entry


def _is_by_tier(name: str) -> bool:
    measure = MEASURES.get(name)
    return measure is not None and measure.by_tier
