"""What a month may cost, and who hears of it."""

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.environment import Environment

__all__ = ["SpendingBudget"]

_TOLD = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""Per cent of the budget, of what was spent or of what the whole month is thought to cost."""


class SpendingBudget(Construct):
    """A month's spending on this environment, by the tags of its resources.

    AWS counts by tags that somebody activated for cost allocation; until then it counts nothing.

    Parameters
    ----------
    tickets : aws_sns.ITopic
        Told when a threshold is passed; AWS Budgets looks a few times a day, so that nobody is woken.
    """

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, dollars: int, tickets: sns.ITopic
    ) -> None:
        super().__init__(scope, id_)
        account, partition = cdk.Stack.of(self).account, cdk.Stack.of(self).partition
        tickets.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("budgets.amazonaws.com")],
                resources=[tickets.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": account},
                    "ArnLike": {"aws:SourceArn": f"arn:{partition}:budgets::{account}:*"},
                },
            )
        )
        # What is told cannot change in place: CloudFormation makes another budget, which needs another name.
        told = "-".join(f"{kind[0].lower()}{threshold}" for kind, threshold in _TOLD)
        budgets.CfnBudget(
            self,
            "month",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{environment.prefix}-month-{told}",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=dollars, unit="USD"),
                filter_expression=budgets.CfnBudget.ExpressionProperty(
                    and_=[
                        budgets.CfnBudget.ExpressionProperty(
                            tags=budgets.CfnBudget.TagValuesProperty(
                                key=key, values=[value], match_options=["EQUALS"]
                            )
                        )
                        for key, value in (("application", "paywarden"), ("environment", environment.name))
                    ]
                ),
                # An expression asks for the metric that it filters.
                metrics=["UnblendedCost"],
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        notification_type=kind,
                        comparison_operator="GREATER_THAN",
                        threshold=threshold,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[
                        budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=tickets.topic_arn)
                    ],
                )
                for kind, threshold in _TOLD
            ],
        )
