"""What the stacks are wired from."""

from infra.constructs.code import CodeLayers
from infra.constructs.delivery import LakeDelivery
from infra.constructs.function import Function, notify
from infra.constructs.queue import WorkQueue

__all__ = ["CodeLayers", "Function", "LakeDelivery", "WorkQueue", "notify"]
