"""The features worked out from what their names say, over the raw list of past events.

It shares no code with the engine: no tiles, no states, no codec. Every number is looked up in the list of
everything that the platform had learnt before the payment, in exact fractions. A feature's name is read as a
sentence: ``card_declined_rate_24h``, ``merchant_fraud_rate_28d_after_7d``.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fraud.events import Event, Label, Outcome, Transaction

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}

ENTITIES: dict[str, tuple[str, ...]] = {
    "card_merchant": ("card", "merchant_id"),
    "device_card": ("device", "card"),
    "card": ("card",),
    "customer": ("customer",),
    "device": ("device",),
    "ip": ("ip",),
    "email": ("email",),
    "bin": ("bin",),
    "merchant": ("merchant_id",),
}
CAPACITIES = {"shipping_country": 16}
"""How many different values are told apart, where it is not 64."""

_PARTS = re.compile(
    rf"(?P<entity>{'|'.join(ENTITIES)})_(?P<what>[a-z_]+?)_(?P<length>[0-9]+[smhd])"
    r"(?:_after_(?P<delay>[0-9]+[smhd]))?(?P<current>_with_current)?"
)


@dataclass(frozen=True)
class Meaning:
    """What a windowed feature's name says; times in ms."""

    entity: str
    what: str
    length: int
    hop: int
    delay: int
    current: bool


def meaning(name: str, hop: int | None = None) -> Meaning | None:
    """What a name says, or None where it is not that of a windowed feature."""
    match = _PARTS.fullmatch(name)
    if match is None or name in _ROW:
        return None
    length, delay = _span(match["length"]), _span(match["delay"] or "0s")
    return Meaning(match["entity"], match["what"], length, hop or _hop(length), delay, bool(match["current"]))


def inexact(name: str) -> bool:
    """Whether a square root is rounded in it: compared to a relative 1e-12 rather than to the last bit."""
    return "_zscore_" in name or "_std_" in name


def vectors(events: Sequence[Event], names: Sequence[str]) -> Iterator[tuple[Transaction, dict[str, float]]]:
    """Every payment of a history in the order of arrival, with its features by name."""
    for position, event in enumerate(events):
        if isinstance(event, Transaction):
            yield event, features(event, events[:position], names)


def features(now: Transaction, past: Sequence[Event], names: Sequence[str]) -> dict[str, float]:
    """The features of a payment by name, from all that was learnt before it."""
    mine = {entity: _mine(now, past, fields) for entity, fields in ENTITIES.items()}
    found = {}
    for name in names:
        said = meaning(name)
        if said is None:
            found[name] = _ROW[name](now)
        else:
            own = mine[said.entity]
            found[name] = math.nan if own is None else windowed(now, own, said)
    return found


def _mine(now: Transaction, past: Sequence[Event], fields: tuple[str, ...]) -> list[Event] | None:
    """The events of the same card, or whatever the entity is; None if the payment names none."""
    key = [getattr(now, field) for field in fields]
    if "" in key:
        return None
    return [event for event in past if [getattr(event.transaction, field) for field in fields] == key]


def windowed(now: Transaction, mine: Sequence[Event], said: Meaning) -> float:
    start = (now.event_time - said.delay - said.length) // said.hop * said.hop
    # Without a delay the window ends at the payment: all that came before it, the same instant included.
    end = (now.event_time - said.delay) // said.hop * said.hop if said.delay else now.event_time + 1
    inside = [event for event in mine if start <= _moment(event) < end]
    if said.current:
        inside.append(now)
    paid = [event for event in inside if isinstance(event, Transaction)]
    what = said.what
    if what.startswith("distinct_"):
        field = what.removeprefix("distinct_")
        values = {value for event in paid if (value := getattr(event, field))}
        return float(min(len(values), CAPACITIES.get(field, 64)))
    kind, _, rest = what.partition("_")
    if kind in ("fraud", "declined"):
        part = [event for event in inside if _is(kind, event)]
        if rest == "count":
            return float(len(part))
        whole = paid if kind == "fraud" else [event for event in inside if _is("answered", event)]
        return float(Fraction(len(part), len(whole))) if whole else math.nan
    return _NUMBERS[what](now, paid)


def _moment(event: Event) -> int:
    """An outcome counts when it came, a label when its payment was."""
    return event.event_time if isinstance(event, Outcome) else event.transaction.event_time


