"""`paywarden backtest-rules` over a lake in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner

from fraud.rules import Rules
from fraud.serving import Serving
from infra.environments import lookup
from ops.backtests import commands, trying
from ops.backtests.trying import BacktestError, read_document
from ops.cli import app
from runtime.contract.settings import PolicyRequest
from runtime.stores.settings import MemorySettingsStore
from tests.unit.lambdas.lake import AthenaClient
from tests.unit.lambdas.support import POLICY, AppConfigData
from tests.unit.lambdas.test_backtest_rules import decision, label

SPAN = ("--since", "2026-01-01", "--until", "2026-01-02")


@dataclass
class Desk:
    """A deployment whose lake and settings are in memory."""

    lake: AthenaClient = field(default_factory=AthenaClient)
    environment: Any = field(default_factory=lambda: lookup("prod"))

    def client(self, service: str) -> Any:
        return {"athena": self.lake, "appconfigdata": AppConfigData(Serving(policy=POLICY))}.get(service)

    def __getitem__(self, name: str) -> str:
        return name


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    monkeypatch.setattr(commands, "connect", lambda *_, **__: made)
    monkeypatch.setattr(trying, "DynamoSettingsStore", lambda *_: MemorySettingsStore())
    monkeypatch.setattr(commands, "console", Console(stderr=True, width=200))
    rows = [decision(f"t{number}", issuer_country="US" if number % 2 else "FR") for number in range(8)]
    made.lake.decisions = [*rows, decision("t9", score=None)]
    made.lake.labels = [label(rows[1], "chargeback"), label(rows[3], "confirmed_genuine")]
    return made


@pytest.fixture
def draft(tmp_path: Path) -> Callable[[str], str]:
    def write(when: str) -> str:
        path = tmp_path / "rules.json"
        path.write_bytes(msgspec.json.encode({"rules": [{"id": "abroad", "when": when, "action": "decline"}]}))
        return str(path)

    return write


def ask(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["backtest-rules", *arguments, "--merchant", "acme"])


@pytest.mark.usefixtures("desk")
def test_people_get_tables_with_counts_money_and_precision(draft: Callable[[str], str]) -> None:
    done = ask(draft('issuer_country == "US"'), *SPAN)
    assert done.exit_code == 0, done.output
    told = " ".join(done.stderr.split())
    assert "9 decisions from 2026-01-01 00:00 until 2026-01-02 00:00 (UTC): 4 would be others" in told
    assert "1 had no score" in told
    assert "9 → 5" in told
    assert "90.00 → 50.00" in told
    assert all(f"t{number} " in told for number in (1, 3, 5, 7))
    assert "50% (9% to 91%)" in told
    assert done.stdout == ""


@pytest.mark.usefixtures("desk")
def test_scripts_get_what_the_api_answers(draft: Callable[[str], str], tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"thresholds": {"challenge": 0.05, "review": 0.5, "decline": 0.8}}')
    done = ask(draft('issuer_country == "US"'), "--policy", str(policy), "--json", *SPAN)
    told = msgspec.json.decode(done.stdout)
    assert (told["found"], told["report"]["changed"]) == (9, 8)
    assert [each["to"] for each in told["report"]["changes"]] == ["challenge", "decline"]


def failure(*arguments: str) -> str:
    done = ask(*arguments)
    assert isinstance(done.exception, BacktestError), done.output
    return str(done.exception)


def test_what_cannot_be_tried_is_told_with_a_remedy(desk: Desk, draft: Callable[[str], str]) -> None:
    assert failure(draft('issuer_contry == "US"'), *SPAN).startswith("rules[0].when: There is no such field")
    assert "--since is not before --until" in failure("--since", "2026-01-02", "--until", "2026-01-01")
    assert "lie between 2026-01-01 10:00 and 2026-01-01 10:00" in failure("--until", "2025-01-01")
    desk.lake.decisions = []
    assert "check the id, or wait" in failure()
    desk.lake.broken = "HIVE_CURSOR_ERROR"
    assert "HIVE_CURSOR_ERROR; try a shorter time" in failure()
    done = CliRunner().invoke(app, ["backtest-rules", "--merchant", "a'b"])
    assert "no merchant id" in str(done.exception)


@pytest.mark.parametrize(
    ("content", "kind", "told"),
    [
        (b'{"rules": [{"id": "a"}]}', Rules, "PUT /v1/rules"),
        (b"{}", PolicyRequest, "PUT /v1/policy"),
        (b"\xff", Rules, "PUT /v1/rules"),
        (None, Rules, "cannot be read"),
    ],
)
def test_a_file_that_holds_no_draft_is_named(
    tmp_path: Path, content: bytes | None, kind: type[Any], told: str
) -> None:
    path = tmp_path / "draft.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BacktestError, match=told) as raised:
        read_document(path, kind)
    assert "draft.json" in str(raised.value)


def test_the_platforms_own_settings_serve_where_nothing_is_given(desk: Desk) -> None:
    desk.lake.decisions = [decision("a", score=0.9), decision("b")]
    told = msgspec.json.decode(ask("--json", *SPAN).stdout)
    assert [(each["to"], each["examples"]) for each in told["report"]["changes"]] == [("decline", ["a"])]
