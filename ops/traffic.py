"""Sending past payments and labels over HTTP in event order, in bursts."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from fraud.events import Label, Transaction
from fraud.replay import arrival
from ops.client import Api, Reply
from ops.inputs import Burst, decision_body, label_body, path
from runtime.stores.features import FeatureStore

__all__ = ["Exchange", "Freshness", "Replayed", "replay"]

_POLL_SECONDS = 0.01

type Arrival = Transaction | Label


@dataclass(frozen=True)
class Exchange:
    """What was sent, and the answer."""

    sent: Arrival
    reply: Reply


@dataclass
class Replayed:
    """All exchanges, in the order of the answers."""

    exchanges: list[Exchange] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def decisions(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if isinstance(exchange.sent, Transaction)]

    @property
    def labels(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if isinstance(exchange.sent, Label)]


def replay(
    api: Api,
    bursts: Iterable[Burst],
    *,
    threads: int,
    live: bool = False,
    before: Callable[[Arrival], object] = lambda _arrival: None,
    settle: Callable[[Sequence[Arrival]], None] = lambda _arrivals: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Replayed:
    """Send bursts one after the other; the calls of a burst go out at once.

    Parameters
    ----------
    live : bool
        Send without the replay header: everything happens now.
    before : callable
        Called before each burst with its first arrival (see `ops.history.LaterLabels`).
    settle : callable
        Called after each burst with what was sent (see `Freshness`).
    """
    done = Replayed()
    start = time.perf_counter()

    def send(event: Arrival) -> Exchange:
        body = label_body(event) if isinstance(event, Label) else decision_body(event)
        if live:
            body.pop("occurred_at", None)
            body.pop("known_at", None)
        at = None if live else arrival(event)[0]
        return Exchange(event, api.post(event.transaction.merchant_id, path(event), body, at=at))

    with ThreadPoolExecutor(threads) as pool:
        for burst in bursts:
            before(burst.arrivals[0])
            exchanges = list(pool.map(send, burst.arrivals))
            done.exchanges += exchanges
            settle([exchange.sent for exchange in exchanges if exchange.reply.status < 300])
            progress(len(done.exchanges))
    done.seconds = time.perf_counter() - start
    return done


class Freshness:
    """Waits until the features know a burst.

    A replay plays days in seconds. In life a merchant's next payment comes long after its features are
    fresh again; here it would come before, and its features would look staler than they ever are.

    Parameters
    ----------
    patience : float
        Seconds after which a replay goes on all the same: a lost event is for others to find.
    """

    def __init__(self, store: FeatureStore, *, patience: float = 5.0) -> None:
        self._store = store
        self._patience = patience

    def __call__(self, arrivals: Sequence[Arrival]) -> None:
        expected = {event.event_id for event in arrivals}
        deadline = time.monotonic() + self._patience
        while expected - self._store.digests(expected).keys() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
