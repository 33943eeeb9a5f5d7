"""Every option is explained, and what goes wrong is told in whole sentences, to people."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.testing import CliRunner
from urllib3.exceptions import LocationValueError

from ops import cli
from ops.cli import app, main
from ops.deployment import DeploymentError
from ops.inputs import MappingError
from ops.merchants import MerchantIdError
from ops.retraining import RetrainingError
from runtime.configuration import ConfigurationError
from runtime.stores.batches import UnprocessedError

WIDE = {"COLUMNS": "300"}


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    for name, child in children.items():
        yield from _leaves(child, (*path, name))


LEAVES = dict(_leaves(typer.main.get_command(app)))


def _ids(paths: list[tuple[str, ...]]) -> list[str]:
    return [" ".join(path) for path in paths]


@pytest.mark.parametrize("path", list(LEAVES), ids=_ids(list(LEAVES)))
def test_help_explains_the_command_and_every_option(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*path, "--help"], env=WIDE)
    assert done.exit_code == 0
    command = LEAVES[path]
    assert command.help
    assert command.help.splitlines()[0].rstrip(".:") in done.output
    for parameter in command.params:
        assert len(parameter.help.split()) >= 3, f"{parameter.name} is not explained"
        shown = parameter.opts[0] if parameter.opts[0].startswith("--") else parameter.name
        assert shown.lower() in done.output.lower()


@pytest.mark.parametrize("group", [[], ["merchants"], ["features"]])
def test_a_group_alone_shows_what_there_is(group: list[str]) -> None:
    done = CliRunner().invoke(app, group, env=WIDE)
    depth = len(group)
    for path in LEAVES:
        if list(path[:depth]) == group:
            assert path[depth] in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "x.csv", "--mapping", "handbook"],
        ["import", "x.csv"],
        ["send", "x.csv", "--mapping", "handbook", "--key", "k", "--threads", "0"],
        ["merchants", "add"],
        ["train", "--as-of", "soon"],
        ["nothing"],
    ],
)
def test_a_wrong_call_names_what_is_wrong(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments, env=WIDE | {"PAYWARDEN_KEY": ""})
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert "--help" in done.output


def _told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception) -> str:
    """What `paywarden url` says when finding the deployment ends with an error."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(cli, "connect", fail)
    monkeypatch.setattr(sys, "argv", ["paywarden", "url"])
    monkeypatch.setattr(cli.console, "width", 400)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    return told.err


@pytest.mark.parametrize(
    "error",
    [
        DeploymentError("the local cloud does not answer on port 1; start it with `make up`"),
        MappingError("m.toml: [amount] unit is missing; write 'major' (euros) or 'minor' (cents)"),
        MappingError("[/tmp/x].csv: there is no such file"),
        RetrainingError("run r ended as FAILED: [bold] [/] [link=x]"),
        MerchantIdError("'a/b' is no merchant id: use 1 to 64 letters, digits, '-', '_', '.', ':'"),
        ConfigurationError("nothing is deployed under the serving profile; deploy the data stack first"),
    ],
    ids=lambda error: str(error)[:20],
)
def test_an_error_is_told_word_for_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert str(error) in _told(monkeypatch, capsys, error)


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no [dynamodb] for you"}}, "Scan"),
        EndpointConnectionError(endpoint_url="https://x"),
        LocationValueError("no host"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_aws_refuses_comes_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    told = _told(monkeypatch, capsys, error)
    assert str(error) in told
    assert "check your permissions and the network" in told


def test_a_throttled_table_asks_for_patience(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _told(monkeypatch, capsys, UnprocessedError("features: keys stayed unread"))
    assert "features: keys stayed unread: wait some minutes, then run this again" in told


def test_a_mistake_of_ours_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "connect", fail)
    monkeypatch.setattr(sys, "argv", ["paywarden", "url"])
    with pytest.raises(ZeroDivisionError):
        main()
