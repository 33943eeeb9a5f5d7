"""No client waits longer than Lambda lets its function: who is ended tells nobody and counts nothing."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.environments import PROD
from lambdas.score_transaction import batch, models
from runtime import clients
from tests.infra.conftest import FUNCTIONS

LAMBDAS = Path(__file__).resolve().parents[2] / "lambdas"
SERVICES = frozenset(clients.__all__) - {"DOGGED", "PATIENT", "STEADY", "brief", "disconnect"}


def made(verb_noun: str) -> Iterator[tuple[str, Any]]:
    """The clients of a function, as its code makes them."""
    known = {"clients": clients, "patience": PROD.store_patience_ms / 1_000}
    for path in sorted((LAMBDAS / verb_noun).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"clients.{each}" for each in SERVICES}:
                call = ast.unparse(node)
                yield call, eval(call, known)  # noqa: S307 - our own code


def longest(client: Any) -> float:
    """Seconds until a client gives up on a call that nobody answers, its pauses between the tries included."""
    config = client.meta.config
    tries = config.retries["total_max_attempts"]
    pauses = sum(2**each for each in range(tries - 1))
    return float(tries * (config.connect_timeout + config.read_timeout) + pauses)


@pytest.mark.parametrize("verb_noun", FUNCTIONS)
def test_every_client_gives_up_before_its_function_is_ended(
    verb_noun: str, platform: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    found = {call: longest(client) for call, client in made(verb_noun)}
    assert found
    limit = platform("prod").function(verb_noun)["Timeout"]
    # A second is left to tell of it.
    assert {call: seconds for call, seconds in found.items() if seconds > limit - 1} == {}


def test_a_batch_is_answered_though_all_of_aws_hangs(
    platform: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    call, read = (
        longest(clients.dynamodb()),
        longest(clients.dynamodb(clients.brief(PROD.store_patience_ms / 1_000))),
    )
    keys, model = longest(clients.secretsmanager()), models._HURRY
    seconds = model + keys + batch._READING + 2 * read + batch._WRITING + call
    assert seconds < platform("prod").function("score_transaction")["Timeout"] - 1


def test_what_the_kinds_of_patience_say_of_themselves_is_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    kinds = (clients.brief(0.15), clients.STEADY, clients.DOGGED, clients.PATIENT)
    assert [longest(clients.s3(kind)) for kind in kinds] == [0.3, 7, 13, 99]
