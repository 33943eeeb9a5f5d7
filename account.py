"""The CDK application of an account, which an administrator deploys once: see docs/environments.md.

`cdk deploy --app ".venv/bin/python account.py" -c env=prod [-c repository=organisation/name]
[-c provider=existing]`
"""

import aws_cdk as cdk

from infra.account import AccountStack
from infra.context import environment_of, provider_exists, repository_of

app = cdk.App(analytics_reporting=False)
AccountStack(
    app,
    environment=environment_of(app.node),
    repository=repository_of(app.node),
    provider_exists=provider_exists(app.node),
    qualifier=app.node.get_context("@aws-cdk/core:bootstrapQualifier"),
)
app.synth()
