"""What is sent, and when: the same calls for the same seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import msgspec

__all__ = ["BROWN_OUT", "PHASES", "Call", "Kind", "Phase", "Planner"]

Kind = Literal["payment", "twins", "retry", "reuse", "batch", "read", "stranger", "outcome"]

SHARES: dict[Kind, float] = {
    "payment": 0.60,
    "twins": 0.07,
    "retry": 0.10,
    "reuse": 0.05,
    "batch": 0.08,
    "read": 0.05,
    "stranger": 0.02,
    "outcome": 0.03,
}
CARDS = 80
NEW_IN_BATCH = (3, 3, 20)


@dataclass(frozen=True)
class Phase:
    """A part of the test.

    Attributes
    ----------
    seconds : float
        In which all calls are begun.
    pace : float
        Calls a second, in multiples of the steady rate.
    ramp : bool
        Send as many at once as can be, but one more each time, so that processes start one after the other.
    """

    name: str
    seconds: float
    pace: float
    ramp: bool = False


PHASES = (
    Phase("warm-up", 20, 1, ramp=True),
    Phase("steady", 25, 1),
    Phase("hot swap", 42, 1),
    Phase("slow store", 15, 1),
    Phase("deaf store", 12, 1),
    Phase("store refuses", 8, 1),
    Phase("silent store", 8, 0.5),
    Phase("recovered", 20, 1),
    Phase("burst", 6, 10),
)
BROWN_OUT = frozenset({"slow store", "deaf store", "store refuses", "silent store"})
"""Where answers may be degraded, or a 503."""


class Call(msgspec.Struct, frozen=True):
    """One request.

    Attributes
    ----------
    at : float
        Seconds after the beginning of its phase.
    """

    phase: str
    at: float
    kind: Kind
    merchant: str
    method: Literal["GET", "POST"]
    path: str
    body: str = ""


class Planner:
    """Makes the calls of one phase after the other.

    Retries, reads and the like are about payments of an earlier phase outside of the brown-out, which are decided
    by then.
    """

    def __init__(self, merchants: Sequence[str], *, seed: int, rate: float) -> None:
        self._merchants = merchants
        self._random = Random(seed)
        self._rate = rate
        self._number = 0
        self._settled: list[tuple[str, dict[str, Any]]] = []

    def calls(self, phase: Phase) -> list[Call]:
        """The calls of a phase, in the order of their time."""
        made: list[tuple[str, dict[str, Any]]] = []
        count = round(phase.seconds * phase.pace * self._rate)
        found = [
            Call(phase.name, number * phase.seconds / count, *told)
            for number in range(count)
            for told in self._told(self._kind(), made)
        ]
        if phase.name not in BROWN_OUT:
            self._settled += made
        return found

    def _kind(self) -> Kind:
        [kind] = self._random.choices(list(SHARES), list(SHARES.values()))
        return kind if self._settled else "payment"

    def _told(self, kind: Kind, made: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[Any, ...]]:
        if kind in ("payment", "twins"):
            merchant, body = self._new()
            made.append((merchant, body))
            for _ in range(1 + (kind == "twins")):
                yield kind, merchant, "POST", "/v1/decisions", _json(body)
            return
        merchant, body = self._random.choice(self._settled)
        path = f"/v1/decisions/{body['transaction_id']}"
        match kind:
            case "retry":
                # Spelled another way: the same request all the same.
                yield kind, merchant, "POST", "/v1/decisions", _json(dict(reversed(body.items())))
            case "reuse":
                yield kind, merchant, "POST", "/v1/decisions", _json(body | {"amount": body["amount"] + 1})
            case "batch":
                new = [self._new(merchant)[1] for _ in range(self._random.choice(NEW_IN_BATCH))]
                made += [(merchant, each) for each in new]
                payments = [*new, body, {**new[0], "currency": "XXZ"}]
                yield kind, merchant, "POST", "/v1/decisions/batch", _json({"decisions": payments})
            case "read":
                yield kind, merchant, "GET", path
            case "stranger":
                other = next(each for each in self._merchants if each != merchant)
                yield kind, other, "GET", path
            case "outcome":
                yield kind, merchant, "POST", f"{path}/outcome", _json({"outcome": "declined"})

    def _new(self, merchant: str = "") -> tuple[str, dict[str, Any]]:
        random = self._random
        self._number += 1
        card = random.randrange(CARDS)
        body = {
            "transaction_id": f"load-{self._number}",
            "amount": round(random.lognormvariate(8, 1.2)),
            "currency": random.choice(("EUR", "USD", "JPY")),
            "card": {"token": f"tok-load-{card}", "bin": f"{400_000 + card % 7}", "issuer_country": "FR"},
            "customer": {"id": f"customer-{card % 50}", "email": f"payer{card % 50}@example.com"},
            "device": {"id": f"device-{random.randrange(CARDS)}"},
            "ip": f"192.0.2.{random.randrange(1, 250)}",
            "billing": {"country": random.choice(("FR", "DE"))},
            "mcc": random.choice(("5411", "5732")),
            "metadata": {"basket": "x" * random.randrange(200)},
        }
        return merchant or random.choice(self._merchants), body


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
