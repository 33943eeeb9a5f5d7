"""The moments of a request, each as its source tells it."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from fraud.decision import label_row, outcome_row
from fraud.events import Label, Outcome, Transaction
from infra.environments import LOCAL, PROD
from ops.cli import app
from ops.tracing import commands, following
from ops.tracing.errors import TraceError
from ops.tracing.following import follow, spans
from ops.tracing.moments import Moment, folded, lake_rows, ledger_lines, log_line
from runtime.stores.decisions import Record

PAYMENT = Transaction(
    transaction_id="t", merchant_id="m", event_time=1, amount=1, currency="EUR", card="c", customer="u"
)


def record(kind: str, row: dict[str, Any]) -> Record:
    return Record("m/t", kind, "digest", "{}", json.dumps(row))


def line(message: str, **more: object) -> dict[str, Any]:
    document = {"level": "INFO", "message": message, "service": "s", "xray_trace_id": "1-a-b", **more}
    return {"timestamp": 5, "message": json.dumps(document)}


def test_lines_of_the_ledger_are_told_by_their_events() -> None:
    label = Label(transaction=PAYMENT, kind="chargeback", known_at=2)
    outcome = Outcome(transaction=PAYMENT, kind="declined", event_time=2)
    before = {name: value for name, value in label_row(label, 9).items() if name != "correlation_id"}
    found = list(
        ledger_lines(
            [
                record("label#0001", label_row(label, 7, "b")),
                record("outcome#declined", outcome_row(outcome, 8, "c")),
                record("label#fraud", before),
            ]
        )
    )
    assert found == [
        Moment(7, "ledger", "label#0001: chargeback", label.event_id, "b"),
        Moment(8, "ledger", "outcome#declined: declined", outcome.event_id, "c"),
        Moment(9, "ledger", "label#fraud: chargeback", label.event_id, ""),
    ]


def test_a_marker_tells_how_long_it_took() -> None:
    item = {"recorded_at": {"N": "100"}, "applied_at": {"N": "350"}}
    assert list(folded("m/t", item)) == [
        Moment(350, "features", "folded in, 250 ms after it was recorded", "m/t"),
    ]
    assert list(folded("m/t", None)) == []


def test_rows_of_the_lake_are_told_by_table_and_day() -> None:
    row = {"event_id": "m/t", "recorded_at": "12", "day": "2026-01-01", "correlation_id": "a"}
    assert list(lake_rows("decisions", [row])) == [Moment(12, "lake", "in decisions, day 2026-01-01", "m/t", "a")]


def test_a_line_of_a_log_is_told_without_what_stands_in_every_line() -> None:
    found = log_line("relay_decisions", "a", line("relayed", records=3, failed=0, correlation_ids=["a", "b"]))
    assert found == Moment(5, "relay_decisions", "relayed records=3 failed=0", "", "a")
    assert found.trace == "1-a-b"
    assert log_line("score_transaction", "a", line("decided", correlation_id="a")) is not None


@pytest.mark.parametrize(
    "event",
    [
        line("decided", correlation_id="ab"),
        line("relayed", correlation_ids=["ab"]),
        line("a"),
        {"timestamp": 1, "message": "START RequestId: a"},
        {"timestamp": 1, "message": "[1]"},
        {"timestamp": 1, "message": '{"_aws": {}, "service": "a"}'},
    ],
)
def test_what_only_holds_the_letters_of_the_id_is_anothers(event: dict[str, Any]) -> None:
    assert log_line("f", "a", event) is None


def test_logs_are_searched_around_moments_and_each_stretch_once() -> None:
    assert spans([]) == []
    assert spans([1_000_000, 1_500_000, 9_000_000]) == [(100_000, 2_400_000), (8_100_000, 9_900_000)]


class Deployed:
    """What knows of a payment: the lake has its decision, its log one line."""

    def __init__(self, environment: Any) -> None:
        self.environment, self.searched = environment, list[tuple[int, int]]()

    def __getitem__(self, name: str) -> str:
        return name

    def client(self, _service: str) -> Any:
        return self

    def get_paginator(self, operation: str) -> Any:
        assert operation == "filter_log_events"
        return self

    def query(self, **_asked: Any) -> dict[str, Any]:
        return {"Items": []}

    def paginate(self, *, startTime: int, endTime: int, **_asked: Any) -> list[dict[str, Any]]:  # noqa: N803 - AWS's names
        self.searched.append((startTime, endTime))
        return [{"events": [line("decided", correlation_id="a")]}]


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, str]]]:
    rows: dict[str, list[dict[str, str]]] = {}
    monkeypatch.setattr(following, "query", lambda _deployment, sql: rows.get(sql.split()[6], []))
    monkeypatch.setattr(following, "log_groups", lambda _deployment: {"score_transaction": "group"})
    monkeypatch.setattr(following, "now", lambda: 90_000_000)
    return rows


def test_the_whole_log_is_searched_only_where_no_moment_is_known(lake: dict[str, list[dict[str, str]]]) -> None:
    prod: Any = Deployed(PROD)
    assert [each.where for each in follow(prod, "a", since=7)] == ["score_transaction"]
    assert prod.searched == [(7, 90_900_000)]
    lake["decisions"] = [
        {"event_id": "m/t", "recorded_at": "80000000", "day": "1970-01-01", "correlation_id": "a"}
    ]
    prod = Deployed(PROD)
    assert [each.where for each in follow(prod, "a", since=7)] == ["score_transaction", "lake"]
    assert prod.searched == [(79_100_000, 80_900_000)]
    # Its payments bring their own times, which are not those of its lines.
    local: Any = Deployed(LOCAL)
    follow(local, "a", since=7)
    assert local.searched == [(7, 90_900_000)]


def test_who_reads_a_trace_is_told_where_logs_were_not_read(
    lake: dict[str, list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = Deployed(PROD)
    monkeypatch.setattr(commands, "connect", lambda _env, **_port: deployed)

    def told() -> str:
        return CliRunner().invoke(app, ["trace", "a", "--env", "prod"], env={"COLUMNS": "200"}).output

    only = "read only around these moments; `paywarden logs FUNCTION --containing ID --minutes N --env prod`"
    assert "decided" in told()
    assert only not in told()
    lake["decisions"] = [
        {"event_id": "m/t", "recorded_at": "80000000", "day": "1970-01-01", "correlation_id": "a"}
    ]
    assert only in told()
    deployed.environment = LOCAL
    assert only not in told()


def test_an_id_that_nobody_knows_is_told_with_what_to_do(lake: dict[str, list[dict[str, str]]]) -> None:
    del lake
    deployed: Any = Deployed(PROD)
    with pytest.raises(TraceError, match="five minutes behind in staging and prod"):
        follow(deployed, "b", since=7)
