"""Synth: offline, deterministic, lint-free; local is dev without what the emulator lacks."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cfnlint  # type: ignore[import-untyped]  # it ships none
import pytest

from infra.environments import DEV

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("local", "dev", "staging", "prod")
PARTS = ("data", "features", "scoring", "training", "monitoring")


def synth(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command line, with no credentials, and every way to a network a dead end."""
    dead_end = "http://127.0.0.1:9"
    return subprocess.run(
        [str(ROOT / "node_modules/.bin/cdk"), "synth", "--quiet", "--output", str(output), *arguments],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(output.parent),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": dead_end,
            "HTTP_PROXY": dead_end,
            "HTTPS_PROXY": dead_end,
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
            # The CDK's own rules judge these templates where they are made in this process; here for 10 s more.
            "CDK_VALIDATION": "false",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def documents(folder: Path) -> dict[str, Any]:
    return {
        path.name: json.loads(path.read_text())
        for path in sorted(folder.iterdir())
        if path.name.endswith((".template.json", ".assets.json"))
    }


def test_production_is_synthesized_offline_and_twice_the_same(
    platform: Callable[[str], Any], tmp_path: Path
) -> None:
    """By the command line, and by the library in this process."""
    folders = [tmp_path / "out", platform("prod").folder]
    done = synth(folders[0], "-c", "env=prod", "-c", "unpinned=true")
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (documents(folder) for folder in folders)
    assert len([name for name in first if name.endswith(".template.json")]) == len(PARTS)
    assert first == second
    assert sorted(each.name for each in folders[0].glob("asset.*")) == sorted(
        each.name for each in folders[1].glob("asset.*")
    )


def test_an_environment_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    done = synth(tmp_path / "out", "-c", "env=nowhere")
    assert done.returncode != 0
    assert "give one of: local, dev, staging, prod" in done.stderr


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_was_asked_of_aws(platform: Callable[[str], Any], name: str) -> None:
    manifest = json.loads((platform(name).folder / "manifest.json").read_text())
    assert not manifest.get("missing")
    for part in PARTS:
        assert manifest["artifacts"][part]["environment"] == "aws://unknown-account/unknown-region"
        assert not re.search(r"\b\d{12}\b", json.dumps(platform(name).raw(part)))


def test_cfn_lint_has_nothing_to_say_of_the_local_cloud(platform: Callable[[str], Any]) -> None:
    # Nor of what is deployed to AWS: `make security` asks it about those.
    folder = platform("local").folder
    findings = []
    for part in PARTS:
        template = (folder / f"{part}.template.json").read_text()
        findings += cfnlint.lint(template, regions=["eu-west-1", "us-east-1"])
    assert not [f"{each.rule.id} {each.path}: {each.message}" for each in findings]


def test_cfn_lint_would_say_something() -> None:
    broken = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": -1}}}}
    assert cfnlint.lint(json.dumps(broken), regions=["eu-west-1"])


# What the declared capabilities leave out of the local cloud; all else must be there.
LACKING_LOCALLY = Counter(
    {
        "AWS::ApiGateway::UsagePlan": len(DEV.plans),
        # The rules of both schedules, with the roles and policies that let them start their state machines.
        **dict.fromkeys(("AWS::Events::Rule", "AWS::IAM::Role", "AWS::IAM::Policy"), 2),
        # The report that is missing where one is due every day.
        "AWS::CloudWatch::Alarm": 1,
        # The firewall, with its log.
        "AWS::Logs::LogGroup": 1,
        **{f"AWS::WAFv2::{kind}": 1 for kind in ("LoggingConfiguration", "WebACL", "WebACLAssociation")},
    }
)


def kinds(synthesized: Any) -> Counter[str]:
    return Counter(resource["Type"] for part in PARTS for resource in synthesized.raw(part)["Resources"].values())


def test_local_has_the_shape_of_dev(platform: Callable[[str], Any]) -> None:
    local, dev = kinds(platform("local")), kinds(platform("dev"))
    assert not local - dev, "nothing is local only"
    assert dev - local == LACKING_LOCALLY


@pytest.mark.parametrize("verb_noun", ["score_transaction", "update_features", "release_model"])
def test_a_function_is_configured_the_same_in_local_and_dev(
    platform: Callable[[str], Any], verb_noun: str
) -> None:
    local, dev = (platform(name).function(verb_noun) for name in ("local", "dev"))
    assert set(local["Environment"]["Variables"]) == set(dev["Environment"]["Variables"])
    for setting in ("Timeout", "MemorySize", "Handler", "Runtime"):
        assert local[setting] == dev[setting]


def test_the_command_line_reports_nothing_and_fetches_nothing() -> None:
    document = json.loads((ROOT / "cdk.json").read_text())
    assert document["app"] == ".venv/bin/python app.py"
    for switch in ("versionReporting", "pathMetadata", "assetMetadata", "notices"):
        assert document[switch] is False, switch
