"""The context of a call, apart from `support`: a process that lives for one call needs no xgboost."""

from dataclasses import dataclass

__all__ = ["REGION", "Context"]

REGION = "eu-west-1"


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function about itself, as far as Powertools asks."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:123456789012:function:function"
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return 120_000
