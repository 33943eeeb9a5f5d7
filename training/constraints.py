"""What the domain knows about the shape of a score, by the names of features.

A constraint is listed where it can be said in a sentence what it promises. None holds unless a run asks for it,
since they cost precision where the world does not keep to them (docs/training.md).
"""

import json
import re
from collections.abc import Sequence

__all__ = ["FAMILIES", "RISING", "constraints_of"]

RISING = (
    # Known frauds of a card, device or merchant are evidence against it, if not always of what goes on now.
    re.compile(r".+_fraud_(rate|count)_.+"),
    # Refused attempts just before are how stolen numbers are tried out.
    re.compile(r".+_declined_(rate|count)_.+"),
)
"""Features that never lower the score as they rise."""

FAMILIES = (
    ("card", "customer", "device", "email", "device_card"),
    ("card", "bin", "merchant", "card_merchant"),
    ("device", "ip", "customer"),
)
"""Entities whose histories may be weighed together in one tree's path, always beside the payment itself:
who pays; what is paid with, and where; where it comes from."""

_ENTITIES = sorted({each for family in FAMILIES for each in family}, key=len, reverse=True)
_HISTORY = re.compile(rf"({'|'.join(_ENTITIES)})_(count|amount|since|distinct|declined|fraud)_.+")


def constraints_of(names: Sequence[str], *, monotone: bool, interactions: bool) -> dict[str, str]:
    """XGBoost's settings for the columns of a model.

    Parameters
    ----------
    names : sequence of str
        The features, in the order of the columns.

    Returns
    -------
    dict of str to str
        Only what constrains at least one column.

    Examples
    --------
    >>> constraints_of(["amount", "card_fraud_rate_60d_after_7d"], monotone=True, interactions=False)
    {'monotone_constraints': '(0,1)'}
    """
    found = {}
    rising = [int(any(each.fullmatch(name) for each in RISING)) for name in names]
    if monotone and any(rising):
        found["monotone_constraints"] = f"({','.join(map(str, rising))})"
    entities = [_entity(name) for name in names]
    if interactions and any(entities):
        groups = [
            [column for column, entity in enumerate(entities) if entity is None or entity in family]
            for family in FAMILIES
        ]
        found["interaction_constraints"] = json.dumps(groups)
    return found


def _entity(name: str) -> str | None:
    """Whose history a feature tells of; None for the payment itself and for entities that no family names."""
    match = _HISTORY.fullmatch(name)
    return match[1] if match else None
