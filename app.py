"""The CDK application: `cdk synth -c env=local|dev|staging|prod`; docs/environments.md has all it can be told."""

import aws_cdk as cdk

from infra.context import environment_of
from infra.platform import build

app = cdk.App(analytics_reporting=False)
build(app, environment_of(app.node))
app.synth()
