"""What the stacks are wired from."""

from infra.constructs.alarm import watch
from infra.constructs.code import CodeLayers
from infra.constructs.delivery import LakeDelivery
from infra.constructs.function import Function
from infra.constructs.queue import WorkQueue

__all__ = ["CodeLayers", "Function", "LakeDelivery", "WorkQueue", "watch"]
