"""A backtest over as many decisions as there are."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fraud.backtest import Draft, Past, backtest
from fraud.features import STANDARD
from fraud.policy import Policy
from fraud.rules import Rules
from fraud.windows import DAY
from lambdas.backtest_rules.models import USUAL_DAYS, BacktestAnswer
from lambdas.backtest_rules.past import PastDecisions, Window, count_of, span_of
from lambdas.backtest_rules.trying import draft_of, written
from ops.deployment import Deployment
from ops.lake import lake_of
from ops.measures import serving_profile
from runtime.athena import QueryError, TooSlowError, quoted
from runtime.configuration import current
from runtime.contract.settings import PolicyRequest
from runtime.http import Problem
from runtime.stores.settings import DynamoSettingsStore

__all__ = ["BacktestError", "last_of", "read_document", "show_past", "try_draft"]

LONGEST = 1_800.0
"""Seconds: Athena itself gives a query up after half an hour."""

_STEP = 1_000

type Progress = Callable[[str, int, int], None]


class BacktestError(ValueError):
    """A draft cannot be tried; the message says why, and what to do."""


def read_document[T: Rules | PolicyRequest](path: Path, kind: type[T]) -> T:
    """Rules or a policy from a file, in the JSON that ``PUT /v1/rules`` and ``PUT /v1/policy`` take.

    Raises
    ------
    BacktestError
        If the file is not there, or is something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise BacktestError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        name, call = ("rules", "PUT /v1/rules") if kind is Rules else ("policy", "PUT /v1/policy")
        raise BacktestError(f"{path}: {error}; write the {name} as the body of {call}") from None


def try_draft(
    deployment: Deployment,
    merchant_id: str,
    rules: Rules | None,
    policy: PolicyRequest | None,
    *,
    since: int | None,
    until: int | None,
    now: int,
    progress: Progress,
) -> BacktestAnswer:
    """What the merchant's draft would have done; what is left out is as the merchant has it now.

    Parameters
    ----------
    since, until : int, optional
        Of the decisions, in ms since the epoch; the 30 days before `now` by default.
    progress : callable
        Told what is being done, how much of it is done, and how much there is; 0 for what nobody knows.

    Raises
    ------
    BacktestError
        If the draft cannot be kept, there is nothing to try it on, or the lake cannot be read.
    """
    end = now if until is None else until
    window = Window(
        merchant_id,
        end - USUAL_DAYS * DAY if since is None else since,
        end,
        replays=deployment.environment.replay_time,
    )
    _check(window)
    store = DynamoSettingsStore(deployment.client("dynamodb"), deployment["SettingsTable"])

    def platform() -> Policy:
        return current(deployment.client("appconfigdata"), serving_profile(deployment)).policy

    try:
        draft = draft_of(merchant_id, rules, policy, store, platform, STANDARD)
    except Problem as problem:
        where = str(problem.body.get("field", "")).removeprefix("rules.")
        raise BacktestError(f"{where}: {problem.body['detail']}") from None
    found, report = show_past(
        deployment, window, draft, lambda past: backtest(past, draft), progress, remedy="use --since and --until"
    )
    return BacktestAnswer(
        since=written(window.since),
        until=written(window.until),
        found=found,
        share=report.decisions / found,
        report=report,
    )


def last_of(deployment: Deployment, merchant_id: str) -> int | None:
    """The time of a merchant's last decision in the lake, in ms since the epoch; None if there is none.

    Raises
    ------
    BacktestError
        If the lake cannot be read.
    """
    with _reading():
        _, last = next(lake_of(deployment).rows(span_of(merchant_id), until=time.monotonic() + LONGEST))
    return None if last is None else int(last)


def show_past[T](
    deployment: Deployment,
    window: Window,
    draft: Draft,
    ask: Callable[[Iterator[Past]], T],
    progress: Progress,
    *,
    remedy: str,
) -> tuple[int, T]:
    """Show past decisions, in the order of their events, to somebody who tells something of them.

    Parameters
    ----------
    draft : Draft
        Says what has to be read of each.
    remedy : str
        What to do if the merchant's decisions lie in another time.

    Returns
    -------
    int, T
        How many there are, and what is told of them.

    Raises
    ------
    BacktestError
        If there are none, or the lake cannot be read.
    """
    lake, limit = lake_of(deployment), time.monotonic() + LONGEST
    with _reading():
        progress("counting", 0, 0)
        found = int(next(lake.rows(count_of(window), until=limit))[0] or 0)
        if not found:
            span = next(lake.rows(span_of(window.merchant_id), until=limit))
            raise BacktestError(_nothing(window, span, remedy))
        progress("querying", 0, found)
        past = PastDecisions(window, draft, STANDARD.names)
        decisions = past.read(lake.rows(past.sql(), until=limit))
        return found, ask(_counted(decisions, found, progress))


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (QueryError, TooSlowError) as error:
        raise BacktestError(f"the lake cannot be read: {error}; try a shorter time") from error


def _check(window: Window) -> None:
    try:
        quoted(window.merchant_id)
    except ValueError:
        raise BacktestError(
            "that is no merchant id; `paywarden merchants list` shows those that there are"
        ) from None
    if not 0 <= window.since < window.until:
        raise BacktestError("--since is not before --until; name a time that has passed and its end")


def _nothing(window: Window, span: list[str | None], remedy: str) -> str:
    first, last = span
    if first is None or last is None:
        whose = f"the lake has no decision of merchant {window.merchant_id}"
        return f"{whose}; check the id, or wait: decisions are there some minutes after they were made"
    days = " and ".join(
        f"{datetime.fromtimestamp(int(each) / 1_000, UTC):%Y-%m-%d %H:%M}" for each in (first, last)
    )
    return f"no decision lies in this time; the merchant's lie between {days} (UTC): {remedy}"


def _counted(decisions: Iterable[Past], found: int, progress: Progress) -> Iterator[Past]:
    for number, each in enumerate(decisions):
        if number % _STEP == 0:
            progress("judging", number, found)
        yield each
