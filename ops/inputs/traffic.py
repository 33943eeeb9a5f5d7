"""What ordinary customers do in the generated world, and what of it looks like fraud but is not."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fraud.events import Transaction
from ops.inputs.population import Customer, Population, new_customer, pick_country, private_ip
from ops.inputs.randomness import stream, token

__all__ = ["DAY_MS", "MERCHANTS", "SHOPS", "Draft", "Ids", "Shop", "ordinary", "payment", "price"]

DAY_MS = 86_400_000
_MINUTE = 1 / 1_440
_WEEK = (0.95, 0.93, 0.97, 1.0, 1.1, 1.2, 1.05)  # Monday first


@dataclass(frozen=True, slots=True)
class Shop:
    """One line of business of a merchant; `median` in major units."""

    merchant: str
    mcc: str
    median: float
    sigma: float
    share: float
    ships: bool = False


SHOPS: dict[str, Shop] = {
    "electronics": Shop("aurora", "5732", 120, 0.80, 0.14, ships=True),
    "clothing": Shop("aurora", "5651", 52, 0.60, 0.22, ships=True),
    "household": Shop("aurora", "5311", 38, 0.70, 0.17, ships=True),
    "books": Shop("aurora", "5942", 17, 0.50, 0.09, ships=True),
    "games": Shop("aurora", "5816", 7, 0.70, 0.09),
    "gift cards": Shop("aurora", "5947", 42, 0.60, 0.05),
    "travel": Shop("meridian", "4722", 230, 0.75, 0.05),
    "hotels": Shop("meridian", "7011", 135, 0.60, 0.06),
    "tickets": Shop("meridian", "7922", 70, 0.55, 0.08),
    "transport": Shop("meridian", "4111", 5, 0.60, 0.05),
}
MERCHANTS: tuple[str, ...] = tuple(dict.fromkeys(shop.merchant for shop in SHOPS.values()))
"""The two merchants that call the API: a marketplace and a travel platform."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A payment before anyone knows its outcome."""

    transaction: Transaction
    scenario: str
    is_fraud: bool = False
    attack: str = ""


@dataclass(slots=True)
class Ids:
    """Hands out transaction ids, the same ones for the same world."""

    rng: Random

    def next(self, merchant: str) -> str:
        return token(self.rng, f"{merchant[:3]}_")


def price(rng: Random, shop: Shop, factor: float = 1.0) -> int:
    """Draw a price in minor units, with the endings that prices have."""
    euros = max(0.6, min(6_000.0, rng.lognormvariate(0, shop.sigma) * shop.median * factor))
    ending = rng.random()
    if shop.mcc == "5947" or (ending < 0.12 and euros > 15):
        return max(500, round(euros / 5) * 500)
    if ending < 0.6:
        return max(99, int(euros) * 100 + rng.choice((0, 50, 90, 95, 99, 99)))
    return max(50, round(euros * 100))


def payment(
    ids: Ids, customer: Customer, shop: Shop, *, at: int, amount: int, card: int = 0, **fields: str
) -> Transaction:
    """Make one payment of a customer at a shop; `fields` are the transaction's own."""
    paid_with = customer.cards[card]
    return Transaction(
        transaction_id=ids.next(shop.merchant),
        merchant_id=shop.merchant,
        event_time=at,
        amount=amount,
        currency=customer.currency,
        mcc=shop.mcc,
        customer=customer.id,
        **{
            "card": paid_with.token,
            "bin": paid_with.bin,
            "issuer_country": paid_with.issuer_country,
            "billing_country": customer.country,
            "email": customer.email,
            **fields,
        },
    )


def clock(customer: Customer, day: int, rng: Random, hours: Callable[[int], float]) -> float:
    """A moment of a day in UTC days, following weights of the customer's local hours."""
    hour = rng.choices(range(24), [hours(hour) for hour in range(24)])[0]
    return day + (hour - customer.utc_offset + rng.random()) / 24


def ordinary(
    seed: int, population: Population, *, start: int, first_day: int, days: int, rows: int, sale_day: int | None
) -> list[Draft]:
    """Exactly `rows` genuine payments between two days, by visits of one or more payments each.

    Parameters
    ----------
    start : int
        Milliseconds since the epoch of day 0, a Monday.
    sale_day : int or None
        First of the two days of a sale, when everyone buys more: legitimate, and unlike other days.
    """
    rng = stream(seed, "ordinary", first_day)
    ids = Ids(stream(seed, "ordinary ids", first_day))
    calendar = list(range(first_day, first_day + days))
    weights = [_WEEK[day % 7] * (1.5 if _on_sale(day, sale_day) else 1.0) for day in calendar]
    agencies = [_agency(seed, number, first_day + days) for number in range(3)]
    drafts: list[Draft] = []
    while len(drafts) < rows:
        day = rng.choices(calendar, weights)[0]
        customer = rng.choice(agencies) if rng.random() < 0.008 else population.pick(rng, day)
        hours = [weight + 0.05 for weight in customer.hours]
        moment = clock(customer, day, rng, hours.__getitem__)
        if not max(first_day, customer.joined) <= moment < first_day + days - 0.02:
            continue
        drafts += _visit(rng, ids, customer, moment, start=start, sale=_on_sale(day, sale_day))
    del drafts[rows:]
    return drafts


