"""What AWS gives an account at first, what a rate asks for, and at which rate each thing ends."""

from collections.abc import Callable
from dataclasses import dataclass

from infra.environments import PROD
from ops.capacity.concurrency import running, stream_shards
from ops.capacity.tables import PARTITION_READS, asked, heat
from ops.capacity.work import ASSUMED, FUNCTIONS, work

__all__ = ["LIMITS", "Limit", "ends_at"]

type Need = Callable[[float], float]
"""What a rate of decisions a second asks for."""

_QUOTAS = "https://docs.aws.amazon.com"
_MOST = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Something that ends.

    Attributes
    ----------
    gives : float
        What there is of it, in `unit`, in us-east-1 and by default.
    ours : bool
        Whether it is a setting or a design of ours, not a quota of AWS.
    remedy : str
        What to do before it ends.
    source : str
        Where the figure is from.
    """

    name: str
    need: Need
    gives: float
    unit: str
    remedy: str
    source: str
    ours: bool = False

    def used(self, rate: float) -> float:
        """The share of it that a rate asks for."""
        return self.need(rate) / self.gives


def _events(rate: float) -> float:
    return rate * (1 + ASSUMED.reports)


def _of(name: str) -> Callable[[float], float]:
    def copies(rate: float) -> float:
        return float(next(each.copies for each in running(rate) if each.function.name == name))

    return copies


def _copies(rate: float) -> float:
    return float(sum(each.copies for each in running(rate)))


def _calls(rate: float) -> float:
    return sum(each.calls for each in running(rate))


def _asked(table: str, reads: bool) -> Need:
    def units(rate: float) -> float:
        found = next(each for each in asked(rate) if each.table == table)
        return found.reads if reads else found.writes

    return units


def _heat(number: int) -> Need:
    return lambda rate: heat(rate)[number].used


_MIB = 1 << 20

LIMITS = (
    Limit(
        name="races for the busiest merchant's states",
        need=_heat(2),
        gives=1,
        unit="other writer in the time of one",
        remedy="one writer for each hot key: hand merchants and BINs to a stream partitioned by key, and fold up "
        "to 99 "
        "events of a shard in one transaction; until then more shards (each is one more item of every read), and "
        "more memory for update_features, which shortens the fold",
        source="hold time of a state, see above",
        ours=True,
    ),
    Limit(
        name="races for the busiest BIN's states",
        need=_heat(4),
        gives=1,
        unit="other writer in the time of one",
        remedy="the same",
        source="hold time of a state, see above",
        ours=True,
    ),
    Limit(
        name="the one item that says which generation serves",
        need=lambda rate: heat(rate)[0].units,
        gives=PARTITION_READS,
        unit="reads/s of one item",
        remedy="keep the answer in the process for a few seconds, as merchants' settings are kept, or write it as "
        "several equal items and read one by chance",
        source=f"{_QUOTAS}/amazondynamodb/latest/developerguide/warm-throughput-scenarios.html",
        ours=True,
    ),
    Limit(
        name="Firehose, bytes to one stream",
        need=lambda rate: rate * work().size("decision event") / _MIB,
        gives=5,
        unit="MiB/s",
        remedy="ask for more (Firehose limits form), or send compact rows: most of a decision's bytes are the "
        "names "
        "of its features",
        source=f"{_QUOTAS}/firehose/latest/APIReference/API_PutRecord.html",
    ),
    Limit(
        name="Firehose, calls to one stream",
        need=lambda rate: rate,
        gives=2_000,
        unit="calls/s, if the bus sends one by one",
        remedy="raised together with the bytes",
        source=f"{_QUOTAS}/firehose/latest/APIReference/API_PutRecord.html",
    ),
    Limit(
        name="features table, writes",
        need=_asked("features", reads=False),
        gives=40_000,
        unit="units/s",
        remedy="ask for a higher table quota; warm the table first (a new one starts at 4,000)",
        source=f"{_QUOTAS}/amazondynamodb/latest/developerguide/ServiceQuotas.html",
    ),
    Limit(
        name="features table, reads",
        need=_asked("features", reads=True),
        gives=40_000,
        unit="units/s",
        remedy="ask for a higher table quota; warm the table first (a new one starts at 12,000)",
        source=f"{_QUOTAS}/amazondynamodb/latest/developerguide/ServiceQuotas.html",
    ),
    Limit(
        name="decisions table, writes",
        need=_asked("decisions", reads=False),
        gives=40_000,
        unit="units/s",
        remedy="ask for a higher table quota; a smaller line (the row is kept as JSON) would halve it",
        source=f"{_QUOTAS}/amazondynamodb/latest/developerguide/ServiceQuotas.html",
    ),
    Limit(
        name="throttle of the API's stage in prod",
        need=_events,
        gives=PROD.stage_throttle.rate,
        unit="calls/s",
        remedy="`stage_throttle` in infra/environments.py, after the account's quota",
        source="infra/environments.py",
        ours=True,
    ),
    Limit(
        name="API Gateway, calls of an account",
        need=_events,
        gives=10_000,
        unit="calls/s",
        remedy="ask for more; AWS raises it in steps",
        source=f"{_QUOTAS}/apigateway/latest/developerguide/limits.html",
    ),
    Limit(
        name="EventBridge, deliveries",
        # The features' queue and the lake both get every event.
        need=lambda rate: 2 * _events(rate),
        gives=18_750,
        unit="deliveries/s",
        remedy="ask for more; beyond it events are late, not lost. Other regions give 750 to 4,500",
        source=f"{_QUOTAS}/eventbridge/latest/userguide/eb-quota.html",
    ),
    Limit(
        name="EventBridge, PutEvents",
        need=_events,
        gives=10_000,
        unit="events/s, counted one by one to be safe",
        remedy="ask for more",
        source=f"{_QUOTAS}/eventbridge/latest/userguide/eb-quota.html",
    ),
    Limit(
        name="copies of update_features in prod",
        need=_of("update_features"),
        gives=PROD.updater_concurrency,
        unit="copies",
        remedy="`updater_concurrency` in infra/environments.py; SQS gives up to 1,000",
        source="infra/environments.py",
        ours=True,
    ),
    Limit(
        name="Lambda, copies of all functions",
        need=_copies,
        gives=1_000,
        unit="copies",
        remedy="ask for more before the first merchant: a new account may have 10",
        source=f"{_QUOTAS}/lambda/latest/dg/gettingstarted-limits.html",
    ),
    Limit(
        name="Lambda, invocations of all functions",
        need=_calls,
        gives=10_000,
        unit="calls/s, ten for each copy of the quota",
        remedy="comes with the quota of copies: 2,000 copies allow 20,000 calls a second",
        source=f"{_QUOTAS}/lambda/latest/dg/lambda-concurrency.html",
    ),
    Limit(
        name="one shard of the ledger's stream",
        need=lambda rate: _events(rate) / stream_shards(rate),
        # A full batch every time: 100 records in the time that its ten calls to the bus take.
        gives=100_000 / (10 * ASSUMED.put_events_ms + 100 * FUNCTIONS["relay_decisions"].own_ms_each + 3),
        unit="records/s",
        remedy="`parallelization_factor` of the relay's event source",
        source="durations, see above",
        ours=True,
    ),
)
"""Everything that ends on the way of a transaction; pages sort it by when."""


def ends_at(limit: Limit) -> float | None:
    """The rate of decisions a second at which a limit is used up; None if that is beyond 100,000."""
    if limit.used(_MOST) < 1:
        return None
    low, high = 1.0, _MOST
    while high / low > 1.001:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if limit.used(middle) < 1 else (low, middle)
    return high
