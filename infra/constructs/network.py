"""A network without a way out, for an environment whose API is private (docs/edge.md)."""

from collections.abc import Mapping, Sequence
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.lifetime import log_retention, removal_policy
from infra.constructs.roles import complete_before, service_role
from infra.environment import Environment

__all__ = ["GATEWAYS", "INTERFACES", "Network", "interface_permissions"]

GATEWAYS = ("dynamodb", "s3")
"""Services that are reached over a route, which costs nothing."""

INTERFACES: Mapping[str, str] = {
    "appconfig": "appconfig",
    "appconfigdata": "appconfigdata",
    "athena": "athena",
    "cloudwatch": "monitoring",
    "events": "events",
    "sagemaker": "sagemaker.api",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "stepfunctions": "states",
    "xray": "xray",
}
"""The endpoint of each other service that functions call, by the service's name in botocore.

A test holds that these are the clients that there are. KMS is not among them: services that keep our data call it
for us. Lambda reads queues and streams, and writes logs, from a network of its own.
"""

_BLOCK = "10.64.0.0/22"
_SUBNETS = ("10.64.0.0/24", "10.64.1.0/24")
_HTTPS = 443

# What AWS's documentation names for a function in a network. Only descriptions have no resource to name.
_MAKES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
_DESCRIBES = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")

# S3 and DynamoDB have public addresses, to which only the gateways' routes lead from here.
_OUT = ec2.CfnSecurityGroup.EgressProperty(
    ip_protocol="tcp",
    from_port=_HTTPS,
    to_port=_HTTPS,
    cidr_ip="0.0.0.0/0",
    description="HTTPS to wherever a route leads",
)
# Without any rule CloudFormation would let everything out.
_NOWHERE = ec2.CfnSecurityGroup.EgressProperty(
    ip_protocol="icmp", from_port=252, to_port=86, cidr_ip="255.255.255.255/32", description="nowhere"
)


