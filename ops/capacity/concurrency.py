"""How often each function runs, for how long, and how many copies of it run at once."""

import math
from dataclasses import dataclass

from ops.capacity.work import ASSUMED, FUNCTIONS, Function, work

__all__ = ["Running", "batch_of_updates", "hold_ms", "running", "stream_shards"]

_POLLS = 4.0
"""How often a second Lambda asks each shard of a stream."""

_STREAM_BATCH, _QUEUE_BATCH, _ENTRIES = 100, 10, 10
_SHARD_WRITES = 1_000.0
"""Write units that one partition takes; each partition is a shard of the stream."""

_Z999 = 3.09
"""The 99.9th percentile of a normal distribution, which a Poisson one of this size is near to."""


@dataclass(frozen=True, slots=True)
class Running:
    """A function at a rate.

    Attributes
    ----------
    calls : float
        Invocations a second.
    each : float
        Events in one.
    mean_ms, slow_ms : float
        Duration, on average and at the 99th percentile.
    """

    function: Function
    calls: float
    each: float
    mean_ms: float

    @property
    def slow_ms(self) -> float:
        return self.mean_ms * self.function.slow

    @property
    def mean(self) -> float:
        """Copies that are busy on average: arrivals times duration (Little's law)."""
        return self.calls * self.mean_ms / 1_000

    @property
    def copies(self) -> int:
        """Copies that suffice in 999 of 1,000 moments, for arrivals that know nothing of each other."""
        return math.ceil(self.mean + _Z999 * math.sqrt(self.mean))

    @property
    def copies_when_slow(self) -> int:
        """Copies if every call took as long as the slowest hundredth does: what a slow store asks for."""
        return math.ceil(self.calls * self.slow_ms / 1_000)


def running(rate: float) -> tuple[Running, ...]:
    """Every function on the way of a transaction, at `rate` decisions a second."""
    assumed, reports = ASSUMED, rate * ASSUMED.reports
    events = rate + reports
    shards = stream_shards(rate)
    in_shard = events / shards
    relayed = min(float(_STREAM_BATCH), max(1.0, in_shard / _POLLS))
    batch = batch_of_updates(rate)
    relay = FUNCTIONS["relay_decisions"]
    puts = math.ceil(relayed / _ENTRIES)
    return (
        _at("score_transaction", rate, 1, assumed.read_ms + assumed.write_ms),
        # An answer is kept for a minute and key, by each of a few places of API Gateway.
        _at("authorize_merchant", min(rate, assumed.merchants * 3 / 60), 1, assumed.read_ms),
        _at("relay_decisions", events / relayed, relayed, puts * assumed.put_events_ms, relay.own_ms_each),
        _at(
            "update_features",
            events / batch,
            batch,
            2 * assumed.read_ms + assumed.transact_ms,
            FUNCTIONS["update_features"].own_ms_each,
        ),
        _at("record_label", reports, 1, assumed.read_ms + assumed.write_ms),
    )


def batch_of_updates(rate: float) -> int:
    """Messages that Lambda finds at once: it does not wait for more, so a quiet queue gives them one by one."""
    return 1 if rate < 500 else _QUEUE_BATCH


def hold_ms(rate: float) -> float:
    """From the read of a state to the write of it: the time in which nobody else may write it."""
    batch = batch_of_updates(rate)
    return ASSUMED.read_ms + batch * FUNCTIONS["update_features"].own_ms_each + ASSUMED.transact_ms


def stream_shards(rate: float) -> int:
    """Shards of the ledger's stream: one for each of the table's partitions, of which a new table has four."""
    writes = rate * (
        work().units("decision", "decisions", "PutItem")
        + ASSUMED.reports * work().units("label", "decisions", "PutItem")
    )
    return max(4, math.ceil(writes / _SHARD_WRITES))


def _at(name: str, calls: float, each: float, waiting_ms: float, own_each: float = 0.0) -> Running:
    function = FUNCTIONS[name]
    return Running(function, calls, each, function.own_ms + each * own_each + waiting_ms)
