"""What CloudFormation calls to make, change and delete each type of resource, as AWS documents it.

Pinned from the handlers of the resource types and from the service authorization reference: which actions there
are, and which of them take no resource, so that only a statement on ``*`` allows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

__all__ = ["LIFECYCLES", "Lifecycle"]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The calls for one type of resource.

    Attributes
    ----------
    on : str
        ARN after ``arn:aws:``, with ``{here}``, ``{account}``, ``{region}``, ``{name}`` and ``{schema}``; ``any``
        stands for what CloudFormation or AWS chooses.
    calls : str
        Actions of the same service on it, with a blank between them.
    makes : str
        The same, before the thing has tags: those in the request count.
    bare : str
        Actions, with their service, that take no resource.
    beside : mapping of str to str
        Actions, with their service, on other ARNs.
    named : str, optional
        Path to the property that names it, with dots; without one, or where it is left out, CloudFormation does.
    lends : str, optional
        The property that names a role that it is given.
    unlocks : str
        What the same service asks of a key in CloudFormation's name, maybe before that key's tags count.
    """

    on: str
    calls: str = ""
    makes: str = ""
    bare: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    named: str | None = None
    lends: str | None = None
    unlocks: str = ""


def _rest(path: str, *, lends: str | None = None, beside: Mapping[str, str] | None = None) -> Lifecycle:
    on = f"apigateway:{{region}}::{path}"
    return Lifecycle(on, "GET POST PUT PATCH DELETE", lends=lends, beside=beside or {})


def _ec2(calls: str, describes: str, *, bare: str = "", lends: str | None = None) -> Lifecycle:
    seen = " ".join(f"ec2:Describe{each}" for each in ("Tags", *describes.split()))
    return Lifecycle("ec2:{here}:any/any", f"CreateTags DeleteTags {calls}", bare=f"{seen} {bare}", lends=lends)


_FUNCTION = "lambda:{here}:function:{name}"
_ROLE = "iam::{account}:role/{name}"
_GROUP = "logs:{here}:log-group:{name}"
_APPLICATION = "appconfig:{here}:application/1a2b3c4"
_STAGE = "apigateway:{region}::/restapis/1a2b3c4/stages/live"
_DELIVERIES = " ".join(
    f"logs:{each}"
    for each in (
        "CreateLogDelivery",
        "DeleteLogDelivery",
        "DescribeLogGroups",
        "DescribeResourcePolicies",
        "GetLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "UpdateLogDelivery",
    )
)
_ALARM = "cloudwatch:{here}:alarm:{name}"
_KEPT = "ListTagsForResource TagResource UntagResource"
_LINKED = {"iam::{account}:role/aws-service-role/wafv2.amazonaws.com/x": "iam:CreateServiceLinkedRole"}

