"""Who pays in the generated world: customers with cards, devices, addresses and habits."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from ops.inputs.randomness import stream, token

__all__ = [
    "COUNTRIES",
    "Card",
    "Customer",
    "Population",
    "build_population",
    "new_card",
    "new_customer",
    "pick_country",
    "private_ip",
    "shared_ip",
]

COUNTRIES: dict[str, tuple[float, int, str]] = {
    # share of customers, hours ahead of UTC in winter, currency
    "FR": (0.30, 1, "EUR"),
    "DE": (0.20, 1, "EUR"),
    "ES": (0.12, 1, "EUR"),
    "IT": (0.10, 1, "EUR"),
    "BE": (0.08, 1, "EUR"),
    "NL": (0.07, 1, "EUR"),
    "GB": (0.09, 0, "GBP"),
    "PT": (0.04, 0, "EUR"),
}
_FOREIGN_ISSUERS = ("US", "BR", "MX", "ZA", "TR", "PL", "RO", "IN")
# Documentation ranges of RFC 5737; RFC 3849 adds 2001:db8::/32.
_SHARED_RANGES = ("192.0.2", "198.51.100", "203.0.113")
_HABITS = (
    # weight of each local hour, for early birds, ordinary people and night owls
    [0, 0, 0, 0, 0, 1, 3, 6, 8, 9, 9, 8, 9, 8, 7, 6, 5, 5, 5, 4, 3, 2, 1, 0],
    [1, 0, 0, 0, 0, 0, 1, 2, 4, 5, 6, 6, 8, 7, 6, 5, 6, 7, 8, 9, 10, 9, 6, 3],
    [6, 5, 3, 2, 1, 0, 0, 1, 1, 2, 3, 4, 5, 5, 5, 5, 5, 6, 6, 7, 8, 9, 9, 8],
)


@dataclass(frozen=True, slots=True)
class Card:
    """A payment card, by its token. `bin` starts with 9, which no card scheme uses."""

    token: str
    bin: str
    issuer_country: str


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer and their habits. Times are days since the start of the world."""

    id: str
    email: str
    country: str
    currency: str
    utc_offset: int
    joined: float
    cards: tuple[Card, ...]
    devices: tuple[str, ...]
    home_ip: str
    mobile_ip: str
    spend: float
    activity: float
    hours: Sequence[float]
    app: bool
    gamer: bool
    new_phone: float
    trip: tuple[float, float, str, str]
    agency: bool = False

    def device(self, day: float, rng: Random) -> str:
        """The device in use on a day: the newest phone, or sometimes a second device."""
        if len(self.devices) > 2 and rng.random() < 0.25:
            return self.devices[2]
        return self.devices[1] if day >= self.new_phone else self.devices[0]

    def away(self, day: float) -> tuple[str, str] | None:
        """Country and address of a trip that is under way on a day."""
        start, end, country, address = self.trip
        return (country, address) if start <= day < end else None


@dataclass(frozen=True, slots=True)
class Population:
    """All customers, with their activity as cumulated weights for quick choice."""

    customers: tuple[Customer, ...]
    cumulated: tuple[float, ...]

    def pick(self, rng: Random, day: float) -> Customer:
        """Choose a customer who had joined by `day`, the active ones more often."""
        while True:
            place = bisect_right(self.cumulated, rng.random() * self.cumulated[-1])
            customer = self.customers[min(place, len(self.customers) - 1)]
            if customer.joined <= day:
                return customer


def pick_country(rng: Random) -> str:
    """Choose a home country by its share of the customers."""
    return rng.choices(list(COUNTRIES), weights=[share for share, _, _ in COUNTRIES.values()])[0]


def new_card(rng: Random, country: str, *, foreign: float = 0.04) -> Card:
    """Issue a card in `country`, or abroad with probability `foreign`."""
    issuer = rng.choice(_FOREIGN_ISSUERS) if rng.random() < foreign else country
    # A country's issuers own a handful of ranges each, so a BIN says something, but not everything.
    ranges = (*COUNTRIES, *_FOREIGN_ISSUERS)
    return Card(token(rng, "card_"), f"9{ranges.index(issuer):02d}{rng.randrange(6):03d}", issuer)


def private_ip(rng: Random) -> str:
    """An IPv6 address of the documentation prefix."""
    return f"2001:db8:{rng.randrange(1, 0xFFFF):x}:{rng.randrange(1, 0xFFFF):x}::{rng.randrange(1, 0xFFF):x}"


def shared_ip(rng: Random) -> str:
    """An IPv4 address of a carrier or an office, which many people share."""
    return f"{rng.choice(_SHARED_RANGES)}.{rng.randrange(1, 255)}"


def new_customer(rng: Random, *, joined: float, days: float, agency: bool = False) -> Customer:
    """Make up one customer, or an agency that pays for many others."""
    country = pick_country(rng)
    _, offset, currency = COUNTRIES[country]
    identifier = token(rng, "cus_", 12)
    trip_start = rng.uniform(-5, days * 3)  # about a third travel inside the span
    return Customer(
        id=identifier,
        email=f"{identifier[4:]}@example.com",
        country=country,
        currency=currency,
        utc_offset=offset,
        joined=joined,
        cards=tuple(new_card(rng, country) for _ in range(rng.choices((1, 2, 3), (70, 24, 6))[0])),
        devices=tuple(token(rng, "dev_", 12) for _ in range(3 if rng.random() < 0.4 else 2)),
        home_ip=private_ip(rng),
        mobile_ip=shared_ip(rng),
        spend=rng.lognormvariate(0, 0.45),
        activity=min(6.0, rng.lognormvariate(0, 0.9)),
        hours=rng.choices(_HABITS, (25, 60, 15))[0],
        app=rng.random() < 0.45,
        gamer=rng.random() < 0.08,
        new_phone=rng.uniform(0, days * 2.5),
        trip=(trip_start, trip_start + rng.uniform(2, 9), pick_country(rng), private_ip(rng)),
        agency=agency,
    )


def build_population(seed: int, *, size: int, days: float) -> Population:
    """Make up `size` customers; a fifth of them join inside the span, at a steady pace."""
    customers = []
    for number in range(size):
        rng = stream(seed, "customer", number)
        joined = rng.uniform(0, days) if rng.random() < 0.2 else -rng.uniform(1, 700)
        customers.append(new_customer(rng, joined=joined, days=days))
    cumulated: list[float] = []
    total = 0.0
    for customer in customers:
        # Newcomers are busier: they are there because they want something now.
        total += customer.activity * (1.5 if customer.joined > 0 else 1.0)
        cumulated.append(total)
    return Population(tuple(customers), tuple(cumulated))
