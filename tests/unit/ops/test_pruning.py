"""The end of old versions: those that serve, or may serve again, stay."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from ops import pruning
from ops.cli import app
from ops.versions import Code, Version, code_of, spare
from tests.unit.ops.test_rollback import publish, versioned


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with versioned(monkeypatch, pruning) as made:
        yield made


def run(*words: str, answer: str = "") -> Any:
    return CliRunner().invoke(app, ["prune-versions", *words], input=answer)


def there(deployment: Any) -> list[int]:
    return [each.number for each in code_of(deployment, "score_transaction").versions]


def test_old_versions_go_and_those_that_may_serve_again_stay(deployment: Any) -> None:
    for number in (4, 5):
        publish(deployment, number)
    told = run("--dry-run").output
    assert "score_transaction: 5 is live; to delete: 2, 1" in told
    # It has no alias: queues call its newest code.
    assert "update_features" not in told
    assert run(answer="n\n").exit_code == 1
    assert there(deployment) == [5, 4, 3, 2, 1]
    assert deployment.told == []
    done = run("--yes")
    assert done.exit_code == 0, done.exception
    assert there(deployment) == [5, 4, 3]
    [(*said, more)] = deployment.told
    assert said == ["code", "prune"]
    assert more == {"of": deployment.name, "before": {"versions": [2, 1]}, "after": {"live": 5}}
    assert run().exit_code == 0
    assert there(deployment) == [5, 4, 3]
    assert deployment.live() == "5"


def numbers(code: Code, **changed: Any) -> list[int]:
    return [each.number for each in spare(replace(code, **changed))]


def test_what_is_newer_and_what_a_roll_back_goes_to_stay() -> None:
    versions = [Version(number, "", "", "Active") for number in (6, 5, 4, 3, 2, 1)]
    code = Code(
        name="f", live=6, versions=versions, shared=False, described="", revision="", arn="", left=frozenset()
    )
    assert numbers(code) == [3, 2, 1]
    assert numbers(code, live=4) == [1]
    assert numbers(code, left={5, 4, 3}) == [3, 1]
    assert numbers(code, live=2) == []
