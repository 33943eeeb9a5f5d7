"""A merchant's past decisions, as the lake has them: as few columns and rows of them as a draft needs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

from fraud.backtest import Draft, Past
from fraud.events import Transaction
from fraud.judgement import SPOKEN
from fraud.policy import Action
from runtime.athena import Row, quoted

__all__ = ["PastDecisions", "Window", "count_of", "part_of", "span_of"]

# A prime that leaves 2 when divided by 3: taking the third power then changes places among the numbers below it,
# so that regular times are spread like any others. Athena and the local cloud share no hash function of SQL.
_PRIME = 1_000_037
_STEP = 618_033

_DELIVERED = timedelta(days=2)
"""A row is in the lake by then; until then Firehose would try again."""


@dataclass(frozen=True, slots=True)
class Window:
    """Whose decisions, and of which time.

    Attributes
    ----------
    since, until : int
        since <= event_time < until, in milliseconds since the epoch, UTC.
    replays : bool
        Whether payments can have times of their own. If not, the lake's days tell which files to leave unread.
    """

    merchant_id: str
    since: int
    until: int
    replays: bool = False

    @property
    def condition(self) -> str:
        """What the decisions fulfil, in SQL."""
        of_time = f"event_time >= {self.since:d} AND event_time < {self.until:d}"
        return f"merchant_id = {quoted(self.merchant_id)} AND {of_time}{self._days(_day(self.until, _DELIVERED))}"

    @property
    def label_condition(self) -> str:
        """What the labels of those decisions fulfil, in SQL, however late they came."""
        return f"merchant_id = {quoted(self.merchant_id)}{self._days('')}"

    def _days(self, last: str) -> str:
        if self.replays:
            return ""
        return f" AND day >= {quoted(_day(self.since))}" + (f" AND day <= {quoted(last)}" if last else "")


class PastDecisions:
    """The query for past decisions, and what its rows say.

    Parameters
    ----------
    features : sequence of str
        The names of all features that there are.
    """

    def __init__(self, window: Window, draft: Draft, features: Sequence[str]) -> None:
        self._window = window
        needs = frozenset(draft.rulebook.needs)
        self._spoken = tuple(name for name in SPOKEN if name in needs and name != "currency")
        self._features = tuple(name for name in features if name in needs and name not in ("amount", *SPOKEN))
        self._lists = tuple(each.name for each in draft.lists if each.enabled)

    def sql(self, part: int | None = None) -> str:
        """All of them in the order of their events, or a part, as `part_of` gives it."""
        columns = [
            *(f"d.{name}" for name in (*_ALWAYS, *self._spoken)),
            "l.is_fraud",
            *(f"contains(d.lists, {quoted(name)})" for name in self._lists),
            # Athena refuses a key that a map does not have, where the local cloud has no other way to ask.
            *(f"TRY(d.features[{quoted(name)}])" for name in self._features),
        ]
        chosen = "" if part is None else f" AND {_SAMPLE} < {part:d}"
        # Athena's parameters stand for values only, and the local cloud has none: every text here went through
        # `quoted`, every number through `:d`, and the names are our own.
        return (
            f"SELECT {', '.join(columns)} FROM decisions AS d LEFT JOIN (SELECT transaction_id, "  # noqa: S608 - texts are `quoted`, numbers `:d`
            f"max_by(is_fraud, known_at) AS is_fraud FROM labels WHERE {self._window.label_condition} "
            f"GROUP BY transaction_id) AS l ON l.transaction_id = d.transaction_id "
            f"WHERE {self._window.condition}{chosen} "
            "ORDER BY d.event_time, d.event_id"
        )

    def read(self, rows: Iterable[Row], refused: Callable[[], None] = lambda: None) -> Iterator[Past]:
        """The decisions of the query's rows, each once: the lake may have some of them several times.

        Parameters
        ----------
        refused : callable
            Told of each row that holds no decision.
        """
        before = None
        for row in rows:
            if row[0] == before:
                continue
            before = row[0]
            try:
                yield self._past(row)
            except (TypeError, ValueError, KeyError):
                refused()

    def _past(self, row: Row) -> Past:
        _, name, time, amount, currency, decision, score, *more = row
        texts = {each: more[place] or "" for place, each in enumerate(self._spoken)}
        is_fraud, *rest = more[len(self._spoken) :]
        listed, numbers = rest[: len(self._lists)], rest[len(self._lists) :]
        return Past(
            transaction=Transaction(
                transaction_id=name or "",
                merchant_id=self._window.merchant_id,
                event_time=int(time or ""),
                amount=int(amount or ""),
                currency=currency or "",
                card="",
                customer="",
                **texts,
            ),
            decision=_ACTIONS[decision or ""],
            score=None if score is None else float(score),
            lists=tuple(each for each, on in zip(self._lists, listed, strict=True) if on == "true"),
            features={
                each: float(number)
                for each, number in zip(self._features, numbers, strict=True)
                if number is not None
            },
            is_fraud=None if is_fraud is None else is_fraud == "true",
        )


_ALWAYS = ("event_id", "transaction_id", "event_time", "amount", "currency", "decision", "score")
_ACTIONS: dict[str, Action] = {each: each for each in get_args(Action)}
_MIXED = f"mod(mod(d.event_time, {_PRIME}) * {_STEP} + mod(d.amount, {_PRIME}), {_PRIME})"
_SAMPLE = f"mod(mod({_MIXED} * {_MIXED}, {_PRIME}) * {_MIXED}, {_PRIME})"


def count_of(window: Window) -> str:
    """How many decisions there are, in SQL."""
    return f"SELECT count(DISTINCT event_id) AS n FROM decisions WHERE {window.condition}"  # noqa: S608 - texts are `quoted`, numbers `:d`


def span_of(merchant_id: str) -> str:
    """The times of a merchant's first and last decision, in SQL; nothing where there is none."""
    mine = f"merchant_id = {quoted(merchant_id)}"
    return f"SELECT min(event_time), max(event_time) FROM decisions WHERE {mine}"  # noqa: S608 - texts are `quoted`, numbers `:d`


def part_of(found: int, most: int) -> int | None:
    """Which part of the decisions to ask for, so that hardly ever more than `most` come; None for all of them."""
    return None if found <= most else int(0.97 * most / found * _PRIME)


def _day(ms: int, later: timedelta = timedelta()) -> str:
    return f"{datetime.fromtimestamp(ms / 1_000, UTC) + later:%Y-%m-%d}"
