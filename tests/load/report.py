"""A table of the phases and a list of what held."""

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from fraud.decision import Decision
from ops.measures import percentiles
from tests.load.generator import Exchange
from tests.load.told import Told

__all__ = ["Finding", "Row", "row_of", "show", "write"]


@dataclass(frozen=True)
class Finding:
    """Whether something held, and how much was looked at or what did not."""

    name: str
    held: bool
    detail: str


@dataclass(frozen=True)
class Row:
    """A phase.

    Attributes
    ----------
    p50, p99 : float
        Milliseconds of a call, as the client saw it.
    payments : int
        How often a payment was sent in it, alone or in a batch.
    repeated : int
        How many of those were decided on before.
    """

    phase: str
    calls: int
    answered: int
    p50: float
    p99: float
    payments: int
    decided: int
    repeated: int
    degraded: int
    reused: int
    unavailable: int
    lost: int
    doubled: int


def row_of(
    phase: str,
    exchanges: Sequence[Exchange],
    items: Sequence[Told],
    lost: Collection[str],
    doubled: Collection[str],
) -> Row:
    """One phase of all that was told, which is in the order of the answers."""
    seen: set[str] = set()
    decided = repeated = degraded = 0
    for each in items:
        if not each.digest or not each.decision:
            continue
        if each.exchange.call.phase == phase:
            decided += 1
            repeated += each.event_id in seen
            if each.event_id not in seen:
                degraded += msgspec.json.decode(each.decision, type=Decision).degraded
        seen.add(each.event_id)
    own = [exchange for exchange in exchanges if exchange.call.phase == phase]
    sent = [each for each in items if each.exchange.call.phase == phase and each.digest]
    names = {each.event_id for each in sent}
    took = percentiles([exchange.milliseconds for exchange in own] * 2)
    return Row(
        phase,
        calls=len(own),
        answered=sum(exchange.status > 0 for exchange in own),
        p50=took.p50,
        p99=took.p99,
        payments=len(sent),
        decided=decided,
        repeated=repeated,
        degraded=degraded,
        reused=sum(each.status == 409 for each in sent),
        unavailable=sum(each.status == 503 for each in sent),
        lost=len(names & set(lost)),
        doubled=len(names & set(doubled)),
    )


def show(findings: Sequence[Finding], rows: Sequence[Row]) -> None:
    """The table and the list, for people."""
    heads = (
        "phase",
        "calls",
        "answered",
        "p50 ms",
        "p99 ms",
        "payments",
        "decided",
        "repeated",
        "degraded",
        "409",
        "503",
    )
    lines = [(*heads, "lost", "doubled")]
    lines += [
        tuple(f"{each:.0f}" if isinstance(each, float) else str(each) for each in asdict(row).values())
        for row in rows
    ]
    for line in lines:
        sys.stdout.write(f"{line[0]:14}" + "".join(f"{cell:>9}" for cell in line[1:]) + "\n")
    for finding in findings:
        sys.stdout.write(f"{'holds ' if finding.held else 'BROKEN'}  {finding.name}: {finding.detail}\n")


def write(findings: Sequence[Finding], rows: Sequence[Row], path: Path) -> None:
    """The same as JSON."""
    document = {"phases": [asdict(row) for row in rows], "findings": [asdict(finding) for finding in findings]}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
