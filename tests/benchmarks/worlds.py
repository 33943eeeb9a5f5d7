"""A generated world for the standard features: payments with every field, what the issuers answered, labels."""

from random import Random

from fraud.events import Event, Outcome
from fraud.replay import arrival
from ops.inputs.world import WorldOptions, build_world

__all__ = ["events"]


def events(rows: int, *, seed: int = 4) -> list[Event]:
    """By time of arrival: about three quarters as many customers as there are rows in ten days, over ninety days.

    Parameters
    ----------
    rows : int
        Payments; most have an outcome besides, and some a label.
    """
    live = 3_000
    options = WorldOptions(customers=max(400, rows // 12), history_days=80, history_rows=rows - live)
    rng = Random(seed)
    found: list[Event] = []
    for row in build_world(seed, options).rows:
        paid = row.transaction
        found.append(paid)
        kind = "declined" if rng.random() < (0.4 if row.is_fraud else 0.06) else "authorised"
        found.append(Outcome(transaction=paid, kind=kind, event_time=paid.event_time + rng.randrange(200, 3_000)))
        if row.label is not None:
            found.append(row.label)
    return sorted(found, key=arrival)