LIFECYCLES: Final[Mapping[str, Lifecycle]] = MappingProxyType(
    {
        "AWS::ApiGateway::Account": _rest("/account", lends="CloudWatchRoleArn"),
        "AWS::ApiGateway::Authorizer": _rest("/restapis/1a2b3c4/authorizers/1a2b3c"),
        "AWS::ApiGateway::Deployment": _rest("/restapis/1a2b3c4/deployments/1a2b3c"),
        "AWS::ApiGateway::GatewayResponse": _rest("/restapis/1a2b3c4/gatewayresponses/THROTTLED"),
        "AWS::ApiGateway::Method": _rest("/restapis/1a2b3c4/resources/1a2b3c/methods/POST"),
        "AWS::ApiGateway::Resource": _rest("/restapis/1a2b3c4/resources/1a2b3c"),
        "AWS::ApiGateway::RestApi": _rest(
            "/restapis", beside={"apigateway:{region}::/restapis/1a2b3c4": "apigateway:UpdateRestApiPolicy"}
        ),
        "AWS::ApiGateway::Stage": _rest(
            "/restapis/1a2b3c4/stages/live",
            beside={"apigateway:{region}::/tags/arn": "apigateway:PUT apigateway:DELETE"},
        ),
        "AWS::ApiGateway::UsagePlan": _rest("/usageplans/1a2b3c"),
        "AWS::AppConfig::Application": Lifecycle(
            _APPLICATION,
            f"GetApplication UpdateApplication DeleteApplication {_KEPT}",
            bare="appconfig:CreateApplication",
        ),
        "AWS::AppConfig::ConfigurationProfile": Lifecycle(
            _APPLICATION,
            "CreateConfigurationProfile",
            beside={
                f"{_APPLICATION}/configurationprofile/1a2b3c4": "appconfig:GetConfigurationProfile "
                "appconfig:UpdateConfigurationProfile appconfig:DeleteConfigurationProfile appconfig:TagResource"
            },
        ),
        "AWS::AppConfig::Deployment": Lifecycle(
            _APPLICATION,
            "StartDeployment GetDeployment StopDeployment",
            beside={
                f"{_APPLICATION}/configurationprofile/1a2b3c4": "appconfig:StartDeployment",
                f"{_APPLICATION}/environment/1a2b3c4": "appconfig:StartDeployment appconfig:GetDeployment",
                "appconfig:{here}:deploymentstrategy/1a2b3c4": "appconfig:StartDeployment",
            },
            unlocks="GenerateDataKey",
        ),
        "AWS::AppConfig::DeploymentStrategy": Lifecycle(
            "appconfig:{here}:deploymentstrategy/1a2b3c4",
            f"GetDeploymentStrategy UpdateDeploymentStrategy DeleteDeploymentStrategy {_KEPT}",
            bare="appconfig:CreateDeploymentStrategy",
        ),
        "AWS::AppConfig::Environment": Lifecycle(
            _APPLICATION,
            "CreateEnvironment",
            beside={
                f"{_APPLICATION}/environment/1a2b3c4": "appconfig:GetEnvironment appconfig:UpdateEnvironment "
                "appconfig:DeleteEnvironment appconfig:TagResource"
            },
        ),
        "AWS::AppConfig::HostedConfigurationVersion": Lifecycle(
            f"{_APPLICATION}/configurationprofile/1a2b3c4",
            "CreateHostedConfigurationVersion GetHostedConfigurationVersion DeleteHostedConfigurationVersion",
        ),
        "AWS::Athena::WorkGroup": Lifecycle(
            "athena:{here}:workgroup/{name}",
            f"CreateWorkGroup GetWorkGroup UpdateWorkGroup DeleteWorkGroup {_KEPT}",
            named="Name",
        ),
        "AWS::Budgets::Budget": Lifecycle(
            "budgets::{account}:budget/{name}", f"ModifyBudget ViewBudget {_KEPT}", named="Budget.BudgetName"
        ),
        "AWS::CloudWatch::Alarm": Lifecycle(
            _ALARM, f"PutMetricAlarm DescribeAlarms DeleteAlarms {_KEPT}", named="AlarmName"
        ),
        "AWS::CloudWatch::CompositeAlarm": Lifecycle(
            _ALARM,
            f"PutCompositeAlarm DeleteAlarms {_KEPT}",
            # It takes an alarm, but shows a composite one only to those who may ask for any.
            bare="cloudwatch:DescribeAlarms",
            named="AlarmName",
        ),
        "AWS::CloudWatch::Dashboard": Lifecycle(
            "cloudwatch::{account}:dashboard/{name}",
            f"PutDashboard GetDashboard DeleteDashboards {_KEPT}",
            named="DashboardName",
        ),
        "AWS::CodeDeploy::Application": Lifecycle(
            "codedeploy:{here}:application:{name}",
            f"CreateApplication GetApplication UpdateApplication DeleteApplication {_KEPT}",
            named="ApplicationName",
        ),
        "AWS::CodeDeploy::DeploymentConfig": Lifecycle(
            "codedeploy:{here}:deploymentconfig:any",
            "CreateDeploymentConfig GetDeploymentConfig DeleteDeploymentConfig",
        ),
        "AWS::CodeDeploy::DeploymentGroup": Lifecycle(
            "codedeploy:{here}:deploymentgroup:{name}/{name}",
            "CreateDeploymentGroup GetDeploymentGroup UpdateDeploymentGroup DeleteDeploymentGroup "
            f"CreateDeployment GetDeployment {_KEPT}",
            # Deployments are followed and cut off by their ids.
            bare="codedeploy:StopDeployment",
            beside={
                "codedeploy:{here}:application:{name}": "codedeploy:RegisterApplicationRevision "
                "codedeploy:GetApplicationRevision"
            },
            named="DeploymentGroupName",
            lends="ServiceRoleArn",
        ),
        "AWS::DynamoDB::GlobalTable": Lifecycle(
            "dynamodb:{here}:table/{name}",
            "CreateTable DescribeTable UpdateTable DeleteTable TagResource UntagResource ListTagsOfResource "
            "DescribeContinuousBackups UpdateContinuousBackups DescribeTimeToLive UpdateTimeToLive "
            "DescribeContributorInsights UpdateContributorInsights DescribeKinesisStreamingDestination "
            "DescribeTableReplicaAutoScaling CreateTableReplica DeleteTableReplica GetResourcePolicy",
            bare="application-autoscaling:DescribeScalableTargets application-autoscaling:DescribeScalingPolicies",
            named="TableName",
            unlocks="CreateGrant Decrypt",
        ),
        "AWS::EC2::FlowLog": _ec2("CreateFlowLogs DeleteFlowLogs", "FlowLogs", lends="DeliverLogsPermissionArn"),
        "AWS::EC2::RouteTable": _ec2("CreateRouteTable DeleteRouteTable", "RouteTables"),
        "AWS::EC2::SecurityGroup": _ec2(
            "CreateSecurityGroup DeleteSecurityGroup AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress "
            "RevokeSecurityGroupEgress RevokeSecurityGroupIngress",
            "SecurityGroups",
        ),
        "AWS::EC2::Subnet": _ec2(
            "CreateSubnet DeleteSubnet ModifySubnetAttribute", "Subnets NetworkAcls AvailabilityZones"
        ),
        "AWS::EC2::SubnetRouteTableAssociation": _ec2(
            "AssociateRouteTable DisassociateRouteTable ReplaceRouteTableAssociation", "RouteTables"
        ),
        "AWS::EC2::VPC": _ec2(
            "CreateVpc DeleteVpc ModifyVpcAttribute DescribeVpcAttribute", "Vpcs NetworkAcls SecurityGroups"
        ),
        "AWS::EC2::VPCEndpoint": _ec2(
            "CreateVpcEndpoint ModifyVpcEndpoint DeleteVpcEndpoints",
            "VpcEndpoints Vpcs",
            bare="route53:AssociateVPCWithHostedZone route53:DisassociateVPCFromHostedZone",
        ),
        "AWS::Events::EventBus": Lifecycle(
            "events:{here}:event-bus/{name}",
            f"CreateEventBus DescribeEventBus UpdateEventBus DeleteEventBus {_KEPT}",
            named="Name",
        ),
        "AWS::Events::Rule": Lifecycle(
            "events:{here}:rule/{name}",
            f"PutRule DescribeRule DeleteRule PutTargets RemoveTargets ListTargetsByRule {_KEPT}",
            named="Name",
            lends="RoleArn",
        ),
        "AWS::Glue::Database": Lifecycle(
            "glue:{here}:database/{name}",
            "CreateDatabase GetDatabase UpdateDatabase DeleteDatabase",
            beside={
                "glue:{here}:catalog": "glue:CreateDatabase glue:DeleteDatabase",
                "glue:{here}:table/{name}/decisions": "glue:DeleteDatabase",
                "glue:{here}:userDefinedFunction/{name}/any": "glue:DeleteDatabase",
            },
            named="DatabaseInput.Name",
        ),
        "AWS::Glue::Table": Lifecycle(
            "glue:{here}:table/{schema}/{name}",
            "CreateTable GetTable UpdateTable DeleteTable",
            beside=dict.fromkeys(
                ("glue:{here}:catalog", "glue:{here}:database/{schema}"),
                "glue:CreateTable glue:GetTable glue:UpdateTable glue:DeleteTable",
            ),
            named="TableInput.Name",
        ),
        "AWS::IAM::Policy": Lifecycle(_ROLE, "PutRolePolicy GetRolePolicy DeleteRolePolicy", named="Roles"),
        "AWS::IAM::Role": Lifecycle(
            _ROLE,
            "CreateRole GetRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy DeleteRole PutRolePolicy "
            "GetRolePolicy DeleteRolePolicy ListRolePolicies ListAttachedRolePolicies ListRoleTags "
            "TagRole UntagRole",
            named="RoleName",
        ),
        "AWS::KMS::Alias": Lifecycle(
            "kms:{here}:{name}",
            "CreateAlias UpdateAlias DeleteAlias",
            bare="kms:ListAliases",
            # Right after the key, whose tags may not count yet.
            beside={"kms:{here}:key/1a2b3c4d-1a2b": "kms:CreateAlias"},
            named="AliasName",
        ),
        "AWS::KMS::Key": Lifecycle(
            "kms:{here}:key/1a2b3c4d-1a2b",
            "DescribeKey EnableKeyRotation DisableKeyRotation GetKeyPolicy PutKeyPolicy GetKeyRotationStatus "
            "ListResourceTags UntagResource UpdateKeyDescription EnableKey DisableKey ScheduleKeyDeletion "
            "CreateAlias UpdateAlias DeleteAlias CreateGrant Decrypt GenerateDataKey TagResource",
            makes="TagResource DescribeKey EnableKeyRotation GetKeyPolicy GetKeyRotationStatus ListResourceTags",
            bare="kms:CreateKey",
        ),
        "AWS::KinesisFirehose::DeliveryStream": Lifecycle(
            "firehose:{here}:deliverystream/{name}",
            "CreateDeliveryStream DescribeDeliveryStream UpdateDestination DeleteDeliveryStream TagDeliveryStream "
            "UntagDeliveryStream ListTagsForDeliveryStream StartDeliveryStreamEncryption",
            named="DeliveryStreamName",
            lends="RoleARN",
            unlocks="CreateGrant",
        ),
        "AWS::Lambda::Alias": Lifecycle(
            _FUNCTION,
            "CreateAlias GetAlias UpdateAlias DeleteAlias PutProvisionedConcurrencyConfig "
            "GetProvisionedConcurrencyConfig DeleteProvisionedConcurrencyConfig",
            named="FunctionName",
        ),
        "AWS::Lambda::EventInvokeConfig": Lifecycle(
            _FUNCTION,
            "PutFunctionEventInvokeConfig GetFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig "
            "DeleteFunctionEventInvokeConfig",
            named="FunctionName",
        ),
        "AWS::Lambda::EventSourceMapping": Lifecycle(
            "lambda:{here}:event-source-mapping:1a2b3c4d",
            "GetEventSourceMapping UpdateEventSourceMapping DeleteEventSourceMapping "
            "ListTags TagResource UntagResource",
            bare="lambda:CreateEventSourceMapping",
        ),
        "AWS::Lambda::Function": Lifecycle(
            _FUNCTION,
            "CreateFunction GetFunction GetFunctionConfiguration UpdateFunctionCode UpdateFunctionConfiguration "
            "DeleteFunction ListTags TagResource UntagResource PutFunctionConcurrency GetFunctionConcurrency "
            "DeleteFunctionConcurrency GetFunctionCodeSigningConfig GetRuntimeManagementConfig "
            "GetFunctionRecursionConfig",
            beside={
                "lambda:{here}:layer:fraud:1": "lambda:GetLayerVersion",
                "s3:::cdk-paywarden-assets-{account}-{region}/code.zip": "s3:GetObject",
                "ec2:{here}:vpc/any": "ec2:GetSecurityGroupsForVpc",
            },
            bare="ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs "
            "lambda:GetAccountSettings",
            named="FunctionName",
            lends="Role",
            unlocks="CreateGrant Decrypt Encrypt GenerateDataKey",
        ),
        "AWS::Lambda::LayerVersion": Lifecycle(
            "lambda:{here}:layer:any",
            "PublishLayerVersion",
            beside={"lambda:{here}:layer:any:1": "lambda:GetLayerVersion lambda:DeleteLayerVersion"},
        ),
        "AWS::Lambda::Permission": Lifecycle(
            _FUNCTION, "AddPermission GetPolicy RemovePermission", named="FunctionName"
        ),
        "AWS::Lambda::Version": Lifecycle(
            _FUNCTION,
            "PublishVersion GetFunctionConfiguration ListVersionsByFunction DeleteFunction",
            named="FunctionName",
        ),
        "AWS::Logs::LogGroup": Lifecycle(
            _GROUP,
            "CreateLogGroup DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy AssociateKmsKey "
            f"DisassociateKmsKey {_KEPT}",
            bare="logs:DescribeLogGroups",
            named="LogGroupName",
        ),
        "AWS::Logs::LogStream": Lifecycle(
            f"{_GROUP}:log-stream:any",
            "CreateLogStream DeleteLogStream",
            beside={_GROUP: "logs:DescribeLogStreams"},
            named="LogGroupName",
        ),
        "AWS::S3::Bucket": Lifecycle(
            "s3:::{name}",
            "CreateBucket DeleteBucket ListBucket PutBucketAcl PutBucketLogging PutBucketNotification "
            "PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPublicAccessBlock "
            "PutBucketTagging PutBucketVersioning PutEncryptionConfiguration PutLifecycleConfiguration "
            "GetBucketTagging",
            named="BucketName",
        ),
        "AWS::S3::BucketPolicy": Lifecycle(
            "s3:::{name}", "PutBucketPolicy GetBucketPolicy DeleteBucketPolicy", named="Bucket"
        ),
        "AWS::SNS::Topic": Lifecycle(
            "sns:{here}:{name}",
            f"CreateTopic GetTopicAttributes SetTopicAttributes DeleteTopic {_KEPT}",
            named="TopicName",
        ),
        "AWS::SNS::TopicPolicy": Lifecycle("sns:{here}:{name}", "SetTopicAttributes", named="Topics"),
        "AWS::SQS::Queue": Lifecycle(
            "sqs:{here}:{name}",
            "CreateQueue GetQueueAttributes SetQueueAttributes DeleteQueue ListQueueTags TagQueue UntagQueue",
            named="QueueName",
        ),
        "AWS::SQS::QueuePolicy": Lifecycle("sqs:{here}:{name}", "SetQueueAttributes", named="Queues"),
        "AWS::SageMaker::ModelPackageGroup": Lifecycle(
            "sagemaker:{here}:model-package-group/{name}",
            "CreateModelPackageGroup DescribeModelPackageGroup DeleteModelPackageGroup GetModelPackageGroupPolicy "
            "AddTags ListTags DeleteTags",
            named="ModelPackageGroupName",
        ),
        "AWS::SecretsManager::Secret": Lifecycle(
            "secretsmanager:{here}:secret:{name}-1a2b3c",
            "DescribeSecret UpdateSecret DeleteSecret TagResource UntagResource",
            makes="CreateSecret TagResource",
            bare="secretsmanager:GetRandomPassword",
            named="Name",
            unlocks="Decrypt GenerateDataKey",
        ),
        "AWS::StepFunctions::StateMachine": Lifecycle(
            "states:{here}:stateMachine:{name}",
            f"CreateStateMachine DescribeStateMachine UpdateStateMachine DeleteStateMachine {_KEPT}",
            bare=_DELIVERIES,
            named="StateMachineName",
            lends="RoleArn",
        ),
        "AWS::WAFv2::LoggingConfiguration": Lifecycle(
            "wafv2:{here}:regional/webacl/any/1a2b",
            "PutLoggingConfiguration GetLoggingConfiguration DeleteLoggingConfiguration",
            bare=_DELIVERIES,
            beside=_LINKED,
        ),
        "AWS::WAFv2::WebACL": Lifecycle(
            "wafv2:{here}:regional/webacl/{name}/1a2b",
            f"CreateWebACL GetWebACL UpdateWebACL DeleteWebACL {_KEPT}",
            beside={"wafv2:{here}:regional/managedruleset/any/1a2b": "wafv2:CreateWebACL wafv2:UpdateWebACL"},
            named="Name",
        ),
        "AWS::WAFv2::WebACLAssociation": Lifecycle(
            "wafv2:{here}:regional/webacl/any/1a2b",
            "AssociateWebACL GetWebACL GetWebACLForResource",
            beside={
                _STAGE: "wafv2:AssociateWebACL wafv2:DisassociateWebACL wafv2:GetWebACLForResource "
                "apigateway:SetWebACL"
            },
        ),
    }
)
