"""The operators' command teaches, and its errors say what to do."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from fraud.events import Transaction
from ops.cli import app
from ops.executions import _sentence
from ops.measures import percentiles
from ops.traffic import Freshness
from runtime.stores.features import Marker, MemoryFeatureStore

COMMANDS = [
    *(
        "up",
        "down",
        "status",
        "resources",
        "url",
        *("merchants add", "merchants rotate", "merchants disable", "merchants enable"),
        *("merchants plan", "merchants join", "merchants list"),
        "import",
        "replay",
        "send",
        "train",
        "monitor",
        "demo",
        "parity",
        "backtest-rules",
        "score",
        "explain",
        "dashboards",
        "trace",
        "backtest",
        "api export",
    ),
    *("redrive", "logs", "rebuild-state", "prune-versions", "rollback model", "rollback code"),
    *("quarantine updates", "quarantine labels", "quarantine undelivered", "quarantine unrelayed"),
    *("quarantine unwithdrawn", "quarantine list", "quarantine restore"),
    *("capacity", "inventory", "restore table", "restore objects"),
    *("rules show", "rules check", "rules put", "rules versions"),
    "migrate states",
    *("policy show", "policy put", "policy versions"),
    *("labels import", "labels maturity"),
    *("lists show", "lists define", "lists remove", "lists import"),
    *("audit list", "audit show", "audit export", "audit verify", "audit keep"),
    *("models list", "models show", "models approve", "models reject", "models history"),
    *("tokens rotate", "tokens status", "tokens retire"),
    *("erase person", "erase finish", "erase status"),
    *("features list", "features show", "features diff", "features export"),
    *("features bootstrap", "features switch", "features abandon", "features status"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert len(done.output.split()) > 20


def test_no_command_is_left_out_of_this_test() -> None:
    done = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    shown = {line.split()[1] for line in done.output.splitlines() if line.startswith("│ ") and line[2].isalpha()}
    assert shown == {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["status", "--port", "1"], "make up"),
        (["status", "--env", "production"], "prod"),
        (["import", "nothing.csv", "--mapping", "nowhere.toml", "--port", "1"], "make up"),
    ],
)
def test_an_error_says_what_to_do_and_shows_no_trace(arguments: list[str], remedy: str) -> None:
    command = [Path(sys.executable).with_name("paywarden"), *arguments]
    environment = {"PATH": os.defpath, "COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 1
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_job_speaks_for_itself() -> None:
    job = {"ProcessingJobName": "run-dataset", "ExitMessage": "The train part holds 0 frauds."}
    assert _sentence(msgspec.json.encode(job).decode()) == "The train part holds 0 frauds."
    assert _sentence("no JSON") == "no JSON"
    assert _sentence("[1]") == "[1]"


def test_percentiles_are_those_of_the_values() -> None:
    found = percentiles([float(number) for number in range(101)])
    assert (found.p50, found.p95, found.p99) == (50, 95, 99)


def test_a_replay_waits_until_its_events_are_folded_and_no_longer_than_its_patience() -> None:
    store = MemoryFeatureStore()
    payment = Transaction(
        transaction_id="t", merchant_id="m", event_time=1, amount=1, currency="EUR", card="c", customer="u"
    )
    asked: list[set[str]] = []
    digests = store.digests

    def applied_when_asked_twice(names: set[str]) -> dict[str, str]:
        asked.append(set(names))
        if len(asked) == 2:
            store.commit([Marker("m/t", "d", 1, 2)], {}, expires_at=1)
        return digests(names)

    store.digests = applied_when_asked_twice  # type: ignore[assignment,method-assign]
    Freshness(store)([payment])
    assert asked == [{"m/t"}, {"m/t"}]
    Freshness(MemoryFeatureStore(), patience=0.05)([payment])
