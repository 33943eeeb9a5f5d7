"""A CDK app of one stack: a bucket, a function, and a state machine with both kinds of SageMaker jobs."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn


def task(resource: str, parameters: dict[str, Any], following: str | None) -> dict[str, Any]:
    arn = f"arn:aws:states:::sagemaker:{resource}.sync"
    way = {"Next": following} if following else {"End": True}
    return {"Type": "Task", "Resource": arn, "Parameters": parameters, "ResultPath": f"$.{resource}", **way}


app = cdk.App(analytics_reporting=False)
stack = cdk.Stack(
    app,
    f"tiny-{app.node.get_context('env')}",
    env=cdk.Environment(account="000000000000", region="eu-west-1"),
)
bucket = s3.Bucket(stack, "Bucket", removal_policy=cdk.RemovalPolicy.DESTROY)
function = lambda_.Function(
    stack,
    "Function",
    runtime=lambda_.Runtime.PYTHON_3_13,
    handler="index.handler",
    code=lambda_.Code.from_asset("function"),
)
role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
bucket.grant_read_write(role)
writes_logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
role.add_to_policy(iam.PolicyStatement(actions=writes_logs, resources=["*"]))
cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
where = {"LocalPath": "/opt/ml/processing/output/dataset", "S3UploadMode": "EndOfJob"}
dataset = {
    "ProcessingJobName.$": "States.Format('{}-dataset', $$.Execution.Name)",
    "RoleArn": role.role_arn,
    "AppSpecification": {"ImageUri": "tiny-program:test", "ContainerArguments": ["process", "all"]},
    "ProcessingInputs": [
        {
            "InputName": "history",
            "S3Input": {
                "S3Uri": f"s3://{bucket.bucket_name}/history/",
                "LocalPath": "/opt/ml/processing/input/history",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
    ],
    "ProcessingOutputConfig": {
        "Outputs": [
            {"OutputName": "dataset", "S3Output": {"S3Uri": f"s3://{bucket.bucket_name}/dataset", **where}}
        ]
    },
    "ProcessingResources": {"ClusterConfig": cluster},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket.bucket_name}/dataset/"}
train = {
    "TrainingJobName.$": "States.Format('{}-train', $$.Execution.Name)",
    "RoleArn": role.role_arn,
    "AlgorithmSpecification": {"TrainingImage": "tiny-program:test", "TrainingInputMode": "File"},
    "HyperParameters": {"mode": "succeed"},
    "InputDataConfig": [{"ChannelName": "dataset", "DataSource": {"S3DataSource": source}}],
    "OutputDataConfig": {"S3OutputPath": f"s3://{bucket.bucket_name}/models"},
    "ResourceConfig": cluster,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
machine = sfn.StateMachine(
    stack,
    "Machine",
    definition_body=sfn.DefinitionBody.from_string(
        stack.to_json_string(
            {
                "StartAt": "Dataset",
                "States": {
                    "Dataset": task("createProcessingJob", dataset, "Train"),
                    "Train": task("createTrainingJob", train, None),
                },
            }
        )
    ),
)
cdk.CfnOutput(stack, "BucketName", value=bucket.bucket_name)
cdk.CfnOutput(stack, "FunctionName", value=function.function_name)
cdk.CfnOutput(stack, "MachineArn", value=machine.state_machine_arn)
app.synth()
