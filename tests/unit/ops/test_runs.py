"""What `paywarden train` asks of a run, made from its options."""

from pathlib import Path
from typing import Any

import pytest
import typer

from infra.environments import LOCAL, PROD
from ops.runs import options_of


def options(*changes: str, parameters: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    environment = more.pop("environment", LOCAL)
    file = more.pop("file", None)
    return options_of(
        environment, policy_file=file, changes=list(changes), parameters=list(parameters), further=more
    )


def test_nothing_asked_is_nothing_said_but_who_asks() -> None:
    assert options(as_of=None, spot=False) == {"reason": "started by `paywarden train`"}


def test_fields_are_set_at_their_depth_and_keep_their_kind() -> None:
    found = options(
        "tuning.trials=20", "release.approval=person", "gate.minimum_gain=0.01", instances=2, spot=True
    )
    assert found["policy"] == {
        "tuning": {"trials": 20},
        "release": {"approval": "person"},
        "gate": {"minimum_gain": 0.01},
    }
    assert (found["instances"], found["spot"]) == (2, True)


def test_a_field_counts_for_more_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text('{"tuning": {"trials": 5, "seconds": 60}}')
    assert options("tuning.trials=7", file=path)["policy"] == {"tuning": {"trials": 7, "seconds": 60}}


def test_hyperparameters_are_passed_on() -> None:
    found = options(parameters=("max_depth=4", "eta=0.05", "monotone=off"))
    assert found["parameters"] == {"max_depth": 4, "eta": 0.05, "monotone": "off"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("tuning.trials", "write NAME=VALUE"),
        ("=3", "write NAME=VALUE"),
        ("tuning.trails=3", "trails"),
        ("gate.minimum_confidence=2", "minimum_confidence"),
        ("release.canary_share=0.1", "policy.release.canary_minutes"),
    ],
)
def test_what_no_run_could_hold_to_is_refused_before_one_starts(change: str, words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        options(change)


def test_the_policy_is_that_of_the_deployment_with_what_is_different() -> None:
    assert options("release.canary_share=0.02", environment=PROD)["policy"] == {"release": {"canary_share": 0.02}}


@pytest.mark.parametrize("change", ["release.approval=bounds", "gate.minimum_gain=-1", "release.canary_share=0.5"])
def test_in_production_a_looser_run_is_refused_before_it_starts(change: str) -> None:
    with pytest.raises(typer.BadParameter, match=change.partition("=")[0]):
        options(change, environment=PROD)


@pytest.mark.parametrize("content", ["[1]", "{", None])
def test_a_file_that_is_no_policy_is_told_by_its_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "policy.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(typer.BadParameter, match=r"policy\.json"):
        options(file=path)
