"""The CDK application: `cdk synth -c env=local|dev|staging|prod [-c account=... -c region=...]`."""

import aws_cdk as cdk

from infra.environments import lookup
from infra.platform import build

app = cdk.App(analytics_reporting=False)
environment = lookup(
    app.node.try_get_context("env") or "",
    account=app.node.try_get_context("account"),
    region=app.node.try_get_context("region"),
)
build(app, environment)
app.synth()
