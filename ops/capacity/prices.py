"""What AWS charges in us-east-1, in US dollars, without free tiers, discounts or taxes.

AWS's own price pages are the source. They could not be opened from where this was written; `seen` says where the
figure was read instead, and what has none there was not confirmed. Other regions cost up to a quarter more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PRICES", "REGION", "SEEN_ON", "Price", "price", "tiered"]

REGION = "us-east-1"
SEEN_ON = "2026-11-30"

_AWS = "https://aws.amazon.com"
_BURN = "https://cloudburn.io/blog"


@dataclass(frozen=True, slots=True)
class Price:
    """One line of the price list.

    Attributes
    ----------
    tiers : tuple of (float, float)
        Upper bound of the amount in a month, and dollars for one unit up to it; the last bound is infinite.
    unit : str
        What one is, after "dollars for a".
    source : str
        The page of AWS that sets it.
    seen : str
        Where it was read; empty if it was not confirmed.
    """

    name: str
    tiers: tuple[tuple[float, float], ...]
    unit: str
    source: str
    seen: str = ""


_ENDLESS = float("inf")


def _flat(name: str, dollars: float, unit: str, source: str, seen: str = "") -> Price:
    return Price(name, ((_ENDLESS, dollars),), unit, f"{_AWS}{source}", seen)


_DYNAMODB, _LAMBDA, _CLOUDWATCH = "/dynamodb/pricing/", "/lambda/pricing/", "/cloudwatch/pricing/"

_ALL = (
    _flat("write", 0.625e-6, "write request unit", f"{_DYNAMODB}on-demand/", "airbyte.com, July 2025"),
    _flat("read", 0.125e-6, "read request unit", f"{_DYNAMODB}on-demand/", "airbyte.com, July 2025"),
    _flat("provisioned write", 0.00065, "WCU-hour", f"{_DYNAMODB}provisioned/", "many repositories"),
    _flat("provisioned read", 0.00013, "RCU-hour", f"{_DYNAMODB}provisioned/", "many repositories"),
    _flat("table storage", 0.25, "GB-month", _DYNAMODB, "an older copy of the page itself"),
    _flat("point-in-time recovery", 0.20, "GB-month", _DYNAMODB, "an older copy of the page, in a repository"),
    _flat("restore", 0.15, "GB", _DYNAMODB),
    _flat("lambda request", 0.20e-6, "request", _LAMBDA, "a note on Lambda's cost, May 2026"),
    Price(
        "lambda arm",
        ((7.5e9, 0.0000133334), (18.75e9, 0.0000120001), (_ENDLESS, 0.0000106667)),
        "GB-second",
        f"{_AWS}{_LAMBDA}",
        "cloudchipr.com, 2024 (the third tier not)",
    ),
    _flat("snapshot cache", 0.0000015046, "GB-second", _LAMBDA, "awsnegotiations.com, May 2026"),
    _flat("snapshot restore", 0.0001397998, "GB restored", _LAMBDA, "awsnegotiations.com, May 2026"),
    Price(
        "rest call",
        ((333e6, 3.50e-6), (1_000e6, 2.80e-6), (20_000e6, 2.38e-6), (_ENDLESS, 1.51e-6)),
        "call",
        f"{_AWS}/api-gateway/pricing/",
        "AWS's whitepaper on private APIs",
    ),
    Price(
        "data out",
        ((10_240, 0.09), (51_200, 0.085), (153_600, 0.07), (_ENDLESS, 0.05)),
        "GB to the internet",
        f"{_AWS}/ec2/pricing/on-demand/",
        "awsforengineers.com, May 2025 (the first tier)",
    ),
    _flat("region to region", 0.02, "GB", "/ec2/pricing/on-demand/", "repost.aws, January 2026"),
    _flat("event", 1.00e-6, "64 KB of an event", "/eventbridge/pricing/", f"{_BURN}/amazon-eventbridge-pricing"),
    _flat("queue request", 0.40e-6, "request", "/sqs/pricing/", f"{_BURN}/amazon-sqs-pricing"),
    _flat("firehose", 0.029, "GB in steps of 5 KB", "/firehose/pricing/", "repositories; the steps on AWS's page"),
    _flat("firehose conversion", 0.018, "GB in steps of 5 KB", "/firehose/pricing/", "a repository"),
    _flat("object storage", 0.023, "GB-month", "/s3/pricing/", f"{_BURN}/amazon-eventbridge-pricing"),
    _flat("logs", 0.50, "GB taken in", _CLOUDWATCH, "factualminds.com, June 2026"),
    _flat("log storage", 0.03, "GB-month, compressed", _CLOUDWATCH),
    Price(
        "metric",
        ((10_000, 0.30), (250_000, 0.10), (_ENDLESS, 0.05)),
        "metric and month",
        f"{_AWS}{_CLOUDWATCH}",
        "signoz.io, February 2026 (the first tier)",
    ),
    _flat("alarm", 0.10, "metric of an alarm and month", _CLOUDWATCH, "repositories"),
    _flat("composite alarm", 0.50, "alarm and month", _CLOUDWATCH, "repositories"),
    _flat("dashboard", 3.00, "dashboard and month", _CLOUDWATCH, "factualminds.com, June 2026"),
    _flat("trace", 5e-6, "trace recorded", "/xray/pricing/"),
    _flat("secret", 0.40, "secret and month", "/secrets-manager/pricing/"),
    _flat("key", 1.00, "key and month, and as much again for each of its first two rotations", "/kms/pricing/"),
    _flat("key request", 3e-6, "request", "/kms/pricing/"),
    _flat("web acl", 5.00, "web ACL and month", "/waf/pricing/", "c3x.dev, awsnegotiations.com, 2026"),
    _flat("web acl rule", 1.00, "rule or group of rules and month", "/waf/pricing/", "c3x.dev, 2026"),
    _flat("web acl request", 0.60e-6, "request", "/waf/pricing/", "c3x.dev, awsnegotiations.com, 2026"),
    _flat("endpoint", 0.01, "endpoint, zone and hour", "/privatelink/pricing/", "cloudcostkit.com, January 2026"),
    _flat("endpoint data", 0.01, "GB through endpoints", "/privatelink/pricing/", "a copy of AWS's page"),
    _flat("configuration request", 0.2e-6, "request", "/systems-manager/pricing/"),
    _flat("query", 5.00, "TB scanned", "/athena/pricing/"),
    _flat("ml.m5.xlarge", 0.23, "instance-hour", "/sagemaker/pricing/", "repositories"),
    _flat("ml.m5.4xlarge", 0.922, "instance-hour", "/sagemaker/pricing/", "twice ml.m5.2xlarge, repositories"),
)

PRICES = {each.name: each for each in _ALL}
"""By name."""


def price(name: str, amount: float) -> float:
    """Dollars for an amount in one month."""
    return tiered(PRICES[name].tiers, amount)


def tiered(tiers: Sequence[tuple[float, float]], amount: float) -> float:
    """Dollars for an amount, each part of it at the price of its tier."""
    total, below = 0.0, 0.0
    for bound, dollars in tiers:
        part = min(amount, bound) - below
        if part <= 0:
            break
        total += part * dollars
        below = bound
    return total
