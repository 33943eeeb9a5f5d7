"""The demo's world: a history to learn from, then days of live traffic in which fraud changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from fraud.events import LabelKind
from ops.inputs.campaigns import attacks
from ops.inputs.population import build_population
from ops.inputs.randomness import stream
from ops.inputs.rows import Row
from ops.inputs.traffic import DAY_MS, MERCHANTS, Draft, ordinary

__all__ = ["DEFAULT_SEED", "MERCHANTS", "World", "WorldOptions", "build_world"]

DEFAULT_SEED = 4
_HOUR_MS = 3_600_000
_LOOKS_LIKE_FRAUD = {"game burst", "retry", "big ticket", "agency", "travel", "gift abroad", "new phone"}


@dataclass(frozen=True, kw_only=True)
class WorldOptions:
    """The size and the mixture of a world.

    Attributes
    ----------
    start : int
        Milliseconds since the epoch, UTC, of the first day's midnight, which is a Monday's.
    history_fraud, live_fraud : mapping of str to int
        Fraudulent payments per kind of campaign in each part (names: `ops.inputs.campaigns.CAMPAIGNS`).
        What the history hardly knows and the live part is full of is what a new model can learn.
    reported_genuine : float
        Share of genuine payments that somebody confirms as genuine.
    silence_days : float
        After how long without a complaint any other genuine payment is taken for genuine.
    """

    start: int = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 1_000
    customers: int = 1_100
    history_days: int = 42
    history_rows: int = 12_000
    live_days: int = 11
    live_rows: int = 3_000
    history_fraud: Mapping[str, int] = field(
        default_factory=lambda: {
            "card testing": 190,
            "stolen card": 200,
            "lost card": 45,
            "friendly fraud": 45,
            "account takeover": 6,
            "ticket resale": 5,
        }
    )
    live_fraud: Mapping[str, int] = field(
        default_factory=lambda: {
            "card testing": 14,
            "stolen card": 20,
            "lost card": 4,
            "friendly fraud": 8,
            "account takeover": 52,
            "ticket resale": 44,
            "bin attack": 28,
        }
    )
    reported_genuine: float = 0.08
    silence_days: float = 3.0

    def __post_init__(self) -> None:
        # 1970-01-01 was a Thursday.
        if self.start % DAY_MS or (self.start // DAY_MS + 3) % 7:
            raise ValueError("start must be midnight UTC of a Monday, in ms, so that weekends are weekends")
        for part, frauds, rows in (
            ("history", self.history_fraud, self.history_rows),
            ("live", self.live_fraud, self.live_rows),
        ):
            if sum(frauds.values()) >= rows:
                raise ValueError(
                    f"{part}_fraud asks for {sum(frauds.values())} frauds in {rows} rows; ask for fewer, "
                    f"or raise {part}_rows"
                )


@dataclass(frozen=True)
class World:
    """A generated world.

    Attributes
    ----------
    live_from : int
        Milliseconds since the epoch, UTC: history lies before it, live traffic from it on.
    history, live : tuple of Row
        Each in the order of events. A history row may carry a `known_at` later than `live_from`:
        nobody knew of it yet when live traffic began.
    """

    seed: int
    live_from: int
    history: tuple[Row, ...]
    live: tuple[Row, ...]
    merchants: tuple[str, ...] = MERCHANTS

    @property
    def rows(self) -> tuple[Row, ...]:
        """History and live part as one, in the order of events."""
        return self.history + self.live


def build_world(seed: int = DEFAULT_SEED, options: WorldOptions | None = None) -> World:
    """Generate a world; the same seed and options give the same bytes.

    Parameters
    ----------
    seed : int
    options : WorldOptions, optional
        Defaults: 12,000 payments in 42 days of history, then 3,000 in 11 live days.

    Examples
    --------
    >>> world = build_world(7)
    >>> len(world.history), len(world.live), world.merchants
    (12000, 3000, ('aurora', 'meridian'))
    """
    chosen = options or WorldOptions()
    days = chosen.history_days + chosen.live_days
    population = build_population(seed, size=chosen.customers, days=days)
    parts = []
    for first_day, length, rows, frauds in (
        (0, chosen.history_days, chosen.history_rows, chosen.history_fraud),
        (chosen.history_days, chosen.live_days, chosen.live_rows, chosen.live_fraud),
    ):
        drafts = ordinary(
            seed,
            population,
            start=chosen.start,
            first_day=first_day,
            days=length,
            rows=rows - sum(frauds.values()),
            # The one sale falls on the first live weekend: new to the model, and no fraud at all.
            sale_day=first_day + (5 - first_day) % 7 if first_day else None,
        )
        drafts += attacks(seed, population, start=chosen.start, first_day=first_day, days=length, quotas=frauds)
        labelled = _outcomes(drafts, stream(seed, "outcomes", first_day), chosen)
        parts.append(tuple(sorted(labelled, key=lambda row: row.order)))
    history, live = parts
    return World(seed, chosen.start + chosen.history_days * DAY_MS, history, live)


def _outcomes(drafts: list[Draft], rng: Random, options: WorldOptions) -> list[Row]:
    """Decide what becomes known of each payment, and when."""
    rows = []
    found: dict[tuple[str, str], tuple[LabelKind, float]] = {}
    for draft in drafts:
        at = draft.transaction.event_time
        if draft.is_fraud:
            # One victim, one discovery: a card's frauds of one campaign become known together.
            victim = draft.attack, draft.transaction.card
            if victim not in found:
                found[victim] = _discovery(rng, draft.scenario)
            kind, days = found[victim]
            delay = days * rng.uniform(0.95, 1.1)
            rows.append(Row(draft.transaction, True, at + round(delay * DAY_MS), kind, draft.scenario))
            continue
        reviewed = options.reported_genuine * (4 if draft.scenario in _LOOKS_LIKE_FRAUD else 1)
        if rng.random() < reviewed:
            delay = rng.lognormvariate(0, 0.7) * 14 * _HOUR_MS
            rows.append(Row(draft.transaction, False, at + round(delay), "confirmed_genuine", draft.scenario))
        else:
            known = at + round(options.silence_days * DAY_MS)
            rows.append(Row(draft.transaction, False, known, None, draft.scenario))
    return rows


def _discovery(rng: Random, scenario: str) -> tuple[LabelKind, float]:
    """How a victim finds out, and after how many days: the issuer's alert, or a statement read late."""
    if scenario != "friendly fraud" and rng.random() < 0.62:
        return "confirmed_fraud", min(4.0, 0.08 + rng.lognormvariate(0, 0.8) * 0.45)
    return "chargeback", min(40.0, 0.5 + rng.lognormvariate(0, 0.75) * 2.0)
