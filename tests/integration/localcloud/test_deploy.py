"""A small CDK app comes into the local cloud by the real command line, and its workflow runs."""

import json
import shutil
import sys
from pathlib import Path

import boto3
import pytest

from ops.localcloud import deploy
from ops.localcloud.errors import LocalCloudError
from tests.integration.localcloud.test_step_functions import ended

pytestmark = pytest.mark.integration

APP = Path(__file__).with_name("tiny_app")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    shutil.copytree(APP, folder)
    (folder / "cdk.json").write_text(json.dumps({"app": f"{sys.executable} app.py"}))
    return folder


def test_app_is_deployed_and_its_workflow_runs(cloud: boto3.Session, port: int, app: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    outputs = deploy.bootstrap_and_deploy(port, lines.append, app_directory=app, log=tmp_path / "deploy.log")
    found = outputs["tiny-local"]
    assert any("bootstrapped" in line for line in lines)
    assert any("CREATE_COMPLETE" in line for line in lines)
    answer = cloud.client("lambda").invoke(FunctionName=found["FunctionName"], Payload=b"[1]")
    assert json.load(answer["Payload"]) == [1]

    s3, states = cloud.client("s3"), cloud.client("stepfunctions")
    s3.put_object(Bucket=found["BucketName"], Key="history/rows.csv", Body=b"a,b\n")
    execution = states.start_execution(stateMachineArn=found["MachineArn"], name="run-1")["executionArn"]
    described = ended(cloud, execution)
    assert described["status"] == "SUCCEEDED", described.get("cause")
    s3.head_object(Bucket=found["BucketName"], Key="models/run-1-train/output/model.tar.gz")


def test_failure_quotes_the_last_lines(cloud: boto3.Session, port: int, app: Path, tmp_path: Path) -> None:
    del cloud
    (app / "app.py").write_text("raise SystemExit('the app is broken in this way')\n")
    with pytest.raises(LocalCloudError) as failure:
        deploy.bootstrap_and_deploy(port, app_directory=app, log=tmp_path / "deploy.log")
    assert "the app is broken in this way" in str(failure.value)
    assert str(tmp_path / "deploy.log") in str(failure.value)
    assert "make down" in str(failure.value)