def _on_sale(day: int, sale_day: int | None) -> bool:
    return sale_day is not None and sale_day <= day < sale_day + 2


def _agency(seed: int, number: int, days: int) -> Customer:
    """A travel agency: one card and one account, dozens of bookings for other people."""
    rng = stream(seed, "agency", number)
    return new_customer(rng, joined=-400.0, days=days, agency=True)


def _visit(rng: Random, ids: Ids, customer: Customer, moment: float, *, start: int, sale: bool) -> list[Draft]:
    """The payments of one visit, minutes apart."""
    name, count, scenario = _purpose(rng, customer, sale)
    shop = SHOPS[name]
    card = 0 if rng.random() < 0.8 else rng.randrange(len(customer.cards))
    context, kind = _context(rng, customer, shop, moment)
    amount = 0
    drafts = []
    for number in range(count):
        if number and not scenario and context["channel"] != "pos" and rng.random() < 0.5:
            shop = SHOPS[_shop(rng, customer, merchant=shop.merchant)]
            context["shipping_country"] = context["shipping_country"] if shop.ships else ""
        factor = customer.spend * (1.25 if sale else 1.0) * (4.0 if scenario == "big ticket" else 1.0)
        if not (number and scenario == "retry"):
            amount = price(rng, shop, factor)
        at = start + round(moment * DAY_MS)
        made = payment(ids, customer, shop, at=at, amount=amount, card=card, **context)
        drafts.append(Draft(made, scenario or kind or "ordinary"))
        moment += _MINUTE * (rng.uniform(0.3, 1.5) if scenario == "retry" else rng.expovariate(1 / 6) + 0.4)
    return drafts


def _purpose(rng: Random, customer: Customer, sale: bool) -> tuple[str, int, str]:
    """What a visit is for: a shop, how many payments, and a name if it resembles fraud."""
    if customer.agency:
        return rng.choice(("travel", "hotels", "tickets")), rng.randint(1, 5), "agency"
    chance = rng.random()
    if customer.gamer and chance < 0.35:
        return "games", rng.randint(3, 9), "game burst"
    if chance < 0.03:
        return _shop(rng, customer), rng.randint(2, 3), "retry"
    if chance < 0.06:
        return _shop(rng, customer), 1, "big ticket"
    if chance < (0.30 if sale else 0.18):
        return _shop(rng, customer), rng.choice((2, 2, 3, 4)), ""
    return _shop(rng, customer), 1, ""


def _shop(rng: Random, customer: Customer, merchant: str = "") -> str:
    names = [name for name, shop in SHOPS.items() if merchant in ("", shop.merchant)]
    # Each customer has favourites: the id's letters tilt the shares, the same way for good.
    tilt = [1 + 2 * (ord(customer.id[-1 - place]) % 3 == 0) for place in range(len(names))]
    return rng.choices(names, [SHOPS[name].share * tilt[place] for place, name in enumerate(names)])[0]


def _context(rng: Random, customer: Customer, shop: Shop, moment: float) -> tuple[dict[str, str], str]:
    """How a genuine visit reaches the merchant, and a name if that resembles fraud."""
    if shop.ships and not customer.app and rng.random() < 0.14:
        return {
            "channel": "pos",
            "entry_mode": rng.choice(("contactless", "contactless", "chip")),
            "email": "",
            "shipping_country": "",
        }, ""
    away, kind = customer.away(moment), ""
    stored = rng.random() < (0.75 if moment - customer.joined > 20 else 0.2)
    address = customer.mobile_ip if customer.app and rng.random() < 0.6 else customer.home_ip
    shipping = customer.country if shop.ships else ""
    if away:
        country, address = away
        kind, shipping = "travel", (country if shop.ships and rng.random() < 0.6 else shipping)
    elif shop.ships and rng.random() < 0.05:
        kind, shipping = "gift abroad", pick_country(rng)
    elif rng.random() < 0.03:
        address = private_ip(rng)
    if 0 <= moment - customer.new_phone < 2:
        kind = "new phone"
    verified = rng.choices(
        ("none", "authenticated", "attempted", "failed"), (62, 33, 4, 1) if stored else (34, 54, 9, 3)
    )[0]
    return {
        "channel": "app" if customer.app and rng.random() < 0.8 else "ecommerce",
        "entry_mode": "card_on_file" if stored else "manual",
        "three_ds": verified,
        "device": customer.device(moment, rng),
        "ip": address,
        "shipping_country": shipping,
    }, kind
