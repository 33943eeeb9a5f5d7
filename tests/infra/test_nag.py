"""cdk-nag looks on while templates are made, and what it finds comes with the construct's place."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs

from infra.inspection import report_on
from ops.security import cfn_lint, nag
from ops.security.assemblies import Assembly
from ops.security.findings import CheckError


def test_both_packs_find_what_they_should(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path), analytics_reporting=False)
    stack = cdk.Stack(app, "data")
    sqs.CfnQueue(stack, "open", visibility_timeout=-1)
    cdk.aws_logs.CfnLogGroup(stack, "logs")
    report_on(app)
    assembly = Assembly("dev", tmp_path)
    found = {(each.rule, each.place, each.environments) for each in nag.check([assembly]).findings}
    assert ("AwsSolutions-SQS4", "data/open", ("dev",)) in found
    assert ("PCI.DSS.321-CloudWatchLogGroupEncrypted", "data/logs", ("dev",)) in found
    linted = {(each.place, each.environments) for each in cfn_lint.check([assembly]).findings}
    assert linted == {("data/open", ("dev",))}


def test_a_report_without_a_pack_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "validation-report.json").write_text('{"pluginReports": []}')
    with pytest.raises(CheckError, match=r"dev: no report of AwsSolutions, PCI\.DSS\.321"):
        nag.check([Assembly("dev", tmp_path)])
