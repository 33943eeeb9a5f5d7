"""API Gateway: forget the answers of a stage's authorizers."""

from typing import Any, Final

from ops.localcloud.seam.emulator import Function, Registry, apigateway_v1

__all__ = ["FUNCTIONS", "REGISTRIES", "install_authorizer_flush"]

FUNCTIONS: Final[tuple[Function, ...]] = (
    (apigateway_v1, "handle_request", ("method", "path", "headers", "body", "query_params")),
)
REGISTRIES: Final[tuple[Registry, ...]] = ((apigateway_v1, "_authorizer_cache"),)


def install_authorizer_flush() -> None:
    """Answer API Gateway's FlushStageAuthorizersCache, so that an ended key is refused at once, as on AWS."""
    handle = apigateway_v1.handle_request

    async def handle_or_flush(method: str, path: str, headers: Any, body: Any, query_params: Any) -> Any:
        parts = path.strip("/").split("/")
        if method != "DELETE" or parts[2:3] != ["stages"] or parts[4:] != ["cache", "authorizers"]:
            return await handle(method, path, headers, body, query_params)
        # The keys are (account, region, api, authorizer, stage, what the caller sent).
        for key in [
            each for each in apigateway_v1._authorizer_cache if (each[2], each[4]) == (parts[1], parts[3])
        ]:
            apigateway_v1._authorizer_cache.pop(key, None)
        return 202, {}, b""

    apigateway_v1.handle_request = handle_or_flush
