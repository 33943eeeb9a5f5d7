"""What a backtest is asked with, and what it answers."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from fraud.figures import Report
from fraud.rules import Rules
from runtime.contract.settings import PolicyRequest

__all__ = ["MOST_DAYS", "MOST_DECISIONS", "USUAL_DAYS", "BacktestAnswer", "BacktestRequest"]

MOST_DECISIONS = 20_000
"""So many are judged while the caller waits; of more, a sample is."""

USUAL_DAYS, MOST_DAYS = 30, 92

type _Moment = Annotated[str, Meta(description="RFC 3339, in UTC.")]


class BacktestRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A draft, and the past decisions to try it on; what is left out is as you have it now."""

    rules: Rules | None = None
    policy: PolicyRequest | None = None
    since: (
        Annotated[
            datetime,
            Meta(description=f"RFC 3339 with an offset; {USUAL_DAYS} days before `until` by default."),
        ]
        | None
    ) = None
    until: (
        Annotated[
            datetime,
            Meta(
                description=f"RFC 3339 with an offset; now by default. Decisions of this moment are left out. At "
                f"most {MOST_DAYS} days after `since`."
            ),
        ]
        | None
    ) = None


class BacktestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the draft would have done.

    The lake lags by some minutes, and so does what is answered here.
    """

    since: _Moment
    until: _Moment
    found: Annotated[int, Meta(description="Your decisions in that time.")]
    share: Annotated[
        float,
        Meta(
            description="The part of them that was judged, chosen by a hash: 1 up to about "
            f"{MOST_DECISIONS} decisions. Divide the figures by it to estimate those of all."
        ),
    ]
    report: Report