def _is(what: str, event: Event) -> bool:
    if what == "fraud":
        return isinstance(event, Label) and event.is_fraud
    kinds = ("declined",) if what == "declined" else ("authorised", "declined")
    return isinstance(event, Outcome) and event.kind in kinds


type _Paid = Sequence[Transaction]


def _or_nothing(of: Callable[[_Paid], int]) -> Callable[[Transaction, _Paid], float]:
    return lambda _now, paid: float(of(paid)) if paid else math.nan


def _mean(paid: _Paid) -> Fraction:
    return Fraction(sum(event.amount for event in paid), len(paid))


def _variance(paid: _Paid) -> Fraction:
    mean = _mean(paid)
    return sum(((event.amount - mean) ** 2 for event in paid), Fraction(0)) / (len(paid) - 1)


def _zscore(now: Transaction, paid: _Paid) -> float:
    if len({event.amount for event in paid}) < 2:
        return math.nan
    return float(now.amount - _mean(paid)) / math.sqrt(_variance(paid))


def _last(paid: _Paid) -> int:
    latest = max(event.event_time for event in paid)
    return max(event.amount for event in paid if event.event_time == latest)


_NUMBERS: dict[str, Callable[[Transaction, _Paid], float]] = {
    "count": lambda _, paid: float(len(paid)),
    "amount_sum": lambda _, paid: float(sum(event.amount for event in paid)),
    "amount_mean": lambda _, paid: float(_mean(paid)) if paid else math.nan,
    "amount_std": lambda _, paid: math.sqrt(_variance(paid)) if len(paid) > 1 else math.nan,
    "amount_min": _or_nothing(lambda paid: min(event.amount for event in paid)),
    "amount_max": _or_nothing(lambda paid: max(event.amount for event in paid)),
    "amount_last": _or_nothing(_last),
    "amount_zscore": _zscore,
    "amount_ratio": lambda now, paid: (
        float(now.amount / _mean(paid)) if any(event.amount for event in paid) else math.nan
    ),
    "since_first": lambda now, paid: (
        (now.event_time - min(event.event_time for event in paid)) / SECOND if paid else math.nan
    ),
    "since_last": lambda now, paid: (
        (now.event_time - max(event.event_time for event in paid)) / SECOND if paid else math.nan
    ),
}

_SOLD_FOR_CASH = (
    "4829",
    "5966",
    "5967",
    "6051",
    "6540",
    "7273",
    "7995",
    *map(str, [*range(5815, 5819), *range(7800, 7803)]),
)


def _flag(holds: bool) -> float:
    return 1.0 if holds else 0.0


def _differ(first: str, second: str) -> float:
    return math.nan if "" in (first, second) else _flag(first != second)


_ROW: dict[str, Callable[[Transaction], float]] = {
    "amount": lambda now: float(now.amount),
    "amount_is_round": lambda now: _flag(now.amount % 1_000 == 0),
    "amount_is_tiny": lambda now: _flag(now.amount < 200),
    "amount_ends_in_99": lambda now: _flag(str(now.amount).endswith("99")),
    "hour_of_day": lambda now: float(now.event_time // HOUR % 24),
    "day_of_week": lambda now: float((now.event_time // DAY - 4) % 7),  # 1970-01-05 was a Monday
    "issuer_billing_mismatch": lambda now: _differ(now.issuer_country, now.billing_country),
    "billing_shipping_mismatch": lambda now: _differ(now.billing_country, now.shipping_country),
    "issuer_shipping_mismatch": lambda now: _differ(now.issuer_country, now.shipping_country),
    "card_not_present": lambda now: _flag(now.channel != "pos"),
    "three_ds_authenticated": lambda now: _flag(now.three_ds == "authenticated"),
    "three_ds_failed": lambda now: _flag(now.three_ds == "failed"),
    "entered_by_hand": lambda now: _flag(now.entry_mode in ("manual", "swipe")) if now.entry_mode else math.nan,
    "device_missing": lambda now: _flag(now.device == ""),
    "email_missing": lambda now: _flag(now.email == ""),
    "sells_quick_cash": lambda now: _flag(now.mcc in _SOLD_FOR_CASH) if now.mcc else math.nan,
}


def _span(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]]


def _hop(length: int) -> int:
    """The tail's step where a feature does not set its own."""
    steps = ((HOUR, MINUTE), (DAY, 15 * MINUTE), (7 * DAY, 2 * HOUR), (30 * DAY, 8 * HOUR))
    return next((hop for limit, hop in steps if length <= limit), DAY)
