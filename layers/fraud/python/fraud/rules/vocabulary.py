"""What an expression may name: the payment's fields, every registered feature, and velocities."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import get_args

from fraud.currency import CURRENCIES
from fraud.features import FeatureSet
from fraud.features.definitions import Aggregation, Distinct, WindowFeature
from fraud.policy import Action
from fraud.rules.documents import Stage
from fraud.rules.phrases import phrase
from fraud.windows import duration, written

__all__ = ["Kind", "UnknownVelocityError", "Variable", "Vocabulary", "nearest"]


class Kind(StrEnum):
    """The type of an expression."""

    TRUTH = "true or false"
    WHOLE = "a whole number"
    NUMBER = "a number"
    TEXT = "a text"
    LISTS = "the lists that the payment is on"


@dataclass(frozen=True, slots=True)
class Variable:
    """A name and what it stands for.

    Parameters
    ----------
    words : str
        The name in English, as a sentence has it.
    allowed : tuple of str
        The only texts it can be; empty if there are too many to tell.
    form : str
        A regular expression that its texts match in full.
    example : str
        A text of that form.
    """

    name: str
    kind: Kind
    words: str
    allowed: tuple[str, ...] = ()
    form: str = ""
    example: str = ""

    def can_be(self, text: str) -> bool:
        """Whether a payment can have this text: a comparison with another one is a slip."""
        if self.allowed:
            return text in self.allowed
        return not self.form or re.fullmatch(self.form, text) is not None


_COUNTRY = "[A-Z]{2}"
_FIELDS = (
    Variable("amount", Kind.WHOLE, "the amount"),
    Variable("currency", Kind.TEXT, "the currency", tuple(CURRENCIES)),
    Variable("bin", Kind.TEXT, "the card's range", form="[0-9]{6,8}", example="411111"),
    Variable("issuer_country", Kind.TEXT, "the country of the card's issuer", form=_COUNTRY, example="FR"),
    Variable("billing_country", Kind.TEXT, "the billing country", form=_COUNTRY, example="FR"),
    Variable("shipping_country", Kind.TEXT, "the shipping country", form=_COUNTRY, example="FR"),
    Variable("mcc", Kind.TEXT, "the merchant category", form="[0-9]{4}", example="5411"),
    Variable("channel", Kind.TEXT, "the channel", ("ecommerce", "app", "pos", "moto")),
    Variable(
        "entry_mode", Kind.TEXT, "the entry mode", ("chip", "contactless", "swipe", "manual", "card_on_file")
    ),
    Variable("three_ds", Kind.TEXT, "the 3-D Secure status", ("none", "attempted", "authenticated", "failed")),
)
_MADE = (
    Variable("score", Kind.NUMBER, "the score"),
    Variable("lists", Kind.LISTS, "the lists"),
    Variable("degraded", Kind.TRUTH, "the answer is degraded"),
)
_DECISION = Variable("decision", Kind.TEXT, "the decision so far", get_args(Action))

_FUNCTIONS = {
    Aggregation.COUNT: "count",
    Aggregation.SUM: "sum",
    Aggregation.MEAN: "mean",
    Aggregation.STD: "deviation",
    Aggregation.MIN: "minimum",
    Aggregation.MAX: "maximum",
    Aggregation.LAST: "last",
    Aggregation.ZSCORE: "zscore",
    Aggregation.RATIO: "ratio",
    Aggregation.SINCE_FIRST: "since_first",
    Aggregation.SINCE_LAST: "since_last",
    Aggregation.DISTINCT: "distinct",
    Aggregation.RATE: "rate",
}
# Analysts say decline rate, not declined rate.
_EVENTS = {"declined": "decline"}
_MERCHANT = {"merchant": "merchant_id"}

type _Velocity = tuple[str, str, str, int]


class UnknownVelocityError(LookupError):
    """No registered feature is this velocity; the message says which there are."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


class Vocabulary:
    """The names that are known in one stage.

    Parameters
    ----------
    features : FeatureSet
        Every one of its features is a variable, and its windows are what velocities can ask for.
    list_names : iterable of str
        The merchant's lists.

    Attributes
    ----------
    variables : dict of str to Variable
    functions : tuple of str
        Velocities that at least one feature answers.
    """

    def __init__(self, features: FeatureSet, list_names: Iterable[str] = (), *, stage: Stage = "before") -> None:
        made = (*_FIELDS, *_MADE, *((_DECISION,) if stage == "after" else ()))
        of_features = (Variable(each.name, Kind.NUMBER, phrase(each)) for each in features.features)
        # A field is what it is: `amount` stays whole though there is a feature of that name.
        self.variables: dict[str, Variable] = {each.name: each for each in (*of_features, *made)}
        self.list_names = tuple(sorted(list_names))
        self._velocities = _velocities(features.windowed)
        self.functions = tuple(sorted({key[0] for key in self._velocities}))
        self.keys = frozenset(key[1] for key in self._velocities)

    def velocity(self, function: str, entity: str, field: str, window: str) -> str:
        """The name of the feature that a velocity such as ``count(card, "1h")`` is.

        Parameters
        ----------
        field : str
            What is counted by ``distinct``; empty for the others.

        Raises
        ------
        UnknownVelocityError
            If no feature is defined like this.
        """
        try:
            span = duration(window)
        except ValueError:
            raise UnknownVelocityError('a window is a text such as "10m", "24h" or "7d"') from None
        field = _MERCHANT.get(field, field)
        found = self._velocities.get((function, entity, field, span))
        if found is not None:
            return found.name
        known = sorted(key for key in self._velocities if key[0] == function)
        if entity not in {key[1] for key in known}:
            entities = sorted({key[1] for key in known})
            raise UnknownVelocityError(
                f"{function} is known of {', '.join(entities)} only", nearest(entity, entities)
            )
        known = [key for key in known if key[1] == entity]
        if field not in {key[2] for key in known}:
            fields = sorted({key[2].removesuffix("_id") for key in known})
            raise UnknownVelocityError(
                f"of a {entity} different ones are counted of {', '.join(fields)} only", nearest(field, fields)
            )
        windows = [f'"{written(key[3])}"' for key in known if key[2] == field]
        raise UnknownVelocityError(f"{function} of this {entity} is registered for {', '.join(windows)} only")


def nearest(name: str, among: Iterable[str]) -> str:
    """What may have been meant, whatever its case; empty if nothing comes near."""
    folded = {each.lower(): each for each in among}
    return next((folded[near] for near in difflib.get_close_matches(name.lower(), folded, n=1)), "")


def _velocities(features: Iterable[WindowFeature]) -> dict[_Velocity, WindowFeature]:
    """Every window feature by what a rule can call it; where several share that, the plainest and newest."""
    found: dict[_Velocity, WindowFeature] = {}
    for feature in sorted(features, key=lambda f: (f.include_current, f.window.delay, -f.version)):
        over = feature.over
        field = over.field if isinstance(over, Distinct) else ""
        found.setdefault((_function(feature), feature.entity.name, field, feature.window.length), feature)
    return found


def _function(feature: WindowFeature) -> str:
    plain = _FUNCTIONS[feature.aggregation]
    over = feature.over
    if isinstance(over, Distinct) or over.where is None:
        return plain
    event = over.where.name
    return f"{_EVENTS.get(event, event)}_{plain}"
