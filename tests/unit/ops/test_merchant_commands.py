"""`paywarden merchants`: the key and nothing else on standard output, the rest in words for people."""

from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fraud.windows import DAY, HOUR, MINUTE, SECOND
from ops import terminal
from ops.cli import app
from ops.merchants import commands
from tests.unit.ops.test_merchants import NOW, Deployment


class Clock:
    now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(commands, "now", clock)
    monkeypatch.setattr(terminal.console, "width", 300)
    return clock


@pytest.fixture
def deployment(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Any:
    del clock
    deployment = Deployment("prod")
    monkeypatch.setattr(commands, "connect", lambda _env, **_options: deployment)
    return deployment


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["merchants", *arguments], env={"COLUMNS": "300"})


def done(*arguments: str) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def test_a_key_is_alone_on_standard_output(deployment: Any) -> None:
    added = done("add", "shop-1", "--plan", "high")
    (key,) = deployment.store.account("shop-1").keys
    assert added.stdout.startswith(f"pw_{key.key_id}_")
    assert added.stdout.count("\n") == 1
    assert added.stdout.strip() not in added.stderr
    assert "plan high" in added.stderr
    rotated = done("rotate", "shop-1")
    assert rotated.stdout.count("\n") == 1
    assert f"Key {key.key_id} lives on for 1 d:" in rotated.stderr


def test_the_list_tells_the_state_of_every_key_and_no_secret(deployment: Any, clock: Clock) -> None:
    secrets = [done("add", "shop-1").stdout.strip(), done("add", "shop-2").stdout.strip()]
    secrets += [done("rotate", "shop-1", "--grace", "2h").stdout.strip()]
    clock.now += HOUR - SECOND
    shown = done("list").stderr
    assert shown.count("shop-1") == 1
    assert "live, expires in 1 h" in shown
    clock.now += HOUR + SECOND
    done("disable", "shop-2")
    lines = done("list").stderr.splitlines()

    def line(secret: str) -> str:
        (found,) = [each for each in lines if secret[3:15] in each]
        return found

    assert [word in line(secret) for word, secret in zip(("expired", "disabled", "live"), secrets, strict=True)]
    assert "standard" in line(secrets[0])
    for secret in secrets:
        assert secret[16:] not in shown + "\n".join(lines)
    assert len(deployment.store.accounts()) == 2


def test_how_long_an_ended_key_may_go_on_is_told_if_it_may(deployment: Any) -> None:
    done("add", "shop-1")
    assert "seconds" not in done("rotate", "shop-1", "--now").stderr
    deployment.gateway.failing = {"FlushStageAuthorizersCache"}
    assert "up to 60 more seconds" in done("rotate", "shop-1", "--now").stderr
    assert "up to 60 more seconds" in done("disable", "shop-1").stderr
    assert "up to 60 more seconds" in done("plan", "shop-1", "high").stderr


def test_what_was_so_already_is_told_as_such(deployment: Any) -> None:
    del deployment
    key_id = done("add", "shop-1").stdout[3:15]
    assert "is disabled" in (first := done("disable", "shop-1", "--key", key_id).stderr)
    assert "no live key left: `paywarden merchants rotate shop-1`" in first
    assert "was already disabled" in done("disable", "shop-1", "--key", key_id).stderr
    assert "is disabled" in done("disable", "shop-1").stderr
    assert "live keys: none" in done("enable", "shop-1").stderr
    assert f"live keys: {key_id}" in done("enable", "shop-1", "--key", key_id).stderr
    assert "was already enabled" in done("enable", "shop-1").stderr
    assert "was already in the plan standard" in done("plan", "shop-1", "standard").stderr


@pytest.mark.parametrize("grace", ["0h", "soon", "-1h", "31d", "24"])
def test_a_grace_that_makes_no_sense_makes_no_key(deployment: Any, grace: str) -> None:
    done("add", "shop-1")
    assert run("rotate", "shop-1", "--grace", grace).exit_code == 2
    assert run("rotate", "shop-1", "--grace", "1h", "--now").exit_code == 2
    assert len(deployment.store.account("shop-1").keys) == 1


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (2 * DAY + 3 * HOUR + 5 * MINUTE, "2 d 3 h"),
        (DAY, "1 d"),
        (DAY - 1, "23 h 59 min"),
        (HOUR + 59 * SECOND, "1 h"),
        (61 * SECOND, "1 min 1 s"),
        (999, "0 s"),
    ],
)
def test_a_time_to_come_is_told_in_two_units(span: int, told: str) -> None:
    assert commands._span(span) == told
