"""The fraud of the generated world: each kind of campaign, by the way it makes its money."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from ops.inputs.population import (
    COUNTRIES,
    Card,
    Customer,
    Population,
    new_card,
    new_customer,
    pick_country,
    private_ip,
    shared_ip,
)
from ops.inputs.randomness import stream, token
from ops.inputs.traffic import DAY_MS, SHOPS, Draft, Ids, payment, price

__all__ = ["CAMPAIGNS", "attacks"]

type Campaign = Callable[[Random, Ids, Population, float, int], list[tuple[float, Draft]]]

_MINUTE = 1 / 1_440
_HOUR = 1 / 24
_RESOLD = ("electronics", "electronics", "clothing", "household", "travel")


def card_testing(
    rng: Random, ids: Ids, _population: Population, day: float, start: int
) -> list[tuple[float, Draft]]:
    """A script tries stolen numbers with tiny payments: one device, many cards, several tries each."""
    moment = day + rng.random()
    bot, address = token(rng, "dev_", 12), private_ip(rng)
    tries = []
    for _ in range(rng.randint(4, 9)):
        thief = _impostor(rng, moment)
        for _ in range(rng.randint(2, 5)):
            amount = rng.choice((rng.randint(50, 400), 100, 100, 200))
            made = payment(
                ids,
                thief,
                SHOPS["games"],
                at=_ms(start, moment),
                amount=amount,
                channel="ecommerce",
                entry_mode="manual",
                three_ds="none",
                device=bot,
                ip=address,
            )
            tries.append((moment, Draft(made, "card testing")))
            moment += _MINUTE * rng.uniform(0.2, 2.5)
    return tries


def stolen_card(
    rng: Random, ids: Ids, population: Population, day: float, start: int
) -> list[tuple[float, Draft]]:
    """A stolen number is drained at a distance, and the goods go to a mule abroad."""
    moment = day + rng.random()
    victim, thief = population.pick(rng, day), _impostor(rng, moment)
    # Half the thieves act on the victim's card as it is known to the platform, half on a stranger's.
    card = victim.cards[0] if rng.random() < 0.5 else thief.cards[0]
    thief = _impostor(rng, moment, card=card, country=card.issuer_country)
    device, address, mule = token(rng, "dev_", 12), private_ip(rng), pick_country(rng)
    spree = []
    for _ in range(rng.randint(2, 6)):
        shop = SHOPS[rng.choice(_RESOLD)]
        made = payment(
            ids,
            thief,
            shop,
            at=_ms(start, moment),
            amount=price(rng, shop, rng.uniform(1.2, 3.0)),
            channel="ecommerce",
            entry_mode="manual",
            device=device,
            ip=address,
            three_ds=rng.choices(("none", "attempted", "failed"), (65, 22, 13))[0],
            shipping_country=mule if shop.ships else "",
        )
        spree.append((moment, Draft(made, "stolen card")))
        moment += _MINUTE * (rng.expovariate(1 / 25) + 1)
    return spree


def lost_card(rng: Random, ids: Ids, population: Population, day: float, start: int) -> list[tuple[float, Draft]]:
    """A lost card is tapped in shops, under the limit that would ask for a PIN."""
    moment, victim = day + rng.uniform(8, 19) * _HOUR, population.pick(rng, day)
    taps = []
    for _ in range(rng.randint(3, 7)):
        amount = rng.randint(2_200, 4_990)
        made = payment(
            ids,
            victim,
            SHOPS[rng.choice(("clothing", "household", "electronics"))],
            at=_ms(start, moment),
            amount=amount,
            channel="pos",
            entry_mode="contactless",
            email="",
        )
        taps.append((moment, Draft(made, "lost card")))
        moment += _MINUTE * (rng.expovariate(1 / 15) + 2)
    return taps


def friendly_fraud(
    rng: Random, ids: Ids, population: Population, day: float, start: int
) -> list[tuple[float, Draft]]:
    """A customer disputes a payment of their own. Nothing gives it away beforehand."""
    customer, moment = population.pick(rng, day), day + rng.uniform(8, 22) * _HOUR
    shop = SHOPS[rng.choice(("clothing", "electronics", "games", "tickets", "hotels"))]
    made = payment(
        ids,
        customer,
        shop,
        at=_ms(start, moment),
        amount=price(rng, shop, customer.spend),
        channel="app" if customer.app else "ecommerce",
        entry_mode="card_on_file",
        three_ds=rng.choice(("none", "none", "authenticated")),
        device=customer.device(moment, rng),
        ip=customer.home_ip,
        shipping_country=customer.country if shop.ships else "",
    )
    return [(moment, Draft(made, "friendly fraud", is_fraud=True))]


def account_takeover(
    rng: Random, ids: Ids, population: Population, day: float, start: int
) -> list[tuple[float, Draft]]:
    """A phished account buys gift cards with the card it has on file, mostly while its owner sleeps."""
    victim = population.pick(rng, min(day, 0.0))  # an account with a past
    hour = rng.uniform(0, 5) if rng.random() < 0.65 else rng.uniform(6, 24)
    moment = day + hour * _HOUR
    device, address = token(rng, "dev_", 12), shared_ip(rng) if rng.random() < 0.5 else private_ip(rng)
    purchases = []
    for _ in range(rng.randint(2, 5)):
        amount = rng.choice((25, 50, 50, 75, 100, 100, 150)) * 100
        made = payment(
            ids,
            victim,
            SHOPS["gift cards"],
            at=_ms(start, moment),
            amount=amount,
            channel="app" if rng.random() < 0.7 else "ecommerce",
            entry_mode="card_on_file",
            three_ds="none",
            device=device,
            ip=address,
        )
        purchases.append((moment, Draft(made, "account takeover")))
        moment += _MINUTE * (rng.expovariate(1 / 20) + 3)
    return purchases


def ticket_resale(
    rng: Random, ids: Ids, _population: Population, day: float, start: int
) -> list[tuple[float, Draft]]:
    """Tickets are sold on for cash and bought with a fresh stolen card each time, from one account."""
    moment = day + rng.uniform(9, 15) * _HOUR
    seller = _impostor(rng, moment - 1)
    device, address = token(rng, "dev_", 12), shared_ip(rng)
    orders = []
    for _ in range(rng.randint(4, 8)):
        card = new_card(rng, seller.country, foreign=0.55)
        buyer = _impostor(rng, moment, card=card, country=seller.country, like=seller)
        shop = SHOPS["tickets" if rng.random() < 0.8 else "hotels"]
        made = payment(
            ids,
            buyer,
            shop,
            at=_ms(start, moment),
            amount=price(rng, shop, 1.1),
            channel="ecommerce",
            entry_mode="manual",
            three_ds=rng.choices(("none", "attempted"), (60, 40))[0],
            device=device,
            ip=address,
        )
        orders.append((moment, Draft(made, "ticket resale")))
        moment += _HOUR * (rng.expovariate(1 / 0.9) + 0.2)
    return orders


def bin_attack(
    rng: Random, ids: Ids, _population: Population, day: float, start: int
) -> list[tuple[float, Draft]]:
    """Numbers of one foreign BIN are guessed, low and slow: each card, account and device used once."""
    moment = day + rng.random()
    pattern = new_card(rng, "US", foreign=1.0)
    probes = []
    for _ in range(rng.randint(8, 16)):
        card = Card(token(rng, "card_"), pattern.bin, pattern.issuer_country)
        thief = _impostor(rng, moment, card=card)
        made = payment(
            ids,
            thief,
            SHOPS["transport"],
            at=_ms(start, moment),
            amount=rng.randint(180, 990),
            channel=rng.choice(("app", "ecommerce")),
            entry_mode="manual",
            three_ds="none",
            device=thief.devices[0],
            ip=shared_ip(rng),
        )
        probes.append((moment, Draft(made, "bin attack")))
        moment += _MINUTE * (rng.expovariate(1 / 12) + 2)
    return probes


CAMPAIGNS: Mapping[str, Campaign] = {
    "card testing": card_testing,
    "stolen card": stolen_card,
    "lost card": lost_card,
    "friendly fraud": friendly_fraud,
    "account takeover": account_takeover,
    "ticket resale": ticket_resale,
    "bin attack": bin_attack,
}


def attacks(
    seed: int, population: Population, *, start: int, first_day: int, days: int, quotas: Mapping[str, int]
) -> list[Draft]:
    """Run campaigns of each kind until it has as many payments as its quota says.

    Parameters
    ----------
    quotas : mapping of str to int
        Payments per kind of campaign, keys from `CAMPAIGNS`.
    """
    drafts: list[Draft] = []
    for kind, quota in quotas.items():
        rng = stream(seed, "campaign", kind, first_day)
        ids = Ids(stream(seed, "campaign ids", kind, first_day))
        made: list[Draft] = []
        number = 0
        while len(made) < quota:
            number += 1
            # Stratified over the span, so that no seed leaves a kind out of the last days.
            day = float(first_day + (number * 0.618034 + rng.random() * 0.1) % 1.0 * (days - 0.5))
            steps = CAMPAIGNS[kind](rng, ids, population, float(int(day)), start)
            made += [
                Draft(draft.transaction, draft.scenario, True, f"{kind} {first_day}.{number}")
                for moment, draft in steps
                if first_day <= moment < first_day + days - 0.02
            ]
        drafts += made[:quota]
    return drafts


def _impostor(
    rng: Random, moment: float, *, card: Card | None = None, country: str = "", like: Customer | None = None
) -> Customer:
    """An account made for fraud, with a card that is not its holder's."""
    account = like or new_customer(rng, joined=moment, days=1.0)
    return replace(
        account, country=country if country in COUNTRIES else account.country, cards=(card or account.cards[0],)
    )


def _ms(start: int, moment: float) -> int:
    return start + round(moment * DAY_MS)
