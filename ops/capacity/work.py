"""The work behind a decision: what was measured of it, and what has to be assumed.

What is measured is in measured.json, written by tests/unit/capacity/measuring.py with the platform's own code, and
held to it by a test: whoever changes the calls of a decision measures anew. What could only be measured on AWS is
assumed, and said to be.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["ASSUMED", "FUNCTIONS", "MEASURED", "RATES", "Assumptions", "Function", "Work", "work"]

MEASURED = Path(__file__).with_name("measured.json")

RATES = (100, 1_000, 10_000)
"""Decisions a second, all day long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What the model takes for granted; each with its reason in the comment beside it.

    Attributes
    ----------
    reports : float
        Outcomes and labels for one decision; one asks for what a label does.
    read_ms, write_ms, transact_ms, put_events_ms : float
        One call from a function, there and back.
    merchant_share, bin_share : float
        Of all payments, by the busiest merchant and the busiest BIN.
    kept_months : int
        How long the ledger has run when its storage is counted; nothing of it expires.
    traced : float
        Share of requests that X-Ray records.
    busy : float
        Share of provisioned capacity that is used, on the whole.
    job_start_seconds, copied_a_second : float
        Until a job's machines are there; bytes of its inputs that each of them then copies to its disk.
    """

    # Most merchants report declines by the issuer and chargebacks, some report every outcome.
    reports: float = 0.2
    # Single-digit milliseconds are what DynamoDB promises; a batch of 16 waits for its slowest.
    read_ms: float = 6.0
    write_ms: float = 5.0
    transact_ms: float = 15.0
    put_events_ms: float = 12.0
    # An acquirer's largest merchant, a large issuer's main product.
    merchant_share: float = 0.10
    bin_share: float = 0.02
    merchants: int = 500
    kept_months: int = 12
    # Of AWS's default sampling rule: 5 %, beside one a second.
    traced: float = 0.05
    # The target of auto scaling that AWS proposes.
    busy: float = 0.7
    # The world's cards pay about so often; states and markers live for two retentions of 91 days.
    payments_of_card_in_month: float = 4.0
    state_months: float = 6.0
    # Bytes of a decision as Parquet with Snappy; of an answer with its headers.
    parquet_bytes: int = 900
    answer_bytes: int = 1_000
    # Backtests of merchants, each over what the lake's partitions let it skip to.
    backtest_gb_a_day: float = 50.0
    # A guess of what is usual, and what the smallest disk of today's kind (gp3) writes.
    job_start_seconds: float = 300.0
    copied_a_second: float = 125e6


ASSUMED = Assumptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function on the way of a transaction.

    Attributes
    ----------
    memory : int
        MB, as deployed; a test compares it with the template.
    own_ms : float
        Processor time of our code for one invocation, at this memory.
    own_ms_each : float
        More for each event in it.
    slow : float
        The 99th percentile of a duration, in multiples of its mean.
    log_bytes : int
        Of an invocation: Lambda's own lines, ours, and the metrics.
    """

    name: str
    memory: int
    own_ms: float
    own_ms_each: float = 0.0
    slow: float = 3.0
    log_bytes: int = 1_800


# Times of our own code are those of docs/benchmarks.md, divided by the share of a processor that the memory brings
# (a whole one at 1,769 MB): 4.0 ms for a decision with all that the clients do, 0.85 ms for a fold and 0.1 ms to
# read
# its message. The times of the others are guesses after these.
FUNCTIONS = {
    each.name: each
    for each in (
        Function(name="score_transaction", memory=1_769, own_ms=4.0, log_bytes=2_300),
        Function(name="authorize_merchant", memory=512, own_ms=4.0),
        Function(name="relay_decisions", memory=512, own_ms=3.0, own_ms_each=0.15),
        Function(name="update_features", memory=1_024, own_ms=2.0, own_ms_each=1.65, log_bytes=2_500),
        Function(name="record_label", memory=512, own_ms=5.0),
    )
}
"""By name; record_label stands for record_outcome too."""

ACCESS_LOG_BYTES = 450
"""Of API Gateway's access log, a request."""


@dataclass(frozen=True)
class Work:
    """What was measured: `document` is measured.json."""

    document: dict[str, Any]

    def units(self, what: str, table: str, *operations: str) -> float:
        """Read or write units of an average event, such as of a ``decision``, by some operations on a table."""
        return sum(self._of(what, table, operation)["units"] for operation in operations)

    def items(self, what: str, table: str, operation: str) -> float:
        return self._of(what, table, operation)["items"]

    def size(self, what: str, which: str = "mean") -> int:
        """Bytes; `which` is mean, p50, p99 or most."""
        found: int = self.document["sizes"][what][which]
        return found

    def folding(self, batch: int) -> str:
        """The name of what was measured of folding decisions, for so many at once."""
        return f"fold a decision, {1 if batch < 5 else 10} at once"

    def _of(self, what: str, table: str, operation: str) -> dict[str, float]:
        found: dict[str, float] = self.document[what].get(f"{operation} {table}", {"items": 0.0, "units": 0.0})
        return found


@cache
def work() -> Work:
    """What was measured last."""
    return Work(json.loads(MEASURED.read_text(encoding="utf-8")))
