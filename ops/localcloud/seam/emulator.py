"""The emulator's modules, the version they are of, and how to find out whether they still fit."""

import importlib
import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

from ops.localcloud.errors import SeamError

__all__ = [
    "MINISTACK",
    "Function",
    "Registry",
    "apigateway_v1",
    "app",
    "check_functions",
    "check_registries",
    "cloudwatch",
    "dynamodb",
    "eventbridge",
    "firehose",
    "iam_evaluator",
    "lambda_runtime",
    "lambda_svc",
    "provisioners",
    "responses",
    "router",
    "s3",
    "sigv4",
    "sns",
    "sqs",
    "stepfunctions",
    "sts",
]

MINISTACK: Final = "1.5.33"

# A function that is called or replaced, with the parameters it must have; and a dictionary written to.
type Function = tuple[ModuleType, str, tuple[str, ...]]
type Registry = tuple[ModuleType, str]

# Imported by name: the emulator carries no types, and nothing here may pretend that it does.
app: Any = importlib.import_module("ministack.app")
apigateway_v1: Any = importlib.import_module("ministack.services.apigateway_v1")
cloudwatch: Any = importlib.import_module("ministack.services.cloudwatch")
dynamodb: Any = importlib.import_module("ministack.services.dynamodb")
eventbridge: Any = importlib.import_module("ministack.services.eventbridge")
firehose: Any = importlib.import_module("ministack.services.firehose")
iam_evaluator: Any = importlib.import_module("ministack.core.iam_evaluator")
lambda_runtime: Any = importlib.import_module("ministack.core.lambda_runtime")
lambda_svc: Any = importlib.import_module("ministack.services.lambda_svc")
provisioners: Any = importlib.import_module("ministack.services.cloudformation.provisioners")
responses: Any = importlib.import_module("ministack.core.responses")
router: Any = importlib.import_module("ministack.core.router")
s3: Any = importlib.import_module("ministack.services.s3")
sigv4: Any = importlib.import_module("ministack.core.sigv4")
sns: Any = importlib.import_module("ministack.services.sns")
sqs: Any = importlib.import_module("ministack.services.sqs")
stepfunctions: Any = importlib.import_module("ministack.services.stepfunctions")
sts: Any = importlib.import_module("ministack.services.sts")


def check_registries(registries: Sequence[Registry]) -> None:
    """Refuse an emulator in which one of `registries` is no dictionary."""
    for module, name in registries:
        if not isinstance(getattr(module, name, None), dict):
            raise SeamError(f"{module.__name__}.{name} is no longer a dictionary: review ops/localcloud/seam")


def check_functions(functions: Sequence[Function]) -> None:
    """Refuse an emulator in which one of `functions` is gone or takes other parameters."""
    for module, name, expected in functions:
        function = getattr(module, name, None)
        found = tuple(inspect.signature(function).parameters) if callable(function) else None
        if found != expected:
            raise SeamError(
                f"{module.__name__}.{name} has the parameters {found}, not {expected}: review ops/localcloud/seam"
            )