class Network(Construct):
    """Two isolated subnets, the endpoints of what functions call, and the one through which the API is called.

    There is no gateway to the internet and no route to one. All of it is declared resource by resource: the
    library's own network asks AWS for the zones of an account while it synthesises, and brings a function along.

    Parameters
    ----------
    log_key : aws_kms.IKey
        Of the log of connections that were refused.

    Attributes
    ----------
    entrance : aws_ec2.CfnVPCEndpoint
        The endpoint through which the API is called.
    subnets : list of str
        Their ids.
    functions : aws_ec2.CfnSecurityGroup
        Of the functions.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        log_key: kms.IKey,
    ) -> None:
        super().__init__(scope, id_)
        self._environment = environment
        self.vpc = ec2.CfnVPC(
            self,
            "vpc",
            cidr_block=_BLOCK,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=[cdk.CfnTag(key="Name", value=environment.prefix)],
        )
        routes = ec2.CfnRouteTable(self, "routes", vpc_id=self.vpc.ref)
        self.subnets = [self._subnet(number, block, routes).ref for number, block in enumerate(_SUBNETS)]
        self.functions = self._group("functions", "functions: to the endpoints, and to nobody", egress=True)
        self._endpoints(routes)
        self.entrance = self._interface(
            "entrance",
            "execute-api",
            self._group(
                "callers",
                "who calls the API: this network and those that the environment allows",
                ingress=(_BLOCK, *environment.edge.callers),
            ),
            # Callers present a merchant's key, which to AWS is nobody's signature.
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=["execute-api:Invoke"],
                resources=[cdk.Stack.of(self).format_arn(service="execute-api", resource="*")],
            ),
        )
        self._log_refused(log_key)

    def join(self, function: lambda_.Function) -> None:
        """Let a function run in here; its role needs `interface_permissions`."""
        resource = cast("lambda_.CfnFunction", function.node.default_child)
        resource.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=self.subnets, security_group_ids=[self.functions.attr_group_id]
        )

    def _subnet(self, number: int, block: str, routes: ec2.CfnRouteTable) -> ec2.CfnSubnet:
        subnet = ec2.CfnSubnet(
            self,
            f"subnet-{number}",
            vpc_id=self.vpc.ref,
            cidr_block=block,
            availability_zone=cdk.Fn.select(number, cdk.Fn.get_azs()),
            map_public_ip_on_launch=False,
            tags=[cdk.CfnTag(key="Name", value=f"{self._environment.prefix}-{number}")],
        )
        ec2.CfnSubnetRouteTableAssociation(
            self, f"routes-{number}", subnet_id=subnet.ref, route_table_id=routes.ref
        )
        return subnet

    def _group(
        self, id_: str, description: str, *, ingress: Sequence[str] = (), egress: bool = False
    ) -> ec2.CfnSecurityGroup:
        return ec2.CfnSecurityGroup(
            self,
            id_,
            vpc_id=self.vpc.ref,
            group_description=f"Paywarden: {description}",
            security_group_ingress=[
                ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp",
                    from_port=_HTTPS,
                    to_port=_HTTPS,
                    cidr_ip=block,
                    description=f"HTTPS from {block}",
                )
                for block in ingress
            ],
            security_group_egress=[_OUT if egress else _NOWHERE],
        )

    def _endpoints(self, routes: ec2.CfnRouteTable) -> None:
        for service in GATEWAYS:
            ec2.CfnVPCEndpoint(
                self,
                f"to-{service}",
                vpc_id=self.vpc.ref,
                service_name=self._service(service),
                vpc_endpoint_type="Gateway",
                route_table_ids=[routes.ref],
                policy_document=iam.PolicyDocument(statements=[self._ours(resources_too=True)]),
            )
        group = self._group("endpoints", "endpoints of services: from this network", ingress=(_BLOCK,))
        for name, service in INTERFACES.items():
            self._interface(f"to-{name}", service, group, self._ours())

    def _interface(
        self, id_: str, service: str, group: ec2.CfnSecurityGroup, statement: iam.PolicyStatement
    ) -> ec2.CfnVPCEndpoint:
        return ec2.CfnVPCEndpoint(
            self,
            id_,
            vpc_id=self.vpc.ref,
            service_name=self._service(service),
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=self.subnets,
            security_group_ids=[group.attr_group_id],
            policy_document=iam.PolicyDocument(statements=[statement]),
        )

    def _service(self, name: str) -> str:
        return f"com.amazonaws.{cdk.Stack.of(self).region}.{name}"

    def _ours(self, *, resources_too: bool = False) -> iam.PolicyStatement:
        """Whatever a role allows, as long as the role is this account's: no way out with keys from elsewhere."""
        account = cdk.Stack.of(self).account
        keys = ("aws:PrincipalAccount", *(("aws:ResourceAccount",) if resources_too else ()))
        return iam.PolicyStatement(
            principals=[iam.AnyPrincipal()],
            actions=["*"],
            resources=["*"],
            conditions={"StringEquals": dict.fromkeys(keys, account)},
        )

    def _log_refused(self, key: kms.IKey) -> None:
        log_group = logs.LogGroup(
            self,
            "log",
            retention=log_retention(self._environment),
            encryption_key=key,
            removal_policy=removal_policy(self._environment),
        )
        role = service_role(
            self,
            "flow-role",
            service="vpc-flow-logs",
            description="what the log of refused connections may do",
            statements=[
                iam.PolicyStatement(
                    actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    resources=[log_group.log_group_arn],
                )
            ],
        )
        flow = ec2.CfnFlowLog(
            self,
            "refused",
            resource_id=self.vpc.ref,
            resource_type="VPC",
            traffic_type="REJECT",
            log_destination_type="cloud-watch-logs",
            log_group_name=log_group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
        )
        complete_before(role, flow)


def interface_permissions(scope: Construct) -> list[iam.PolicyStatement]:
    """Lambda may make the interfaces of a function in a network; the function's own code may not."""
    stack = cdk.Stack.of(scope)
    anything = stack.format_arn(service="ec2", resource="*", resource_name="*")
    return [
        iam.PolicyStatement(actions=list(_MAKES), resources=[anything]),
        iam.PolicyStatement(actions=list(_DESCRIBES), resources=["*"]),
        iam.PolicyStatement(
            effect=iam.Effect.DENY,
            actions=[*_MAKES, *_DESCRIBES],
            resources=["*"],
            conditions={
                "ArnLike": {
                    "lambda:SourceFunctionArn": stack.format_arn(
                        service="lambda",
                        resource="function",
                        resource_name="*",
                        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                    )
                }
            },
        ),
    ]
