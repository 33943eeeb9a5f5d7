"""Replaying payments and labels over HTTP in event order, in bursts."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from fraud.events import Label, Transaction
from fraud.replay import arrival
from ops.client import Api, Reply
from ops.inputs import Burst, decision_body, label_body, path

__all__ = ["Exchange", "Replayed", "replay"]

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
    spacing: float = 0.25,
    merchant: str | None = None,
    live: bool = False,
    progress: Callable[[int], None] = lambda _done: None,
) -> Replayed:
    """Send bursts one after the other; the calls of a burst go out at once.

    Days pass in seconds, but a card that pays twice does so at least `spacing` seconds apart: in life
    its features would be fresh by then, and without the pause they would look staler than they are.

    Parameters
    ----------
    merchant : str, optional
        Send everything as this merchant, whoever the rows name.
    live : bool
        Send without the replay header: everything happens now.
    """
    done = Replayed()
    pace = _Pace(spacing)
    start = time.perf_counter()

    def send(event: Arrival) -> None:
        transaction = event.transaction
        pace.wait(transaction.card if isinstance(event, Transaction) else "")
        body = label_body(event) if isinstance(event, Label) else decision_body(event)
        if live:
            body.pop("occurred_at", None)
            body.pop("known_at", None)
        at = None if live else arrival(event)[0]
        reply = api.post(merchant or transaction.merchant_id, path(event), body, at=at)
        done.exchanges.append(Exchange(event, reply))
        progress(len(done.exchanges))

    with ThreadPoolExecutor(threads) as pool:
        for burst in bursts:
            for finished in [pool.submit(_in_order, send, chain) for chain in _chains(burst)]:
                finished.result()
    done.seconds = time.perf_counter() - start
    return done


def _chains(burst: Burst) -> list[list[Arrival]]:
    """The calls of a burst, those about one card one after the other."""
    chains: dict[str, list[Arrival]] = {}
    for event in burst.arrivals:
        chains.setdefault(event.transaction.card, []).append(event)
    return list(chains.values())


def _in_order(send: Callable[[Arrival], None], chain: list[Arrival]) -> None:
    for event in chain:
        send(event)


class _Pace:
    """Keeps two payments with one card apart."""

    def __init__(self, spacing: float) -> None:
        self._spacing = spacing
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, card: str) -> None:
        if not card:
            return
        with self._lock:
            now = time.monotonic()
            slot = max(now, self._last.get(card, -self._spacing) + self._spacing)
            self._last[card] = slot
        if slot > now:
            time.sleep(slot - now)
