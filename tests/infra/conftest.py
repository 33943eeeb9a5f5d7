"""The platform, synthesized once per environment and session."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from infra.environment import Edge
from infra.environments import PROD, lookup
from infra.platform import build

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("data", "features", "scoring", "training", "monitoring")
FUNCTIONS = {
    "authorize_merchant": "scoring",
    "score_transaction": "scoring",
    "read_decision": "scoring",
    "manage_settings": "scoring",
    "backtest_rules": "scoring",
    "record_outcome": "scoring",
    "record_label": "scoring",
    "relay_decisions": "features",
    "update_features": "features",
    "keep_audit": "features",
    "plan_training": "training",
    "register_model": "training",
    "read_verdict": "training",
    "release_model": "training",
    "watch_release": "training",
    "request_approval": "training",
    "settle_approval": "training",
    "watch_drift": "training",
}


@dataclass(frozen=True)
class Synthesized:
    """One environment: its assembly, and its stacks by the part that each is."""

    folder: Path
    stacks: Mapping[str, cdk.Stack]

    def raw(self, part: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / f"{part}.template.json").read_text())
        return document

    def resources(self, part: str, type_: str) -> dict[str, dict[str, Any]]:
        """Resources of a type, by logical id."""
        found = self.raw(part)["Resources"]
        return {key: each for key, each in found.items() if each["Type"] == type_}

    def function(self, verb_noun: str) -> dict[str, Any]:
        """The properties of a function."""
        for each in self.resources(FUNCTIONS[verb_noun], "AWS::Lambda::Function").values():
            if each["Properties"]["Handler"] == f"{verb_noun}.handler.handler":
                properties: dict[str, Any] = each["Properties"]
                return properties
        raise AssertionError(f"no function {verb_noun}")

    def statements(self, part: str, role: str) -> list[dict[str, Any]]:
        """What a role, named by the beginning of its logical id, may do."""
        found: list[dict[str, Any]] = []
        for each in self.resources(part, "AWS::IAM::Policy").values():
            if any(attached["Ref"].startswith(role) for attached in each["Properties"]["Roles"]):
                found += each["Properties"]["PolicyDocument"]["Statement"]
        assert found, f"{part}: no policy of role {role}"
        return found


type Synthesizer = Callable[[str], Synthesized]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synthesizer]:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    @cache
    def synthesize(name: str) -> Synthesized:
        folder = tmp_path_factory.mktemp(f"assembly-{name}")
        app = cdk.App(outdir=str(folder), context=context, analytics_reporting=False)
        built = build(app, lookup(name))
        app.synth()
        return Synthesized(folder=folder, stacks={part: getattr(built, part) for part in PARTS})

    yield synthesize
    synthesize.cache_clear()


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    """Production's templates by part, if it were private, bound to an account as when it is deployed."""
    environment = replace(
        PROD,
        edge=Edge(private=True, callers=("10.1.0.0/16",)),
        account="123456789012",
        region="eu-west-1",
    )
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    folder = tmp_path_factory.mktemp("private")
    app = cdk.App(outdir=str(folder), context=context, analytics_reporting=False)
    build(app, environment)
    app.synth()
    assert not json.loads((folder / "manifest.json").read_text()).get("missing"), "AWS was asked"
    return {part: json.loads((folder / f"{part}.template.json").read_text()) for part in PARTS}
